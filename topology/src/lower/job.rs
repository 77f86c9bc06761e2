//! `rollup` and `export` of a schedule.

use super::timescale_writer::table;
use super::{Context, Keys};
use crate::Spanned;
use crate::catalog::{EXPORT, Place, ROLLUP};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Aggregate, Export, Rollup, RollupColumn, Word, Work};
use crate::syntax::{Node, shortened};
use std::time::Duration;

const LATENESS: Duration = Duration::from_secs(15 * 60);
const MASTER: &str = "local[*]";
const WITHIN: Duration = Duration::from_secs(6 * 3600);
/// A bucket is a second at least: below that a roll-up is no smaller than its table.
const BUCKET_MIN: Duration = Duration::from_secs(1);

/// What goes with `run`: the part of that name, and no other.
pub(super) fn lower(
    cx: &Context<'_>,
    keys: &Keys<'_>,
    run: Option<&Spanned<Work>>,
) -> (Option<Rollup>, Option<Export>) {
    let parts = [(Work::Rollup, keys.get("rollup")), (Work::Export, keys.get("export"))];
    for (work, part) in parts {
        let (Some(run), word) = (run, work.word()) else { continue };
        match part {
            None if run.value == work => {
                let message = format!("`run: {word}` needs `{word}`, which says of what and into where");
                let finding = Diagnostic::error(Code::MissingKey, run.span, message);
                cx.report(finding.help(format!("write `{word}: {{ of: <a timescale_writer>, into: .. }}`")));
            }
            Some(node) if run.value != work => {
                let message =
                    format!("`{word}` means nothing to a schedule with `run: {}`", run.value.word());
                let finding = Diagnostic::error(Code::PolicyElsewhere, node.span, message);
                cx.report(finding.help(format!("leave it out, or write `run: {word}`")));
            }
            _ => {}
        }
    }
    let [(_, rollup_part), (_, export_part)] = parts;
    (rollup_part.and_then(|node| rollup(cx, node)), export_part.and_then(|node| export(cx, node)))
}

fn rollup(cx: &Context<'_>, node: &Node) -> Option<Rollup> {
    let keys = Keys::open(cx, node, Place::Actor, "`rollup`", &[ROLLUP])?;
    let of = keys.get("of").and_then(|node| cx.name(node));
    let into = keys.get("into").and_then(|node| table(cx, node));
    let bucket = keys.get("bucket").and_then(|node| {
        let bucket = cx.lasting(node)?;
        if bucket < BUCKET_MIN {
            cx.out_of_range(node, "a bucket is a second at least");
            return None;
        }
        Some(Spanned::new(bucket, node.span))
    });
    let by = keys.get("by").map_or_else(Vec::new, |node| cx.references(node));
    let columns = keys.get("columns").map_or_else(Vec::new, |node| columns(cx, node));
    let lateness = keys.get("lateness").and_then(|node| cx.duration(node)).unwrap_or(LATENESS);
    keys.close();
    Some(Rollup { of: of?, into: into?, bucket: bucket?, by, columns, lateness })
}

fn columns(cx: &Context<'_>, node: &Node) -> Vec<RollupColumn> {
    let Some(mapping) = node.mapping() else {
        let message = "`columns` names each column and what it is";
        let finding = Diagnostic::error(Code::WrongType, node.span, message);
        cx.report(finding.help("write `columns: { high: max(price), trades: count() }`"));
        return Vec::new();
    };
    if mapping.entries.is_empty() {
        let finding = Diagnostic::error(Code::UnfitJob, node.span, "a roll-up without columns says nothing");
        cx.report(finding.help("write `columns: { trades: count() }` for example"));
    }
    let named = mapping.entries.iter().filter(|entry| cx.check_column(&entry.key));
    named
        .filter_map(|entry| {
            let (aggregate, field) = aggregate(cx, &entry.value)?;
            Some(RollupColumn { name: entry.key.clone(), aggregate, field })
        })
        .collect()
}

/// `max(price)`, `count()`.
fn aggregate(cx: &Context<'_>, node: &Node) -> Option<(Aggregate, Option<Spanned<String>>)> {
    let text = cx.nonempty(node)?;
    let parts = text.value.trim().strip_suffix(')').and_then(|text| text.split_once('('));
    let place = parts.and_then(|(word, _)| Aggregate::WORDS.iter().position(|known| *known == word.trim()));
    let field = parts.map_or("", |(_, field)| field.trim());
    let plain = field.chars().all(|c| c.is_alphanumeric() || c == '_');
    let aggregate = place.map(|place| Aggregate::MEANINGS[place]);
    match aggregate {
        Some(Aggregate::Count) if field.is_empty() => return Some((Aggregate::Count, None)),
        Some(aggregate) if aggregate != Aggregate::Count && plain && !field.is_empty() => {
            return Some((aggregate, Some(Spanned::new(field.to_owned(), node.span))));
        }
        _ => {}
    }
    let interpolated = node.scalar().is_some_and(|scalar| scalar.interpolated);
    let message = match interpolated {
        true => "the value is no aggregate of a field".to_owned(),
        false => format!("`{}` is no aggregate of a field", shortened(&text.value)),
    };
    let known: Vec<&str> = Aggregate::WORDS.iter().copied().filter(|word| *word != "count").collect();
    let help = format!("write `count()`, or {} of one field, `max(price)` for example", known.join(", "));
    cx.report(Diagnostic::error(Code::NotAnAggregate, node.span, message).help(help));
    None
}

fn export(cx: &Context<'_>, node: &Node) -> Option<Export> {
    let keys = Keys::open(cx, node, Place::Actor, "`export`", &[EXPORT])?;
    let of = keys.get("of").and_then(|node| cx.name(node));
    let into = keys.get("into").and_then(|node| cx.nonempty(node));
    let partition_by = keys.get("partition_by").map_or_else(Vec::new, |node| cx.references(node));
    let lateness = keys.get("lateness").and_then(|node| cx.duration(node)).unwrap_or(LATENESS);
    let master = keys.get("master").and_then(|node| cx.nonempty(node));
    let within = keys.get("within").and_then(|node| cx.lasting(node)).unwrap_or(WITHIN);
    keys.close();
    let master = master.map_or_else(|| MASTER.to_owned(), |master| master.value);
    Some(Export { of: of?, into: into?, partition_by, lateness, master, within })
}
