//! `replay_source`.

use super::{Context, Keys};
use crate::Spanned;
use crate::model::{Kind, ReplayFormat, ReplaySource, TimeUnit};
use crate::syntax::{Node, Scalar};
use std::path::Path;

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>, name: &Spanned<String>) -> Kind {
    let file = keys.get("file").and_then(|node| cx.path(node)).unwrap_or_default();
    let format = keys.get("format").and_then(|node| cx.word(node, "a format"));
    Kind::ReplaySource(ReplaySource {
        format: format.unwrap_or_else(|| by_ending(&file.value)),
        topic: keys.get("topic").and_then(|node| cx.nonempty(node)).unwrap_or_else(|| name.clone()).value,
        time: keys.get("time").and_then(|node| cx.pointer(node)),
        time_unit: keys
            .get("time_unit")
            .and_then(|node| cx.word(node, "a unit of time"))
            .unwrap_or(TimeUnit::Millis),
        key: keys.get("key").and_then(|node| cx.pointer(node)),
        speed: keys.get("speed").and_then(|node| cx.positive(node)),
        partitions: keys.get("partitions").and_then(|node| cx.count(node, 1..=1_024)).unwrap_or(1),
        repeat: keys.get("repeat").map_or(Some(1), |node| repeat(cx, node)),
        file,
    })
}

fn by_ending(file: &Path) -> ReplayFormat {
    let name = file.to_string_lossy().to_ascii_lowercase();
    match name.strip_suffix(".gz").unwrap_or(&name).ends_with(".csv") {
        true => ReplayFormat::Csv,
        false => ReplayFormat::Jsonl,
    }
}

fn repeat(cx: &Context<'_>, node: &Node) -> Option<u32> {
    let forever = node.scalar().map(|scalar: &Scalar| scalar.text == "forever").unwrap_or(false);
    if forever { None } else { cx.count(node, 1..=i64::from(u32::MAX)).or(Some(1)) }
}
