//! `kafka_sink`.

use super::{Context, Keys};
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{KafkaSink, Kind};
use crate::syntax::{Node, shortened};

/// Kafka's own bound.
const TOPIC_BYTES_MAX: usize = 249;

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Kind {
    Kind::KafkaSink(KafkaSink {
        topic: cx.topic(keys.get("topic")),
        key: keys.get("key").and_then(|node| cx.template(node)),
    })
}

impl Context<'_> {
    /// The name of a topic; the empty one stands in for what is missing or wrong.
    pub(super) fn topic(&self, node: Option<&Node>) -> Spanned<String> {
        let Some(text) = node.and_then(|node| self.nonempty(node)) else { return Spanned::default() };
        let legal =
            text.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if legal && text.value.len() <= TOPIC_BYTES_MAX && text.value != "." && text.value != ".." {
            return text;
        }
        let finding = Diagnostic::error(
            Code::NotAName,
            text.span,
            format!("`{}` cannot be a topic", shortened(&text.value)),
        )
        .help("Kafka allows a-z, A-Z, 0-9, `.`, `_`, `-`, at most 249 of them");
        self.report(finding);
        Spanned::default()
    }
}
