//! The functions of expressions: how each is called, what it takes, what it gives.

use super::types::Types;

/// What an argument may be.
#[derive(Clone, Copy)]
pub(super) struct Takes {
    pub(super) types: Types,
    /// In words.
    pub(super) words: &'static str,
}

const fn takes(types: Types, words: &'static str) -> Takes {
    Takes { types, words }
}

/// What a function gives.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    /// Always one of these, or null of null.
    Types(Types),
    /// True or false, also of null.
    Answer,
    /// What it was given.
    Same,
    /// A list of texts.
    Texts,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `x.name(..)`
    Method,
    /// `name(x)`
    Call,
    Either,
}

/// One function.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// The arguments, a method's own value first.
    pub(super) takes: &'static [Takes],
    /// How many of them must be there.
    pub(super) least: usize,
    pub(super) gives: Gives,
}

const TEXT: Takes = takes(Types::TEXT, "text");
/// A position: as lenient as `int(..)`.
const POSITION: Takes =
    takes(Types::NUMBERS.or(Types::TEXT).or(Types::TIME), "a position, which is a whole number");
const SIZED: Takes =
    takes(Types::TEXT.or(Types::LIST).or(Types::PART), "text, a list, or a part of the message");
const NUMBER: Takes = takes(Types::NUMBERS, "a number");
const DIGITS: Takes = takes(Types::NUMBERS.or(Types::TEXT), "a number, or text");
const COUNTED: Takes = takes(Types::NUMBERS.or(Types::TEXT).or(Types::TIME), "a number, text or a timestamp");
const WRITTEN: Takes = takes(
    Types::NUMBERS.or(Types::TEXT).or(Types::BOOL).or(Types::TIME).or(Types::DURATION),
    "a number, a bool, a time or text",
);
const TRUTH: Takes = takes(Types::BOOL.or(Types::TEXT), "a bool, or the text `true` or `false`");
const INSTANT: Takes = takes(
    Types::TIME.or(Types::TEXT).or(Types::INT).or(Types::NUMBER).or(Types::FRACTION).or(Types::DECIMAL),
    "RFC 3339 text, or a number of seconds",
);
const SPAN: Takes = takes(Types::DURATION.or(Types::TEXT), "text such as `\"1h30m\"`");
const DATED: Takes = takes(Types::TIME, "a timestamp");
const TIMED: Takes = takes(Types::TIME.or(Types::DURATION), "a timestamp or a duration");

const fn method(name: &'static str, takes: &'static [Takes], least: usize, gives: Gives) -> Function {
    Function { name, style: Style::Method, takes, least, gives }
}

const fn call(name: &'static str, takes: &'static [Takes], gives: Types) -> Function {
    Function { name, style: Style::Call, takes, least: 1, gives: Gives::Types(gives) }
}

const INT: Gives = Gives::Types(Types::INT);
const TEXTUAL: Gives = Gives::Types(Types::TEXT);

/// Every function but the macros.
pub(super) const FUNCTIONS: &[Function] = &[
    method("startsWith", &[TEXT, TEXT], 2, Gives::Answer),
    method("endsWith", &[TEXT, TEXT], 2, Gives::Answer),
    method("contains", &[TEXT, TEXT], 2, Gives::Answer),
    Function { name: "matches", style: Style::Either, takes: &[TEXT, TEXT], least: 2, gives: Gives::Answer },
    Function { name: "size", style: Style::Either, takes: &[SIZED], least: 1, gives: INT },
    method("replace", &[TEXT, TEXT, TEXT, POSITION], 3, TEXTUAL),
    method("substring", &[TEXT, POSITION, POSITION], 2, TEXTUAL),
    method("split", &[TEXT, TEXT, POSITION], 2, Gives::Texts),
    method("indexOf", &[TEXT, TEXT, POSITION], 2, INT),
    method("lastIndexOf", &[TEXT, TEXT], 2, INT),
    method("trim", &[TEXT], 1, TEXTUAL),
    method("lowerAscii", &[TEXT], 1, TEXTUAL),
    method("upperAscii", &[TEXT], 1, TEXTUAL),
    Function { name: "abs", style: Style::Call, takes: &[NUMBER], least: 1, gives: Gives::Same },
    call("decimal", &[DIGITS], Types::DECIMAL),
    call("double", &[DIGITS], Types::DOUBLE),
    call("int", &[COUNTED], Types::INT),
    call("uint", &[COUNTED], Types::INT),
    call("string", &[WRITTEN], Types::TEXT),
    call("bool", &[TRUTH], Types::BOOL),
    call("timestamp", &[INSTANT], Types::TIME),
    call("duration", &[SPAN], Types::DURATION),
    method("getFullYear", &[DATED, TEXT], 1, INT),
    method("getMonth", &[DATED, TEXT], 1, INT),
    method("getDate", &[DATED, TEXT], 1, INT),
    method("getDayOfMonth", &[DATED, TEXT], 1, INT),
    method("getDayOfWeek", &[DATED, TEXT], 1, INT),
    method("getDayOfYear", &[DATED, TEXT], 1, INT),
    method("getHours", &[TIMED, TEXT], 1, INT),
    method("getMinutes", &[TIMED, TEXT], 1, INT),
    method("getSeconds", &[TIMED, TEXT], 1, INT),
    method("getMilliseconds", &[TIMED, TEXT], 1, INT),
];

