//! Names of types.

use super::Context;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::model::FieldType;
use crate::syntax::{Node, shortened};

/// The types as they are written.
const NAMES: &[&str] = &["text", "int64", "float64", "decimal(p,s)", "bool", "timestamp", "json"];

/// What others call them.
const FOREIGN: &[(&str, &str)] = &[
    ("string", "text"),
    ("str", "text"),
    ("varchar", "text"),
    ("int", "int64"),
    ("integer", "int64"),
    ("bigint", "int64"),
    ("long", "int64"),
    ("i64", "int64"),
    ("float", "float64"),
    ("double", "float64"),
    ("real", "float64"),
    ("f64", "float64"),
    ("numeric", "decimal(p,s)"),
    ("decimal", "decimal(p,s)"),
    ("number", "float64"),
    ("boolean", "bool"),
    ("timestamptz", "timestamp"),
    ("datetime", "timestamp"),
    ("time", "timestamp"),
    ("jsonb", "json"),
    ("object", "json"),
];

impl Context<'_> {
    /// A type of the row.
    pub(super) fn field_type(&self, node: &Node) -> Option<FieldType> {
        let text = self.text(node)?;
        match parse(&text.value) {
            Ok(kind) => Some(kind),
            Err(help) => {
                let message = format!("`{}` is no type", shortened(&text.value));
                self.report(Diagnostic::error(Code::UnknownType, node.span, message).help(help));
                None
            }
        }
    }
}

fn parse(text: &str) -> Result<FieldType, String> {
    Ok(match text {
        "text" => FieldType::Text,
        "int64" => FieldType::Int64,
        "float64" => FieldType::Float64,
        "bool" => FieldType::Bool,
        "timestamp" => FieldType::Timestamp,
        "json" => FieldType::Json,
        _ => return decimal(text),
    })
}

fn decimal(text: &str) -> Result<FieldType, String> {
    let Some(arguments) =
        text.strip_prefix("decimal").or_else(|| text.strip_prefix("numeric")).filter(|rest| !rest.is_empty())
    else {
        let lower = text.to_ascii_lowercase();
        let ours = FOREIGN.iter().find(|(word, _)| *word == lower).map(|(_, ours)| *ours);
        return Err(match ours.or_else(|| nearest(text, NAMES.iter().copied())) {
            Some("decimal(p,s)") => {
                "write its digits in all and after the point: `\"decimal(18,8)\"`".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", NAMES.join(", ")),
        });
    };
    let digits = arguments
        .trim()
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|inner| inner.split_once(','));
    let numbers =
        digits.and_then(|(p, s)| Some((p.trim().parse::<u8>().ok()?, s.trim().parse::<u8>().ok()?)));
    match numbers {
        Some((precision, scale))
            if text.starts_with("decimal") && (1..=38).contains(&precision) && scale <= precision =>
        {
            Ok(FieldType::Decimal { precision, scale })
        }
        _ => {
            Err("write `decimal(p,s)`: p digits in all, 1 to 38, of them s after the point, 0 to p"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_as_it_is_written() {
        let decimal = FieldType::Decimal { precision: 38, scale: 18 };
        for kind in [
            FieldType::Text,
            FieldType::Int64,
            FieldType::Float64,
            decimal,
            FieldType::Bool,
            FieldType::Timestamp,
            FieldType::Json,
        ] {
            assert_eq!(parse(&kind.to_string()), Ok(kind));
        }
        assert_eq!(parse("String"), Err("did you mean `text`?".to_owned()));
        assert!(
            parse("decimal(39,1)").is_err()
                && parse("decimal(2,3)").is_err()
                && parse("decimal(a,b)").is_err()
        );
    }
}
