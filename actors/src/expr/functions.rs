//! The functions of expressions, as methods (`x.trim()`) or calls (`abs(x)`), as CEL has them.
//!
//! Positions and sizes of text count characters. A question asked of null or of another type is answered false; any
//! other function of null is null.

use super::decimal::{Decimal, NumberFault};
use super::eval::{Evaluated, Fault};
use super::parts::Part;
use super::program::{Constant, TextTest};
use super::time::{self, TimeFault};
use super::value::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    StartsWith,
    EndsWith,
    Contains,
    Size,
    Replace,
    Substring,
    Split,
    IndexOf,
    LastIndexOf,
    Trim,
    LowerAscii,
    UpperAscii,
    Abs,
    Decimal,
    Double,
    Int,
    Text,
    Bool,
    Timestamp,
    Duration,
    Uint,
    Part(Part),
}

/// Name, whether it may be a method, whether a call, fewest and most arguments (a method's own value included).
const TABLE: &[(&str, Function, bool, bool, usize, usize)] = &[
    ("startsWith", Function::StartsWith, true, false, 2, 2),
    ("endsWith", Function::EndsWith, true, false, 2, 2),
    ("contains", Function::Contains, true, false, 2, 2),
    ("size", Function::Size, true, true, 1, 1),
    ("replace", Function::Replace, true, false, 3, 4),
    ("substring", Function::Substring, true, false, 2, 3),
    ("split", Function::Split, true, false, 2, 3),
    ("indexOf", Function::IndexOf, true, false, 2, 3),
    ("lastIndexOf", Function::LastIndexOf, true, false, 2, 2),
    ("trim", Function::Trim, true, false, 1, 1),
    ("lowerAscii", Function::LowerAscii, true, false, 1, 1),
    ("upperAscii", Function::UpperAscii, true, false, 1, 1),
    ("abs", Function::Abs, false, true, 1, 1),
    ("decimal", Function::Decimal, false, true, 1, 1),
    ("double", Function::Double, false, true, 1, 1),
    ("int", Function::Int, false, true, 1, 1),
    ("string", Function::Text, false, true, 1, 1),
    ("bool", Function::Bool, false, true, 1, 1),
    ("timestamp", Function::Timestamp, false, true, 1, 1),
    ("duration", Function::Duration, false, true, 1, 1),
    ("uint", Function::Uint, false, true, 1, 1),
    ("getFullYear", Function::Part(Part::FullYear), true, false, 1, 2),
    ("getMonth", Function::Part(Part::Month), true, false, 1, 2),
    ("getDate", Function::Part(Part::Date), true, false, 1, 2),
    ("getDayOfMonth", Function::Part(Part::DayOfMonth), true, false, 1, 2),
    ("getDayOfWeek", Function::Part(Part::DayOfWeek), true, false, 1, 2),
    ("getDayOfYear", Function::Part(Part::DayOfYear), true, false, 1, 2),
    ("getHours", Function::Part(Part::Hours), true, false, 1, 2),
    ("getMinutes", Function::Part(Part::Minutes), true, false, 1, 2),
    ("getSeconds", Function::Part(Part::Seconds), true, false, 1, 2),
    ("getMilliseconds", Function::Part(Part::Milliseconds), true, false, 1, 2),
];

/// Most pieces of a `split`.
const PIECES_MAX: usize = 4096;

impl Function {
    /// The function called `name` with so many arguments.
    pub(super) fn named(name: &str, method: bool, arguments: usize) -> Result<Self, String> {
        let Some(&(_, function, methods, calls, least, most)) = TABLE.iter().find(|entry| entry.0 == name)
        else {
            let known: Vec<_> = TABLE.iter().map(|entry| entry.0).collect();
            return Err(format!("unknown function `{name}`; there are matches, {}", known.join(", ")));
        };
        if method && !methods {
            return Err(format!("`{name}` is written {name}(x), not x.{name}()"));
        }
        if !method && !calls {
            return Err(format!("`{name}` is written x.{name}(..), not {name}(x, ..)"));
        }
        if !(least..=most).contains(&arguments) {
            return Err(format!("`{name}` does not take {} arguments", arguments - usize::from(method)));
        }
        Ok(function)
    }

