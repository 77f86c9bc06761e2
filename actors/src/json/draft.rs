//! A message of another format as text and tape at once: what a decoder writes value by value is read by paths and
//! conditions like JSON that came as such.
//!
//! Invariant: scanning the text gives the tape that was written. Only what somebody asked for is written, so a draft is
//! mostly much smaller than its message. Deliberately absent: what to leave out, which is the decoders' to know.

use super::scan::{ESCAPED, Node, is_plain};
use super::{DEPTH_MAX, Document, FaultKind, MESSAGE_BYTES_MAX, Tape};
use std::fmt::{Display, LowerExp, Write};

/// Text kept allocated between messages; what is larger is given back.
const TEXT_KEPT_MAX: usize = 1 << 20;

/// The name of a member, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    quoted: Box<str>,
    meta: u32,
}

impl Name {
    /// The member called `name`.
    pub fn new(name: &str) -> Self {
        let mut quoted = String::with_capacity(name.len() + 2);
        let meta = quote(&mut quoted, name);
        Self { quoted: quoted.into(), meta }
    }
}

/// One value in the making; cleared and written for every message.
#[derive(Debug, Default)]
pub struct Draft {
    text: String,
    tape: Tape,
}

impl Draft {
    /// Forgets what was written.
    pub fn clear(&mut self) {
        if self.text.capacity() > TEXT_KEPT_MAX {
            self.text = String::new();
        }
        self.text.clear();
        self.tape.clear();
    }

    /// What was written; one whole value.
    pub fn document(&self) -> Document<'_> {
        assert!(self.tape.open.is_empty() && !self.tape.nodes.is_empty(), "a draft is one whole value");
        Document::new(&self.text, &self.tape)
    }

    /// Its text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Fails once it is longer than a message may be: whoever writes in a loop asks each time.
    #[inline]
    pub fn check_size(&self) -> Result<(), FaultKind> {
        if self.text.len() > MESSAGE_BYTES_MAX { Err(FaultKind::TooLarge) } else { Ok(()) }
    }

    /// Begins an object; between its [`Draft::name`]s stand their values.
    #[inline]
    pub fn begin_object(&mut self) -> Result<(), FaultKind> {
        self.begin('{')
    }

    /// Begins an array.
    #[inline]
    pub fn begin_array(&mut self) -> Result<(), FaultKind> {
        self.begin('[')
    }

    fn begin(&mut self, bracket: char) -> Result<(), FaultKind> {
        if self.tape.open.len() == DEPTH_MAX {
            return Err(FaultKind::TooDeep);
        }
        self.separate();
        self.tape.open.push(self.tape.nodes.len() as u32);
        self.tape.nodes.push(Node { start: self.text.len() as u32, end: 0, meta: 0 });
        self.text.push(bracket);
        Ok(())
    }

    /// Ends the innermost object or array.
    #[inline]
    pub fn end(&mut self) {
        let index = self.tape.open.pop().expect("invariant: what ends has begun") as usize;
        let after = self.tape.nodes.len() as u32;
        let node = &mut self.tape.nodes[index];
        self.text.push(if self.text.as_bytes()[node.start as usize] == b'{' { '}' } else { ']' });
        node.end = self.text.len() as u32;
        node.meta = after;
    }

    /// The name of the value that comes next.
    #[inline]
    pub fn name(&mut self, name: &Name) {
        self.value(name.meta, |text| text.push_str(&name.quoted));
        self.text.push(':');
    }

    /// A name that is known only now.
    pub fn name_of(&mut self, name: &str) {
        self.string(name);
        self.text.push(':');
    }

    /// A string.
    #[inline]
    pub fn string(&mut self, value: &str) {
        self.separate();
        let start = self.text.len() as u32;
        let meta = quote(&mut self.text, value);
        self.tape.nodes.push(Node { start, end: self.text.len() as u32, meta });
    }

    /// A string without quotes, backslashes and control characters, written by `write`.
    #[inline]
    pub fn plain(&mut self, write: impl FnOnce(&mut String)) {
        self.value(0, |text| {
            text.push('"');
            write(text);
            text.push('"');
        });
    }

    /// A whole number.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.value(0, |text| text.push_str(itoa::Buffer::new().format(value)));
    }

    /// A whole number without sign.
    #[inline]
    pub fn unsigned(&mut self, value: u64) {
        self.value(0, |text| text.push_str(itoa::Buffer::new().format(value)));
    }

    /// A number of 64 or 32 bits in the shortest form of its own width: 0.1 of 32 bits is 0.1, and not
    /// 0.10000000149011612. What is not finite has no number in JSON and becomes a string.
    #[inline]
    pub fn float(&mut self, value: impl Into<f64> + zmij::Float + Display + LowerExp + Copy) {
        let wide: f64 = value.into();
        if !wide.is_finite() {
            return self.plain(|text| _ = write!(text, "{wide}"));
        }
        let mut buffer = zmij::Buffer::new();
        // As short as the formatter's, in a fraction of its time; its exponents are others.
        let digits = buffer.format_finite(value);
        if !digits.contains('e') {
            return self.value(0, |text| text.push_str(digits.strip_suffix(".0").unwrap_or(digits)));
        }
        let is_short = wide == 0.0 || (1e-7..1e17).contains(&wide.abs());
        self.value(0, |text| _ = if is_short { write!(text, "{value}") } else { write!(text, "{value:e}") });
    }

    /// A number whose text `write` writes.
    #[inline]
    pub fn number(&mut self, write: impl FnOnce(&mut String)) {
        self.value(0, write);
    }

    /// `true` or `false`.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.value(0, |text| text.push_str(if value { "true" } else { "false" }));
    }

    /// `null`.
    #[inline]
    pub fn null(&mut self) {
        self.value(0, |text| text.push_str("null"));
    }

    /// A value that is no container, as `write` writes it.
    #[inline]
    fn value(&mut self, meta: u32, write: impl FnOnce(&mut String)) {
        self.separate();
        let start = self.text.len() as u32;
        write(&mut self.text);
        self.tape.nodes.push(Node { start, end: self.text.len() as u32, meta });
    }

    /// The comma that JSON wants before every value but the first. No value ends in any of these characters.
    #[inline]
    fn separate(&mut self) {
        if !matches!(self.text.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.text.push(',');
        }
    }
}

