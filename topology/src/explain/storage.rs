//! How long the rows of a table are kept, and who carries out what is declared.

use crate::model::{Kind, Topology, Work};
use crate::plan::write::duration;
use serde::Serialize;

/// A table with a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableNote {
    /// `schema.table`.
    pub table: String,
    /// Who writes it.
    pub writer: String,
    /// What is declared, and who carries it out.
    pub policy: Vec<String>,
}

pub(super) fn tables(topology: &Topology) -> Vec<TableNote> {
    let schedule = topology.schedules(Work::Retention).next();
    let note = |actor: &crate::model::Actor| {
        let Kind::TimescaleWriter(writer) = &actor.kind else { return None };
        let mut policy = Vec::new();
        if let Some(retention) = &writer.policy.retention {
            let kept = duration(retention.value);
            policy.push(match schedule {
                Some((actor, schedule)) => format!(
                    "rows are kept {kept}; chunks past that are dropped by schedule `{}`, {}, on one node of all, but for \
                     those under a legal hold",
                    actor.name.value, schedule.every.value
                ),
                None => format!("rows are to be kept {kept}, and nobody drops older ones"),
            });
        }
        for (schedule, rollup) in topology.rollups().filter(|(_, rollup)| rollup.of.value == actor.name.value)
        {
            policy.push(format!(
                "rolled up into {}, {} a row, by schedule `{}`; no chunk is dropped before that",
                rollup.into.value,
                duration(rollup.bucket.value),
                schedule.name.value
            ));
        }
        if let Some(after) = &writer.policy.compress_after {
            let after = duration(after.value);
            policy.push(format!(
                "chunks are compressed after {after} by the server, where its edition can (`check --connect` says)"
            ));
        }
        if let Some(interval) = &writer.policy.chunk_interval {
            policy.push(format!("a chunk spans {}", duration(interval.value)));
        }
        if let Some(growth) = &writer.policy.growth {
            policy.push(format!("expected to grow by {} at most", growth.value));
        }
        let (table, writer) = (writer.table.value.clone(), actor.name.value.clone());
        (!policy.is_empty()).then_some(TableNote { table, writer, policy })
    };
    topology.actors.iter().filter_map(note).collect()
}
