//! `kafka_source`.

use super::{Context, Keys};
use crate::Spanned;
use crate::model::{KafkaSource, Kind, Start};
use crate::syntax::Node;
use std::time::Duration;

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>, node: &Node) -> Kind {
    Kind::KafkaSource(KafkaSource {
        topic: cx.topic(keys.get("topic")),
        start: keys
            .get("start")
            .and_then(|node| cx.start(node))
            .unwrap_or(Spanned::new(Start::Earliest, node.span)),
        group_protocol: keys
            .get("group_protocol")
            .and_then(|node| cx.word(node, "a group protocol"))
            .unwrap_or_default(),
        membership: keys
            .get("membership")
            .and_then(|node| cx.word(node, "a kind of membership"))
            .unwrap_or_default(),
        batch_rows: keys.get("batch_rows").and_then(|node| cx.count(node, 1..=65_536)).unwrap_or(8_192),
        linger: keys.get("linger").and_then(|node| cx.duration(node)).unwrap_or(Duration::from_millis(5)),
    })
}
