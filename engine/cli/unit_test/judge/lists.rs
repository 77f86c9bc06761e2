//! Rows and letters: what is missing, what is too many, and what is not as expected, each at its place.

use super::super::align::{Step, in_any_order, in_order};
use super::super::value::equal;
use super::{Failure, SHOWN_MAX, fields_differ};
use crate::output;
use aqueduct_actors::stand_in::{Place, Row};
use aqueduct_engine::Letter;
use aqueduct_topology::Spanned;
use aqueduct_topology::model::{ExpectedLetter, ExpectedRow, FieldType, RowOrder};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A row's columns, each as JSON.
type Fields = BTreeMap<String, Box<RawValue>>;

pub(super) fn rows(
    sink: &Spanned<String>,
    (wanted, order): (&Spanned<Vec<ExpectedRow>>, RowOrder),
    mut found: Vec<&Row>,
    kinds: &BTreeMap<String, FieldType>,
    failures: &mut Vec<Failure>,
) {
    if order == RowOrder::Read {
        out_of_order(sink, &found, failures);
        // What has no place keeps that of its arrival.
        found.sort_by(|left, right| left.place.cmp(&right.place));
    }
    let read: Vec<Fields> =
        found.iter().map(|row| serde_json::from_str(&row.json).unwrap_or_default()).collect();
    let get = |at: usize, name: &str| {
        read[at].get(name).map_or_else(|| "null".to_owned(), |value| value.get().to_owned())
    };
    let wanted_rows = &wanted.value;
    let same = |left: usize, right: usize| {
        wanted_rows[left].fields.iter().all(|(name, value)| {
            equal(&value.value, &get(right, &name.value), kinds.get(&name.value).copied())
        })
    };
    let steps = match order {
        RowOrder::Any => in_any_order(wanted_rows.len(), found.len(), same),
        RowOrder::Read | RowOrder::Arrival => in_order(wanted_rows.len(), found.len(), same),
    };
    let describe = |row: &ExpectedRow| {
        let fields: Vec<String> =
            row.fields.iter().map(|(name, value)| format!("{}: {}", name.value, value.value)).collect();
        format!("{{ {} }}", fields.join(", "))
    };
    let lines =
        |steps: &[Step]| difference(steps, |at| describe(&wanted_rows[at]), |at| found[at].json.clone());
    if is_uneven(&steps) {
        let rows = output::counted(found.len(), "row");
        let message = match wanted_rows.len() {
            same if same == found.len() => format!("`{}` has other rows, or in another order", sink.value),
            other => format!("`{}` has {rows}, not {other}", sink.value),
        };
        failures.push(Failure::new(wanted.span, message).seeing(lines(&steps)));
    }
    for step in steps {
        match step {
            Step::Other(left, right) => {
                let what = format!("`{}`, row {}", sink.value, right + 1);
                let get = |name: &str| get(right, name);
                fields_differ(&wanted_rows[left], get, kinds, (&what, &found[right].json), failures);
            }
            Step::Missing(left) => {
                let message = format!("`{}` lacks this row", sink.value);
                failures.push(Failure::new(wanted_rows[left].span, message));
            }
            // Named in the list, with what was expected around them.
            Step::Extra(_) | Step::Same(..) => {}
        }
    }
}

/// Whether something is missing or too many.
fn is_uneven(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Missing(_) | Step::Extra(_)))
}

/// Rows of one partition that came after later ones.
fn out_of_order(sink: &Spanned<String>, found: &[&Row], failures: &mut Vec<Failure>) {
    let mut last: BTreeMap<(&str, i32), &Place> = BTreeMap::new();
    for row in found.iter().filter(|row| !row.place.source.is_empty()) {
        let before = last.insert((&row.place.source, row.place.partition), &row.place);
        if let Some(before) = before.filter(|before| **before > row.place) {
            let message = format!(
                "`{}` got offset {} of partition {} after offset {}",
                sink.value, row.place.offset, row.place.partition, before.offset
            );
            failures.push(Failure::new(sink.span, message).seeing([row.json.clone()]));
        }
    }
}

