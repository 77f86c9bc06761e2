//! The scanner: checks a message against RFC 8259 and notes where its values stand.
//!
//! Invariant: after `Ok`, every node's range lies on character boundaries within the text, and containers nest at most
//! [`DEPTH_MAX`] deep. The scanner keeps its own stack of open containers, so depth never becomes call depth.

use super::shape::{Followed, Shape, Shapes};
use super::{DEPTH_MAX, MESSAGE_BYTES_MAX, lanes::skip_digits, lanes::skip_plain};

/// One value, or the name of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Its first byte: tells what it is (`{ [ " t f n`, else a number).
    pub(super) start: u32,
    /// Past its last byte.
    pub(super) end: u32,
    /// Of a container: the index of the node after its last descendant. Of a string: [`ESCAPED`] or 0.
    pub(super) meta: u32,
}

/// The string holds a backslash.
pub(super) const ESCAPED: u32 = 1;

/// Nodes kept allocated between messages; a larger tape is given back.
const NODES_KEPT_MAX: usize = 1 << 16;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It breaks the grammar; says which rule.
    Syntax(&'static str),
    /// Deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Longer than [`MESSAGE_BYTES_MAX`].
    TooLarge,
}

/// Where and why a message is not JSON we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The byte.
    pub at: usize,
    /// The reason.
    pub kind: FaultKind,
}

impl Fault {
    /// The same in a text before which there are `bytes` more.
    pub(crate) fn behind(self, bytes: usize) -> Self {
        Self { at: self.at + bytes, ..self }
    }
}

/// The positions of one message's values; cleared and filled by every [`Tape::scan`].
#[derive(Debug, Default)]
pub struct Tape {
    pub(super) nodes: Vec<Node>,
    pub(super) open: Vec<u32>,
    pub(super) shapes: Shapes,
    /// Of the message at hand, if it is one that messages have had before.
    pub(super) shape: Option<Shape>,
}