    /// The same question as a node of its own.
    pub(super) fn text_test(self) -> Option<TextTest> {
        match self {
            Function::StartsWith => Some(TextTest::StartsWith),
            Function::EndsWith => Some(TextTest::EndsWith),
            Function::Contains => Some(TextTest::Contains),
            _ => None,
        }
    }

    /// The value of a conversion of a literal, found once: `timestamp("2026-01-01T00:00:00Z")`.
    pub(super) fn constant(self, text: &str) -> Result<Option<Constant>, String> {
        Ok(match (self, self.call(&mut std::iter::once(Ok(Value::Text(text.into()))))) {
            (Function::Timestamp | Function::Duration, Err(fault)) => return Err(fault.to_string()),
            (Function::Timestamp, Ok(Value::Time(time))) => Some(Constant::Time(time)),
            (Function::Duration, Ok(Value::Duration(micros))) => Some(Constant::Duration(micros)),
            _ => None,
        })
    }

    /// Its value for these arguments, of which there are as many as [`Function::named`] allowed.
    pub(super) fn call<'a>(self, arguments: &mut dyn Iterator<Item = Evaluated<'a>>) -> Evaluated<'a> {
        let mut next = || arguments.next().transpose();
        let subject = next()?.unwrap_or(Value::Null);
        let (second, third, fourth) = (next()?, next()?, next()?);
        if let Some(test) = self.text_test() {
            return Ok(Value::Bool(match (&subject, &second) {
                (Value::Text(text), Some(Value::Text(part))) => test.holds(text, part),
                _ => false,
            }));
        }
        match self {
            _ if subject.is_null() => Ok(Value::Null),
            Function::Size => size(&subject),
            Function::Abs => abs(subject),
            Function::Decimal => decimal(&subject),
            Function::Double => double(&subject),
            Function::Int => int(&subject),
            Function::Text => match subject.written() {
                Some(text) => Ok(Value::Text(Cow::Owned(text.into_owned()))),
                None => Err(unable("string", &subject)),
            },
            Function::Bool => match &subject {
                Value::Bool(value) => Ok(Value::Bool(*value)),
                Value::Text(text) if text == "true" => Ok(Value::Bool(true)),
                Value::Text(text) if text == "false" => Ok(Value::Bool(false)),
                _ => Err(unable("bool", &subject)),
            },
            Function::Timestamp => timestamp(&subject),
            Function::Duration => duration(&subject),
            Function::Uint => match int(&subject)? {
                Value::Int(number) if number < 0 => Err(unable("an unsigned number", &subject)),
                number => Ok(number),
            },
            Function::Part(part) => part.of(&subject, second.as_ref()),
            _ => self.text(subject, [second, third, fourth]),
        }
    }

    /// The functions of text. A borrowed text gives borrowed parts.
    fn text<'a>(self, subject: Value<'a>, arguments: [Option<Value<'a>>; 3]) -> Evaluated<'a> {
        let Value::Text(text) = &subject else { return Err(unable("a function of text", &subject)) };
        if arguments.iter().flatten().any(Value::is_null) {
            return Ok(Value::Null);
        }
        let argument = |index: usize| -> Result<&str, Fault> {
            match &arguments[index] {
                Some(Value::Text(text)) => Ok(text),
                Some(other) => Err(unable("an argument that is text", other)),
                None => Err(Fault::new("an argument is missing")),
            }
        };
        let number = |index: usize| arguments[index].as_ref().map(whole).transpose();
        Ok(match self {
            Function::Trim => part(text, str::trim),
            Function::LowerAscii => Value::Text(Cow::Owned(text.to_ascii_lowercase())),
            Function::UpperAscii => Value::Text(Cow::Owned(text.to_ascii_uppercase())),
            Function::Replace => {
                let (from, to) = (argument(0)?, argument(1)?);
                Value::Text(Cow::Owned(match number(2)? {
                    Some(times @ 0..) => text.replacen(from, to, times as usize),
                    _ => text.replace(from, to),
                }))
            }
            Function::Substring => {
                let (start, end) = (number(0)?.unwrap_or(0), number(1)?);
                let range = char_range(text, start, end)
                    .ok_or_else(|| Fault::new(format!("substring of {text:?}: the range lies outside it")))?;
                part(text, |text| &text[range])
            }
            Function::Split => {
                let limit =
                    number(1)?.map_or(PIECES_MAX, |limit| usize::try_from(limit).unwrap_or(PIECES_MAX));
                split(text, argument(0)?, limit.min(PIECES_MAX))
            }
            Function::IndexOf => {
                let skipped = number(1)?.unwrap_or(0);
                let range = char_range(text, skipped, None)
                    .ok_or_else(|| Fault::new(format!("indexOf in {text:?}: the start lies outside it")))?;
                position(text, text[range.start..].find(argument(0)?).map(|at| at + range.start))
            }
            _ => position(text, text.rfind(argument(0)?)),
        })
    }
}