/// The steps as lines: what is as expected, what is missing (`-`), what is too many (`+`). Long runs of what is as
/// expected are left out.
fn difference(
    steps: &[Step],
    expected: impl Fn(usize) -> String,
    found: impl Fn(usize) -> String,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut alike = 0;
    for step in steps {
        if let Step::Same(..) = step {
            alike += 1;
            continue;
        }
        if alike > 0 {
            lines.push(format!("  {} as expected", output::counted(alike, "row")));
            alike = 0;
        }
        match *step {
            Step::Other(left, right) => {
                lines.push(format!("- {}", expected(left)));
                lines.push(format!("+ {}", found(right)));
            }
            Step::Missing(left) => lines.push(format!("- {}", expected(left))),
            Step::Extra(right) => lines.push(format!("+ {}", found(right))),
            Step::Same(..) => {}
        }
    }
    if alike > 0 && !lines.is_empty() {
        lines.push(format!("  {} as expected", output::counted(alike, "row")));
    }
    if lines.len() > 2 * SHOWN_MAX {
        let more = lines.len() - 2 * SHOWN_MAX;
        lines.truncate(2 * SHOWN_MAX);
        lines.push(format!("  and {} more", output::counted(more, "line")));
    }
    lines
}

pub(super) fn letters(
    expected: &Spanned<Vec<ExpectedLetter>>,
    found: &[Letter],
    failures: &mut Vec<Failure>,
) {
    let found: Vec<&Letter> =
        found.iter().filter(|letter| !crate::rehearsal::is_door(&letter.actor)).collect();
    let fits = |part: &str, wanted: &str, letter: &Letter| {
        let value = part_of(letter, part);
        if part == "detail" { value.contains(wanted) } else { value == wanted }
    };
    let wanted = &expected.value;
    let same = |left: usize, right: usize| {
        wanted[left].parts.iter().all(|(part, value)| fits(part, &value.value, found[right]))
    };
    let steps = in_order(wanted.len(), found.len(), same);
    if is_uneven(&steps) {
        let describe = |letter: &ExpectedLetter| {
            let parts: Vec<String> =
                letter.parts.iter().map(|(part, value)| format!("{part}: {}", value.value)).collect();
            format!("{{ {} }}", parts.join(", "))
        };
        let lines = difference(&steps, |at| describe(&wanted[at]), |at| shown(found[at]));
        let letters = output::counted(found.len(), "dead letter");
        let message = match wanted.len() {
            same if same == found.len() => format!("{letters}, but not these"),
            other => format!("{letters}, not {other}"),
        };
        failures.push(Failure::new(expected.span, message).seeing(lines));
    }
    for step in steps {
        match step {
            Step::Other(left, right) => {
                for (part, value) in &wanted[left].parts {
                    if !fits(part, &value.value, found[right]) {
                        let is = part_of(found[right], part);
                        let message =
                            format!("dead letter {}: {part} is {is}, not {}", right + 1, value.value);
                        failures.push(Failure::new(value.span, message).seeing([shown(found[right])]));
                    }
                }
            }
            Step::Missing(left) => {
                failures.push(Failure::new(wanted[left].span, "this dead letter is not there".to_owned()));
            }
            Step::Extra(_) | Step::Same(..) => {}
        }
    }
}

fn shown(letter: &Letter) -> String {
    format!("{} rejected: {}: {}", letter.actor, letter.reason, letter.detail)
}

fn part_of(letter: &Letter, part: &str) -> String {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    };
    match part {
        "actor" => letter.actor.to_string(),
        "reason" => letter.reason.to_string(),
        "detail" => letter.detail.clone(),
        "key" => text(&letter.record_key),
        "payload" => text(&letter.payload),
        "partition" => letter.key.partition.to_string(),
        "offset" => letter.offset.to_string(),
        _ => letter.row.to_string(),
    }
}
