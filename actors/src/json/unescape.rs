//! The text a JSON string stands for.

/// Why a string has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoneSurrogate;

/// The text of `raw`, what stands between the quotes of a scanned string.
pub(super) fn unescape(raw: &str) -> Result<String, LoneSurrogate> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (letter, after) = rest[at + 1..].split_at(1);
        rest = after;
        text.push(match letter {
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let (unit, after) = code_unit(rest).ok_or(LoneSurrogate)?;
                rest = after;
                match unit {
                    0xd800..=0xdbff => {
                        let low = rest.strip_prefix("\\u").and_then(code_unit);
                        let Some((low @ 0xdc00..=0xdfff, after)) = low else { return Err(LoneSurrogate) };
                        rest = after;
                        let pair = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(pair).ok_or(LoneSurrogate)?
                    }
                    unit => char::from_u32(unit).ok_or(LoneSurrogate)?,
                }
            }
            // The scanner has let through only `"`, `\` and `/`, which stand for themselves.
            other => other.chars().next().ok_or(LoneSurrogate)?,
        });
    }
    text.push_str(rest);
    Ok(text)
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_what_they_stand_for() {
        for (raw, text) in [
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e9", "Aé"),
            (r"x\ud83d\ude00y", "x😀y"),
            (r"\u0000", "\u{0}"),
        ] {
            assert_eq!(unescape(raw).as_deref(), Ok(text), "{raw}");
        }
    }

    #[test]
    fn a_lone_surrogate_has_no_text() {
        for raw in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\u0041", r"\ud800\n", r"\ude00\ud83d"] {
            assert_eq!(unescape(raw), Err(LoneSurrogate), "{raw}");
        }
    }
}
