//! Defaults: read by the rules of their field's type before any message is.

use super::Graph;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, is_rfc3339};
use crate::model::{Field, FieldType};

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    let cases = graph.normalizers().flat_map(|(_, normalizer)| &normalizer.cases);
    for field in cases.flat_map(|case| &case.fields).filter(|field| !cx.is_doubtful(field.name.span)) {
        let Some(default) = &field.default else { continue };
        if accepts(field, &default.text) {
            continue;
        }
        let message = format!("the default of `{}` is no {}", field.name.value, field.kind);
        let finding =
            Diagnostic::error(Code::UnfitDefault, default.span, message).also(field.name.span, "the field");
        cx.report(finding.help("a default is written as a message would write the value"));
    }
}

pub(super) fn accepts(field: &Field, text: &str) -> bool {
    match field.kind {
        FieldType::Text => field.max_bytes.is_none_or(|most| text.len() <= most),
        FieldType::Int64 => text.parse::<i64>().is_ok(),
        FieldType::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
        FieldType::Bool => matches!(text, "true" | "false"),
        FieldType::Json => serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(),
        FieldType::Timestamp => text.parse::<f64>().is_ok_and(f64::is_finite) || is_rfc3339(text),
        FieldType::Decimal { precision, scale } => decimal(text, precision, scale),
    }
}

/// Plain digits that fit; exponents are for messages.
fn decimal(text: &str, precision: u8, scale: u8) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let whole_digits = whole.trim_start_matches('0').len();
    digits(whole)
        && digits(fraction)
        && !whole.is_empty()
        && whole_digits <= usize::from(precision - scale)
        && fraction.trim_end_matches('0').len() <= usize::from(scale)
}