impl Tape {
    /// Reads `text`, which must be one JSON value with nothing but space around it.
    pub fn scan(&mut self, text: &str) -> Result<(), Fault> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(Fault { at: MESSAGE_BYTES_MAX, kind: FaultKind::TooLarge });
        }
        self.clear();
        let bytes = text.as_bytes();
        match self.shapes.follow(bytes, &mut self.nodes) {
            Followed::Whole(shape) => self.shape = Some(shape),
            Followed::Until(at) => {
                self.scan_from(bytes, at)?;
                self.shapes.learn(bytes, &self.nodes);
            }
        }
        Ok(())
    }

    /// Scans the rest of a message, of which all before `known` is on the tape.
    fn scan_from(&mut self, bytes: &[u8], known: usize) -> Result<(), Fault> {
        let end = self.document(bytes, known)?;
        let end = skip_space(bytes, end);
        if end < bytes.len() {
            return Err(syntax(end, "something follows the value"));
        }
        Ok(())
    }

    /// Forgets the message before.
    pub(super) fn clear(&mut self) {
        if self.nodes.capacity() > NODES_KEPT_MAX {
            self.nodes = Vec::new();
        }
        self.nodes.clear();
        self.open.clear();
        self.shape = None;
    }

    /// Scans one value and returns the position after it. What is on the tape already ends at `known`, with a scalar.
    fn document(&mut self, bytes: &[u8], known: usize) -> Result<usize, Fault> {
        let mut in_object = self.reopen(bytes);
        let mut value_follows = self.nodes.is_empty();
        let mut at = if value_follows { skip_space(bytes, 0) } else { known };
        loop {
            if value_follows {
                at = match byte(bytes, at) {
                    open @ (b'{' | b'[') => {
                        in_object = open == b'{';
                        let inner = self.open(bytes, at)?;
                        if byte(bytes, inner) == open + 2 {
                            in_object = self.close(bytes, inner);
                            inner + 1
                        } else {
                            at = if in_object { self.name(bytes, inner)? } else { inner };
                            continue;
                        }
                    }
                    _ => self.value(bytes, at)?,
                };
            }
            value_follows = true;
            // A value has just ended: close what it ends, or go on to the next one.
            loop {
                if self.open.is_empty() {
                    return Ok(at);
                }
                at = skip_space(bytes, at);
                match byte(bytes, at) {
                    b',' => {
                        let next = skip_space(bytes, at + 1);
                        at = if in_object { self.name(bytes, next)? } else { next };
                        break;
                    }
                    b'}' if in_object => in_object = self.close(bytes, at),
                    b']' if !in_object => in_object = self.close(bytes, at),
                    _ => return Err(unexpected(bytes, at, "expected `,` or the end of the array or object")),
                }
                at += 1;
            }
        }
    }

    /// Enters a container; returns the position of what is inside it.
    fn open(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        if self.open.len() == DEPTH_MAX {
            return Err(Fault { at, kind: FaultKind::TooDeep });
        }
        self.open.push(self.nodes.len() as u32);
        self.nodes.push(Node { start: at as u32, end: 0, meta: 0 });
        Ok(skip_space(bytes, at + 1))
    }

    /// Leaves the innermost container; says whether the one around it is an object.
    fn close(&mut self, bytes: &[u8], at: usize) -> bool {
        let index = self.open.pop().expect("invariant: only an open container closes");
        let after = self.nodes.len() as u32;
        let node = &mut self.nodes[index as usize];
        node.end = at as u32 + 1;
        node.meta = after;
        match self.open.last() {
            Some(&parent) => bytes[self.nodes[parent as usize].start as usize] == b'{',
            None => false,
        }
    }

    /// A member's name and its colon; returns the position of the value.
    #[inline(always)]
    fn name(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        if byte(bytes, at) != b'"' {
            return Err(unexpected(bytes, at, "expected a member's name in quotes"));
        }
        let name = string(bytes, at)?;
        self.nodes.push(name);
        let colon = skip_space(bytes, name.end as usize);
        if byte(bytes, colon) != b':' {
            return Err(unexpected(bytes, colon, "expected `:` after a member's name"));
        }
        Ok(skip_space(bytes, colon + 1))
    }

    /// A scalar; returns the position after it.
    #[inline]
    fn value(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let node = scalar(bytes, at)?;
        self.nodes.push(node);
        Ok(node.end as usize)
    }

    /// Finds the containers that have not ended yet; says whether the innermost is an object.
    fn reopen(&mut self, bytes: &[u8]) -> bool {
        let first = |node: &Node| bytes[node.start as usize];
        let unended = self.nodes.iter().zip(0..).filter(|(node, _)| {
            // What is after a container is known once it has ended, and is never the root.
            node.meta == 0 && matches!(first(node), b'{' | b'[')
        });
        self.open.extend(unended.map(|(_, index)| index));
        self.open.last().is_some_and(|&innermost| first(&self.nodes[innermost as usize]) == b'{')
    }
}

/// The scalar at `at`.
#[inline(always)]
pub(super) fn scalar(bytes: &[u8], at: usize) -> Result<Node, Fault> {
    let end = match byte(bytes, at) {
        b'"' => return string(bytes, at),
        b'-' | b'0'..=b'9' => number(bytes, at)?,
        b't' => word(bytes, at, b"true")?,
        b'f' => word(bytes, at, b"false")?,
        b'n' => word(bytes, at, b"null")?,
        _ => return Err(unexpected(bytes, at, "expected a value")),
    };
    Ok(Node { start: at as u32, end: end as u32, meta: 0 })
}

/// The string whose opening quote stands at `start`.
#[inline(always)]
fn string(bytes: &[u8], start: usize) -> Result<Node, Fault> {
    let mut at = start + 1;
    let mut meta = 0;
    loop {
        at = skip_plain(bytes, at);
        match byte(bytes, at) {
            b'"' => return Ok(Node { start: start as u32, end: at as u32 + 1, meta }),
            b'\\' => {
                meta = ESCAPED;
                at = escape(bytes, at)?;
            }
            _ if at >= bytes.len() => return Err(syntax(at, "the message ends within a string")),
            _ => return Err(syntax(at, "a control character stands unescaped in a string")),
        }
    }
}

/// The byte at `at`, or NUL past the end: no rule accepts NUL, so one check serves both.
#[inline(always)]
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline(always)]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// Whether a string of these bytes stands in JSON as it is.
#[inline]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    skip_plain(bytes, 0) == bytes.len()
}

/// Checks the escape at `at`; returns the position after it. Surrogates are judged where text is wanted.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match byte(bytes, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
        b'u' if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {
            Ok(at + 6)
        }
        _ => Err(syntax(at, "an escape that JSON does not know")),
    }
}

