//! The policies of a table, and how growth is written.

use super::{Context, Keys, quantity};
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Growth, TablePolicy};
use crate::syntax::{Node, shortened};
use std::time::Duration;

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> TablePolicy {
    let lasting = |key: &'static str| {
        let node = keys.get(key)?;
        Some(Spanned::new(cx.lasting(node)?, node.span))
    };
    let (retention, compress_after, chunk_interval) =
        (lasting("retention"), lasting("compress_after"), lasting("chunk_interval"));
    let growth = keys.get("growth").and_then(|node| growth(cx, node));
    // What has been refused contradicts nothing.
    check(cx, retention.as_ref(), compress_after.as_ref(), chunk_interval.as_ref());
    TablePolicy { retention, compress_after, chunk_interval, growth }
}

fn check(
    cx: &Context<'_>,
    retention: Option<&Spanned<Duration>>,
    compress_after: Option<&Spanned<Duration>>,
    chunk_interval: Option<&Spanned<Duration>>,
) {
    let Some(retention) = retention else { return };
    if let Some(compress) = compress_after.filter(|compress| compress.value >= retention.value) {
        let message = "chunks would be dropped before they are compressed";
        let finding = Diagnostic::error(Code::UnfitPolicy, compress.span, message);
        cx.report(
            finding
                .also(retention.span, "how long they are kept")
                .help("compress sooner than `retention`, or leave `compress_after` out"),
        );
    }
    if let Some(interval) = chunk_interval.filter(|interval| interval.value > retention.value) {
        let message = "one chunk spans more than rows are kept, and only whole chunks are dropped";
        let finding = Diagnostic::error(Code::UnfitPolicy, interval.span, message);
        cx.report(
            finding
                .also(retention.span, "how long they are kept")
                .help("let a chunk span a tenth of `retention`, or less"),
        );
    }
}

fn growth(cx: &Context<'_>, node: &Node) -> Option<Spanned<Growth>> {
    let text = cx.nonempty(node)?;
    let read = |text: &str| {
        let (size, per) = text.rsplit_once('/')?;
        let times = match per.trim() {
            "h" => 24,
            "d" => 1,
            _ => return None,
        };
        let bytes = quantity::size(size.trim()).ok().filter(|bytes| *bytes > 0)?;
        Some(Growth { bytes_per_day: bytes.checked_mul(times)? })
    };
    let growth = read(&text.value);
    if growth.is_none() {
        let interpolated = node.scalar().is_some_and(|scalar| scalar.interpolated);
        let message = match interpolated {
            true => "the value is no growth".to_owned(),
            false => format!("`{}` is no growth", shortened(&text.value)),
        };
        let finding = Diagnostic::error(Code::NotASize, node.span, message);
        cx.report(finding.help("write a size for each hour or day, such as `500MiB/h` or `10GiB/d`"));
    }
    growth.map(|growth| Spanned::new(growth, node.span))
}