/// Writes `value` in quotes; gives what the tape says of it.
#[inline]
fn quote(text: &mut String, value: &str) -> u32 {
    text.push('"');
    let meta = if is_plain(value.as_bytes()) {
        text.push_str(value);
        0
    } else {
        escape(text, value);
        ESCAPED
    };
    text.push('"');
    meta
}

#[cold]
fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            control @ '\0'..='\u{1f}' => _ = write!(text, "\\u{:04x}", u32::from(control)),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn write(draft: &mut Draft, value: &Value) {
        match value {
            Value::Null => draft.null(),
            Value::Bool(value) => draft.bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) => draft.int(value),
                (_, Some(value), _) => draft.unsigned(value),
                (_, _, value) => draft.float(value.expect("a number")),
            },
            Value::String(value) => draft.string(value),
            Value::Array(values) => {
                draft.begin_array().expect("not deep");
                values.iter().for_each(|value| write(draft, value));
                draft.end();
            }
            Value::Object(members) => {
                draft.begin_object().expect("not deep");
                for (name, value) in members {
                    draft.name(&Name::new(name));
                    write(draft, value);
                }
                draft.end();
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // What a lenient reader of floats reads exactly.
            any::<i32>().prop_map(|value| Value::from(f64::from(value | 1) / 16.0)),
            any::<String>().prop_map(Value::from),
            "[a-z\"\\\\\u{0}-\u{1f}]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn scanning_the_text_gives_the_tape_that_was_written(value in value()) {
            let mut draft = Draft::default();
            write(&mut draft, &value);
            let mut scanned = Tape::default();
            scanned.scan(draft.text()).expect("JSON");
            let nodes = |tape: &Tape| -> Vec<_> {
                tape.nodes.iter().map(|node| (node.start, node.end, node.meta)).collect()
            };
            prop_assert_eq!(nodes(&draft.tape), nodes(&scanned), "{}", draft.text());
            prop_assert_eq!(serde_json::from_str::<Value>(draft.text()).expect("JSON"), value);
        }
    }

    #[test]
    fn a_draft_is_no_deeper_than_a_message() {
        let mut draft = Draft::default();
        for _ in 0..DEPTH_MAX {
            draft.begin_array().expect("as deep as a message");
        }
        assert_eq!(draft.begin_object(), Err(FaultKind::TooDeep));
    }

    proptest! {
        #[test]
        fn floats_are_written_as_short_as_can_be(wide in -1e17..1e17f64, narrow in -1e9..1e9f32, power in -9..17i32) {
            let written = |write: &dyn Fn(&mut Draft)| {
                let mut draft = Draft::default();
                write(&mut draft);
                draft.text().to_owned()
            };
            for value in [wide, wide.round(), wide / 1e17 * 10f64.powi(power), (wide / 1e13).round() / 100.0] {
                let text = written(&|draft| draft.float(value));
                prop_assert_eq!(text.parse(), Ok(value), "{}", text);
                let is_short = value == 0.0 || (1e-7..1e17).contains(&value.abs());
                let formatted = if is_short { format!("{value}") } else { format!("{value:e}") };
                // Of two that are as near, either is taken.
                prop_assert_eq!(text.len(), formatted.len(), "{} and {}", text, formatted);
            }
            let text = written(&|draft| draft.float(narrow));
            prop_assert_eq!(text.parse(), Ok(narrow), "{}", text);
        }
    }

    #[test]
    fn numbers_of_any_size_are_numbers() {
        for (value, text) in
            [(0.1, "0.1"), (-0.0, "-0"), (1e300, "1e300"), (3e-9, "3e-9"), (f64::NAN, "\"NaN\"")]
        {
            let mut draft = Draft::default();
            draft.float(value);
            assert_eq!(draft.text(), text);
        }
        let mut draft = Draft::default();
        draft.float(0.1_f32);
        assert_eq!(draft.text(), "0.1");
    }
}