pub(super) fn unable(what: &str, of: &Value<'_>) -> Fault {
    let mut described = of.describe();
    if let Some((cut, _)) = described.char_indices().nth(64) {
        described.truncate(cut);
        described.push_str("..");
    }
    Fault::new(format!("{described} does not become {what}"))
}

/// A part of a text, borrowed if the text is.
fn part<'a>(text: &Cow<'a, str>, cut: impl FnOnce(&str) -> &str) -> Value<'a> {
    match text {
        Cow::Borrowed(text) => Value::Text(Cow::Borrowed(cut(text))),
        Cow::Owned(text) => Value::Text(Cow::Owned(cut(text).to_owned())),
    }
}

fn char_range(text: &str, start: i64, end: Option<i64>) -> Option<std::ops::Range<usize>> {
    let byte_at = |position: i64| {
        let position = usize::try_from(position).ok()?;
        text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(position)
    };
    let start = byte_at(start)?;
    let end = end.map_or(Some(text.len()), byte_at)?;
    (start <= end).then_some(start..end)
}

fn position<'a>(text: &str, at: Option<usize>) -> Value<'a> {
    Value::Int(at.map_or(-1, |at| text[..at].chars().count() as i64))
}

fn split<'a>(text: &Cow<'a, str>, separator: &str, limit: usize) -> Value<'a> {
    let pieces: Vec<Value<'a>> = match text {
        _ if limit == 0 => Vec::new(),
        Cow::Borrowed(text) => {
            text.splitn(limit, separator).map(|piece| Value::Text(Cow::Borrowed(piece))).collect()
        }
        Cow::Owned(text) => {
            text.splitn(limit, separator).map(|piece| Value::Text(Cow::Owned(piece.to_owned()))).collect()
        }
    };
    Value::List(Arc::from(pieces))
}

fn size<'a>(of: &Value<'a>) -> Evaluated<'a> {
    let size = match of {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Node(node) if node.text().is_none() => node.len(),
        _ => return Err(unable("a size", of)),
    };
    Ok(Value::Int(size as i64))
}

fn abs(of: Value<'_>) -> Evaluated<'_> {
    let fault = || unable("an absolute value", &of);
    Ok(match &of {
        Value::Int(number) => Value::Int(number.checked_abs().ok_or_else(fault)?),
        Value::Double(number) => Value::Double(number.abs()),
        Value::Number(text) => Value::Number(text.strip_prefix('-').unwrap_or(text)),
        Value::Decimal(Decimal { units, scale }) => {
            Value::Decimal(Decimal { units: units.checked_abs().ok_or_else(fault)?, scale: *scale })
        }
        _ => return Err(fault()),
    })
}

fn decimal<'a>(of: &Value<'a>) -> Evaluated<'a> {
    let found = match of {
        Value::Text(text) => Decimal::parse(text).map_err(|fault| match fault {
            NumberFault::Malformed => unable("a decimal", of),
            NumberFault::Inexact => unable("a decimal without losing digits", of),
        })?,
        Value::Double(number) => Decimal::parse(&number.to_string()).map_err(|_| unable("a decimal", of))?,
        _ => of.to_decimal().ok_or_else(|| unable("a decimal", of))?,
    };
    Ok(Value::Decimal(found))
}

fn double<'a>(of: &Value<'a>) -> Evaluated<'a> {
    let number = match of {
        Value::Text(text) => finite(text),
        Value::Number(text) => finite(text),
        _ => of.to_f64(),
    };
    number.filter(|number| number.is_finite()).map(Value::Double).ok_or_else(|| unable("a double", of))
}

/// A finite double of a text of digits: `inf`, `nan` and words are none.
#[inline]
pub(crate) fn finite(text: &str) -> Option<f64> {
    short(text.as_bytes()).or_else(|| finite_at_length(text))
}