/// Macros, and how each is written. Where one is written otherwise, it reaches the checks as a call.
pub(super) const MACROS: &[(&str, &str)] = &[
    ("has", "has(msg.member)"),
    ("all", "list.all(x, condition of x)"),
    ("exists", "list.exists(x, condition of x)"),
    ("exists_one", "list.exists_one(x, condition of x)"),
    ("existsOne", "list.existsOne(x, condition of x)"),
    ("map", "list.map(x, value of x)"),
    ("filter", "list.filter(x, condition of x)"),
];

/// Functions of other languages.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    ("len", "size"),
    ("length", "size"),
    ("count", "size"),
    ("starts_with", "startsWith"),
    ("ends_with", "endsWith"),
    ("includes", "contains"),
    ("regex", "matches"),
    ("match", "matches"),
    ("float", "double"),
    ("number", "double"),
    ("str", "string"),
    ("to_string", "string"),
    ("toString", "string"),
    ("parse_int", "int"),
    ("to_int", "int"),
    ("to_float", "double"),
    ("to_bool", "bool"),
    ("to_timestamp", "timestamp"),
    ("parse_timestamp", "timestamp"),
    ("ts_parse", "timestamp"),
    ("downcase", "lowerAscii"),
    ("lowercase", "lowerAscii"),
    ("toLowerCase", "lowerAscii"),
    ("upcase", "upperAscii"),
    ("uppercase", "upperAscii"),
    ("toUpperCase", "upperAscii"),
    ("strip", "trim"),
    ("strip_whitespace", "trim"),
    ("find", "indexOf"),
    ("index_of", "indexOf"),
    ("exist", "has"),
    ("exists", "has"),
    ("is_null", "has"),
    ("replace_all", "replace"),
    ("slice", "substring"),
    ("map_each", "map"),
];

/// The function of that name.
pub(super) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Every word that may be called.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name).chain(MACROS.iter().map(|(name, _)| *name))
}

/// Whether a text written in the expression can become what the function makes of it.
pub(super) fn converts(name: &str, text: &str) -> bool {
    match name {
        "int" => text.parse::<i64>().is_ok(),
        "uint" => text.parse::<i64>().is_ok_and(|number| number >= 0),
        "double" | "decimal" => {
            let digits =
                text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
            digits && text.parse::<f64>().is_ok_and(f64::is_finite)
        }
        "bool" => matches!(text, "true" | "false"),
        "timestamp" => is_time(text),
        "duration" => is_duration(text),
        _ => true,
    }
}

/// RFC 3339, and the spellings beside it that are read: a comma, and an offset without its colon or minutes.
fn is_time(text: &str) -> bool {
    let text = text.replacen(',', ".", 1);
    let signs = text.len() > 19 && text.is_ascii();
    let offset = signs.then(|| text[19..].find(['+', '-'])).flatten().map(|at| at + 20);
    let text = match offset.map(|at| (at, text.len() - at)) {
        Some((_, 2)) => format!("{text}:00"),
        Some((at, 4)) => format!("{}:{}", &text[..at + 2], &text[at + 2..]),
        _ => text,
    };
    crate::lower::is_rfc3339(&text)
}

/// `1h30m`, `1.5s`, `-2ms`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let mut parts = 0;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(letters);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let known = matches!(&after[..unit], "h" | "m" | "s" | "ms" | "us" | "ns");
        if !known || number.parse::<f64>().is_err() {
            return false;
        }
        rest = &after[unit..];
        parts += 1;
    }
    parts > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_named_once_and_takes_something() {
        let mut all: Vec<&str> = names().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(FUNCTIONS.iter().all(|function| (1..=function.takes.len()).contains(&function.least)));
        assert!(FOREIGN.iter().all(|(_, ours)| names().any(|name| name == *ours)));
    }

    #[test]
    fn texts_that_convert() {
        for (name, text) in [
            ("timestamp", "2026-01-01T00:00:00Z"),
            ("timestamp", "2026-01-01 00:00:00,5+0200"),
            ("timestamp", "2026-01-01t00:00:00-05"),
            ("duration", "1h30m"),
            ("duration", "-1.5s"),
            ("decimal", "1e-7"),
        ] {
            assert!(converts(name, text), "{name} {text}");
        }
        for (name, text) in [
            ("timestamp", "yesterday"),
            ("timestamp", "2026-01-01"),
            ("duration", "5"),
            ("duration", ""),
            ("duration", "1d"),
            ("int", "1.5"),
            ("double", "nan"),
            ("bool", "yes"),
        ] {
            assert!(!converts(name, text), "{name} {text}");
        }
    }
}
