//! `timescale_writer`.

use super::storage;
use super::values::is_name;
use super::{Context, Keys};
use crate::Spanned;
use crate::catalog::{FLUSH, Place};
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::{IDENTIFIER_BYTES_MAX, TRANSACTIONS_MAX};
use crate::model::{Flush, Kind, TimescaleWriter};
use crate::syntax::Node;
use std::time::Duration;

const FLUSH_DEFAULT: Flush = Flush { rows: 16_384, bytes: 8 << 20, interval: Duration::from_millis(3) };
const TRANSACTIONS_DEFAULT: u32 = 1;

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Kind {
    Kind::TimescaleWriter(TimescaleWriter {
        table: keys.get("table").and_then(|node| table(cx, node)).unwrap_or_default(),
        flush: keys.get("flush").and_then(|node| flush(cx, node)).unwrap_or(FLUSH_DEFAULT),
        transactions: keys
            .get("transactions")
            .and_then(|node| cx.count(node, 1..=TRANSACTIONS_MAX))
            .unwrap_or(TRANSACTIONS_DEFAULT),
        unique: keys.get("unique").map_or_else(Vec::new, |node| cx.references(node)),
        on_conflict: keys
            .get("on_conflict")
            .and_then(|node| cx.word(node, "what becomes of a row whose key is there"))
            .unwrap_or_default(),
        order_by: keys.get("order_by").and_then(|node| cx.nonempty(node)),
        policy: storage::lower(cx, keys),
    })
}

/// The name of a table, with its schema.
pub(super) fn table(cx: &Context<'_>, node: &Node) -> Option<Spanned<String>> {
    let text = cx.nonempty(node)?;
    let fits = |part: &str| is_name(part) && !part.contains('-') && part.len() <= IDENTIFIER_BYTES_MAX;
    match text.value.split_once('.') {
        Some((schema, table)) if fits(schema) && fits(table) => Some(text),
        _ => {
            let help = match text.value.contains('.') {
                true => {
                    "schema and table are letters, digits and `_`, at most 63 each, and begin with no digit"
                        .to_owned()
                }
                false if fits(&text.value) => format!("write the schema too: `market.{}`", text.value),
                false => "write `schema.table`, in letters, digits and `_`".to_owned(),
            };
            cx.report(Diagnostic::error(Code::NotATable, node.span, "a table is `schema.table`").help(help));
            None
        }
    }
}

fn flush(cx: &Context<'_>, node: &Node) -> Option<Flush> {
    let keys = Keys::open(cx, node, Place::Actor, "`flush`", &[FLUSH])?;
    let flush = Flush {
        rows: keys.get("rows").and_then(|node| cx.count(node, 1..=1_000_000)).unwrap_or(FLUSH_DEFAULT.rows),
        bytes: keys.get("bytes").and_then(|node| cx.size(node)).unwrap_or(FLUSH_DEFAULT.bytes),
        interval: keys.get("interval").and_then(|node| cx.duration(node)).unwrap_or(FLUSH_DEFAULT.interval),
    };
    keys.close();
    Some(flush)
}
