//! YAML tags: they mean nothing here, so that no value is read as anything but what it looks like.

use super::Context;
use crate::diagnostic::{Code, Diagnostic};
use crate::syntax::{Node, Value, shortened};

/// Reports every tag but those that an expression was taken for, which are reported as such, and those within `tests`.
pub(crate) fn report_tags(cx: &Context<'_>, node: &Node) {
    if let Some(tag) = node.tag.as_ref().filter(|_| !cx.is_doubtful(node.span)) {
        let finding = Diagnostic::error(
            Code::UnknownTag,
            node.span,
            format!("the tag `{}` means nothing here", shortened(&tag.text)),
        );
        cx.report(finding.help("remove it; a text that begins with `!` stands in quotes"));
    }
    match &node.value {
        Value::Scalar(_) => {}
        Value::Sequence(nodes) => nodes.iter().for_each(|node| report_tags(cx, node)),
        Value::Mapping(mapping) => {
            let entries = mapping.entries.iter().filter(|entry| entry.key.value != "tests");
            entries.for_each(|entry| report_tags(cx, &entry.value));
        }
    }
}
