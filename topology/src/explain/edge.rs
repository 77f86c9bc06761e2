//! What flows along each edge, and how normalizers find it.

use crate::model::{Case, Expr, Kind, MatchMode, Normalizer, Pointer, Topology};
use serde::Serialize;

/// One edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeNote {
    /// Who gives.
    pub from: String,
    /// Who takes.
    pub to: String,
    /// `messages` or `rows`.
    pub carries: &'static str,
    /// Of rows: the columns.
    pub columns: Vec<ColumnNote>,
    /// Links: one for each pair of clones.
    pub links: u64,
    /// Most batches of each.
    pub batches_max: u32,
    /// Most bytes of each.
    pub bytes_max: u64,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnNote {
    /// Its name.
    pub name: String,
    /// Its type, as written.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// How a normalizer finds its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NormalizerNote {
    /// Which.
    pub actor: String,
    /// `first` or `all` of the cases that apply.
    #[serde(rename = "match")]
    pub mode: &'static str,
    /// In order; one without name where the file has no `cases`.
    pub cases: Vec<CaseNote>,
    /// The field that is the event time.
    pub event_time: Option<String>,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseNote {
    /// Its name.
    pub name: String,
    /// What must be true, else it does not apply.
    pub when: Option<String>,
    /// Where the elements are of which each gives a row.
    pub explode: Option<String>,
    /// What must be true, else filtered.
    pub select: Vec<String>,
    /// What must be true, else a dead letter, by reason.
    pub require: Vec<(String, String)>,
}

pub(super) fn edges(topology: &Topology) -> Vec<EdgeNote> {
    let mut notes = Vec::new();
    for reader in &topology.actors {
        for giver in reader.from.iter().filter_map(|from| topology.actor(&from.value)) {
            let columns = topology.output_columns(giver);
            notes.push(EdgeNote {
                from: giver.name.value.clone(),
                to: reader.name.value.clone(),
                carries: if giver.kind.is_source() { "messages" } else { "rows" },
                columns: columns
                    .into_iter()
                    .map(|column| ColumnNote {
                        name: column.name,
                        kind: column.kind.to_string(),
                        nullable: column.nullable,
                    })
                    .collect(),
                links: u64::from(giver.parallelism.value) * u64::from(reader.parallelism.value),
                batches_max: reader.link.batches,
                bytes_max: reader.link.bytes,
            });
        }
    }
    notes
}

pub(super) fn normalizers(topology: &Topology) -> Vec<NormalizerNote> {
    let notes = topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::Normalizer(normalizer) => Some(note(&actor.name.value, normalizer)),
        _ => None,
    });
    notes.collect()
}

fn note(actor: &str, normalizer: &Normalizer) -> NormalizerNote {
    let case = |case: &Case| CaseNote {
        name: case.name.value.clone(),
        when: case.when.as_ref().map(|when| when.text.clone()),
        explode: case.explode.as_ref().map(Pointer::to_string),
        select: case.select.iter().map(|select| select.text.clone()).collect(),
        require: case
            .require
            .iter()
            .map(|(reason, Expr { text, .. })| (reason.clone(), text.clone()))
            .collect(),
    };
    NormalizerNote {
        actor: actor.to_owned(),
        mode: match normalizer.match_mode {
            MatchMode::First => "first",
            MatchMode::All => "all",
        },
        cases: normalizer.cases.iter().map(case).collect(),
        event_time: normalizer.event_time.as_ref().map(|time| time.field.value.clone()),
    }
}