#[inline(always)]
fn number(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let first = if bytes[start] == b'-' { start + 1 } else { start };
    let mut at = skip_digits(bytes, first);
    if at == first || (byte(bytes, first) == b'0' && at > first + 1) {
        return Err(syntax(start, "a number needs digits, and no leading zero"));
    }
    if byte(bytes, at) == b'.' {
        let fraction = at + 1;
        at = skip_digits(bytes, fraction);
        if at == fraction {
            return Err(syntax(start, "a number needs a digit after its point"));
        }
    }
    if matches!(byte(bytes, at), b'e' | b'E') {
        at += 1;
        if matches!(byte(bytes, at), b'+' | b'-') {
            at += 1;
        }
        let exponent = at;
        at = skip_digits(bytes, exponent);
        if at == exponent {
            return Err(syntax(start, "a number needs a digit in its exponent"));
        }
    }
    Ok(at)
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    if bytes[at..].starts_with(word) {
        Ok(at + word.len())
    } else {
        Err(unexpected(bytes, at, "expected true, false or null"))
    }
}

fn syntax(at: usize, rule: &'static str) -> Fault {
    Fault { at, kind: FaultKind::Syntax(rule) }
}

fn unexpected(bytes: &[u8], at: usize, rule: &'static str) -> Fault {
    syntax(at, if at >= bytes.len() { "the message ends too early" } else { rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<FaultKind> {
        Tape::default().scan(text).err().map(|fault| fault.kind)
    }

    #[test]
    fn takes_what_the_grammar_takes() {
        for text in [
            "{}",
            "[]",
            " \t\r\n[ ] ",
            "0",
            "-0",
            "-1.5e-10",
            "1E+5",
            "\"\"",
            "\"a\\u00e9\\n\"",
            "\"\\ud800\"",
            "true",
            "[true,false,null,{\"a\":[{}],\"b\":{}}]",
            "{\"\":1}",
            "{\"a\":1,\"a\":2}",
            "\"é\u{1F600}\"",
            "[[],[],[[]]]",
            "123456789012345678901234567890",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_the_grammar_refuses() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "NaN",
            "nul",
            "truefalse",
            "tru",
            "Infinity",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"a\nb\"",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "{} x",
            "]",
            "}",
            ",",
            "[,]",
            "'a'",
            "\u{0}",
            "[1 2]",
            "//x\n1",
            "\"\\",
            "{\"a\":1}}",
            "\u{feff}1",
        ] {
            assert!(matches!(fault(text), Some(FaultKind::Syntax(_))), "{text:?}: {:?}", fault(text));
        }
    }

    #[test]
    fn depth_is_bounded_without_a_stack() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(fault(&nested(DEPTH_MAX)), None);
        assert_eq!(fault(&nested(DEPTH_MAX + 1)), Some(FaultKind::TooDeep));
        assert_eq!(fault(&nested(1_000_000)), Some(FaultKind::TooDeep));
        assert_eq!(fault(&"{\"a\":".repeat(10_000)), Some(FaultKind::TooDeep));
    }

    #[test]
    fn strings_end_where_they_end_at_every_alignment() {
        for pad in 0..40 {
            let plain = format!("[\"{}\",1]", "x".repeat(pad));
            assert_eq!(fault(&plain), None, "{plain}");
            let escaped = format!("[\"{}\\\"é\",1]", "x".repeat(pad));
            assert_eq!(fault(&escaped), None, "{escaped}");
            let control = format!("[\"{}\u{1f}\"]", "é".repeat(pad));
            assert!(fault(&control).is_some(), "{control:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn takes_exactly_what_another_parser_takes(text in r#"[\[\]{}",:0-9.eE+\-truefalsn\\ud\n é]{0,20}"#) {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            proptest::prop_assert_eq!(fault(&text).is_none(), other, "{}", text);
        }

        #[test]
        fn takes_what_another_printer_prints(value in value(), pretty: bool) {
            let print = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
            let text = print(&value).unwrap();
            proptest::prop_assert_eq!(fault(&text), None, "{}", text);
            proptest::prop_assert!(fault(&text[..text.len() - 1]).is_some() || value.is_number(), "{}", text);
        }
    }

    fn value() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let scalar = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        scalar.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
