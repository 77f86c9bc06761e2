//! Defaults: read by the rules of their field's type before any message is.

use super::Graph;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, accepts};

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
