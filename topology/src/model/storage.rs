//! What is declared of a table's life: how long rows are kept, how they are cut into chunks, how fast it may grow.

use super::{Actor, Kind, Rollup, Schedule, Topology, Work};
use crate::Spanned;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// The policies of a writer's table. What is not said is left as it is in the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TablePolicy {
    /// How long rows are kept, by their event time; `None` = for ever.
    pub retention: Option<Spanned<Duration>>,
    /// From which age on chunks are compressed, where the server's edition can.
    pub compress_after: Option<Spanned<Duration>>,
    /// The time that one chunk spans.
    pub chunk_interval: Option<Spanned<Duration>>,
    /// How fast the table is expected to grow.
    pub growth: Option<Spanned<Growth>>,
}

impl TablePolicy {
    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A table whose rows are kept for so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTable {
    /// `schema.table`.
    pub table: String,
    /// How long.
    pub retention: Duration,
}

/// `market.trades 2160h`.
impl Display for KeptTable {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.table, crate::plan::write::duration(self.retention))
    }
}

impl Topology {
    /// The tables that the topology writes and wants old rows to be dropped from.
    pub fn kept_tables(&self) -> impl Iterator<Item = KeptTable> {
        self.actors.iter().filter_map(|actor| match &actor.kind {
            Kind::TimescaleWriter(writer) => {
                let retention = writer.policy.retention.as_ref()?.value;
                Some(KeptTable { table: writer.table.value.clone(), retention })
            }
            _ => None,
        })
    }

    /// The roll-ups, with the schedules that fill them.
    pub fn rollups(&self) -> impl Iterator<Item = (&Actor, &Rollup)> {
        self.schedules(Work::Rollup).filter_map(|(actor, schedule)| Some((actor, schedule.rollup.as_ref()?)))
    }

    /// The schedules that do this work.
    pub fn schedules(&self, work: Work) -> impl Iterator<Item = (&Actor, &Schedule)> {
        self.actors.iter().filter_map(move |actor| match &actor.kind {
            Kind::Schedule(schedule) if schedule.run.value == work => Some((actor, &**schedule)),
            _ => None,
        })
    }
}

/// An expected growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Bytes a day, indexes included.
    pub bytes_per_day: u64,
}

/// `10GiB/d`.
impl Display for Growth {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}/d", crate::plan::write::bytes(self.bytes_per_day))
    }
}