/// The double of up to 15 digits, a point among them or not. Their number and the power of ten are doubles exactly, so one
/// division rounds once, and rightly (Clinger, "How to read floating point numbers accurately", 1990).
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    const DIGITS_MAX: usize = 15;
    const POWERS: [f64; DIGITS_MAX + 1] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    // One more is the point.
    if digits.len() > DIGITS_MAX + 1 {
        return None;
    }
    let (mut number, mut point) = (0_u64, None);
    for (at, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let decimals = match point {
        None if digits.is_empty() || digits.len() > DIGITS_MAX => return None,
        None => 0,
        Some(at) if at == 0 || at + 1 == digits.len() => return None,
        Some(at) => digits.len() - at - 1,
    };
    let size = number as f64 / POWERS[decimals];
    Some(if negative { -size } else { size })
}

fn finite_at_length(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| digits && number.is_finite())
}

fn int<'a>(of: &Value<'a>) -> Evaluated<'a> {
    let number = match of {
        Value::Int(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        // As in CEL, neither end: there the nearest double may be that of a number beyond it.
        Value::Double(number) if *number > i64::MIN as f64 && *number < i64::MAX as f64 => {
            Some(*number as i64)
        }
        Value::Time(micros) => Some(micros.div_euclid(time::SECOND_US)),
        // Cut towards zero, as CEL does.
        Value::Number(_) | Value::Decimal(_) => of.to_decimal().and_then(|number| {
            let divisor = super::decimal::power_of_ten(number.scale)?;
            i64::try_from(number.units / divisor).ok()
        }),
        _ => None,
    };
    number.map(Value::Int).ok_or_else(|| unable("a whole number of 64 bits", of))
}

fn timestamp<'a>(of: &Value<'a>) -> Evaluated<'a> {
    let found = match of {
        Value::Time(time) => Ok(*time),
        Value::Text(text) => time::parse_iso(text, None),
        // As in CEL, a number is seconds.
        Value::Int(number) => time::parse_number(&number.to_string(), 0),
        Value::Number(text) => time::parse_number(text, 0),
        Value::Decimal(number) => time::parse_number(&number.to_string(), 0),
        _ => Err(TimeFault::Malformed),
    };
    found.map(Value::Time).map_err(|fault| match fault {
        TimeFault::NoZone => unable("a timestamp: it has no offset", of),
        TimeFault::OutOfRange => unable("a timestamp of the years 1 to 9999", of),
        TimeFault::Malformed => unable("a timestamp", of),
    })
}

/// `1h30m`, `1.5s`, `-2ms`, `10us`.
fn duration<'a>(of: &Value<'a>) -> Evaluated<'a> {
    match of {
        Value::Duration(micros) => Ok(Value::Duration(*micros)),
        Value::Text(text) => duration_us(text).map(Value::Duration).ok_or_else(|| unable("a duration", of)),
        _ => Err(unable("a duration", of)),
    }
}

fn duration_us(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut total = 0i128;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|byte: char| !byte.is_ascii_digit() && byte != '.')?;
        let number = Decimal::parse(&rest[..digits]).ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|byte: char| byte.is_ascii_digit()).unwrap_or(rest.len());
        let nanos: i128 = match &rest[..letters] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        rest = &rest[letters..];
        let scaled = number.units.checked_mul(nanos)? / super::decimal::power_of_ten(number.scale)?;
        total = total.checked_add(scaled)?;
    }
    let micros = i64::try_from(total / 1000).ok()?;
    Some(if negative { -micros } else { micros })
}

fn whole(value: &Value<'_>) -> Result<i64, Fault> {
    match int(value)? {
        Value::Int(number) => Ok(number),
        _ => Err(unable("a position", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// To the last bit, whichever way it takes.
        #[test]
        fn a_double_is_what_the_standard_library_reads(text in r"-?[0-9]{0,18}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|number| number.is_finite());
            prop_assert_eq!(finite(&text).map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
        }
    }

    #[test]
    fn what_is_no_number_of_digits_is_none() {
        for text in ["", "-", ".", "-.", "1..2", "1.2.3", "--1", "inf", "NaN", "1e999", "0x10", " 1", "1_000"]
        {
            assert_eq!(finite(text), None, "{text}");
        }
        assert_eq!(finite("-0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }
}
