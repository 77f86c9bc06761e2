//! The part of a topology through which a table is filled again: its sources, its normalizers, its writer.
//!
//! Pure. Only that table is filled: caches keep what is newer anyhow (`cache rebuild` mends them), a topic would get old
//! records as if they were new. Between normalizers and writer stands an actor that lets only rows of the range pass.

use super::SOURCE_PREFIX;
use crate::lane::part::{self, named, plain, renamed};
use aqueduct_topology::model::{Actor, Kind, Policy, TimescaleWriter, Topology};
use std::sync::Arc;

/// The name of the actor that lets only rows of the range pass.
pub const ROWS: &str = "backfill:rows";

/// Who fills a table in the file.
#[derive(Clone, Copy, Debug)]
pub struct Way<'t> {
    topology: &'t Topology,
    /// The sink.
    pub writer: &'t Actor,
    /// Its options.
    pub options: &'t TimescaleWriter,
}

/// One source of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name and identity in the lane.
    pub name: Arc<str>,
    /// The identity of the source in whose place it reads.
    pub of: String,
    /// Where its records are.
    pub topic: String,
}

/// A part of a topology, ready to be run.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Under the topology's own name, so that letters of it are found where all are.
    pub topology: Arc<Topology>,
    /// What it reads.
    pub sources: Vec<Source>,
    /// The writer's identity.
    pub sink: Arc<str>,
}

impl<'t> Way<'t> {
    /// To `table`, or to the only one; the error says which there are.
    pub fn find(topology: &'t Topology, table: Option<&str>) -> Result<Self, String> {
        let writer = |actor: &'t Actor| match &actor.kind {
            Kind::TimescaleWriter(options) => Some(Way { topology, writer: actor, options }),
            _ => None,
        };
        let ways: Vec<Self> = topology.actors.iter().filter_map(writer).collect();
        let tables = || ways.iter().map(|way| way.table()).collect::<Vec<_>>().join(", ");
        match (table, ways.as_slice()) {
            (_, []) => Err(format!(
                "topology `{}` writes no table: it has no timescale_writer, and a backfill fills tables; `aqueduct cache \
                 rebuild FILE` fills caches",
                topology.name.value
            )),
            (None, [way]) => Ok(*way),
            (None, _) => Err(format!("say which of its tables with --table: {}", tables())),
            (Some(table), _) => ways.iter().find(|way| way.table() == table).copied().ok_or_else(|| {
                format!("no timescale_writer of the file writes `{table}`; its tables are: {}", tables())
            }),
        }
    }

    /// The table.
    pub fn table(&self) -> &'t str {
        &self.options.table.value
    }

    /// The topology.
    pub fn topology(&self) -> &'t Topology {
        self.topology
    }

    /// The topology's name.
    pub fn topology_name(&self) -> &'t str {
        &self.topology.name.value
    }

    /// The event time of its rows, if a normalizer says so.
    pub fn event_time(&self) -> Option<&'t str> {
        self.topology.input_event_time(self.writer)
    }

    /// The sources whose records reach it through normalizers, with their topics.
    pub fn sources(&self) -> Result<Vec<(&'t Actor, &'t str)>, String> {
        let mut sources: Vec<(&Actor, &str)> = Vec::new();
        for normalizer in self.normalizers()? {
            for source in normalizer.from.iter().filter_map(|from| self.topology.actor(&from.value)) {
                let topic = match &source.kind {
                    Kind::KafkaSource(options) => &*options.topic.value,
                    Kind::ReplaySource(options) => &*options.topic,
                    kind => return Err(self.beyond(source, kind)),
                };
                if sources.iter().all(|(known, _)| known.name != source.name) {
                    sources.push((source, topic));
                }
            }
        }
        Ok(sources)
    }

    fn normalizers(&self) -> Result<Vec<&'t Actor>, String> {
        let above = self.writer.from.iter().filter_map(|from| self.topology.actor(&from.value));
        above
            .map(|actor| match &actor.kind {
                Kind::Normalizer(_) => Ok(actor),
                kind => Err(self.beyond(actor, kind)),
            })
            .collect()
    }

    fn beyond(&self, actor: &Actor, kind: &Kind) -> String {
        format!(
            "`{}` is fed by `{}`, a {}: what it gives depends on when it is asked, and cannot be made again from records",
            self.table(),
            actor.name.value,
            kind.name()
        )
    }

    /// The lane number `id`, in which those of its sources are read that `read` names. The places of records of a file say
    /// nothing of the topic's: they are in a topic of the lane's own, or a letter would be taken for that of another record.
    pub fn lane(&self, id: i64, read: &[&str], from_file: bool) -> Result<Lane, String> {
        let sources: Vec<(&Actor, Source)> = self
            .sources()?
            .into_iter()
            .filter(|(source, _)| read.contains(&source.id.value.as_str()))
            .map(|(source, topic)| {
                let of = source.id.value.clone();
                let topic = if from_file { format!("{SOURCE_PREFIX}{id}") } else { topic.to_owned() };
                (source, Source { name: name(id, &of).into(), of, topic })
            })
            .collect();
        let mut actors: Vec<Actor> = part::letters(self.topology).into_iter().collect();
        let mut judges = Vec::new();
        for normalizer in self.normalizers()? {
            let reads = |source: &Actor| normalizer.from.iter().any(|from| from.value == source.name.value);
            let from: Vec<_> = sources
                .iter()
                .filter(|(source, _)| reads(source))
                .map(|(_, lane)| named(&lane.name))
                .collect();
            if !from.is_empty() {
                judges.push(normalizer.name.clone());
                actors.push(plain(normalizer, from));
            }
        }
        let Some(first) = self.normalizers()?.into_iter().find(|one| judges.contains(&one.name)) else {
            return Err(format!("no source of `{}` is read", self.table()));
        };
        for (source, lane) in &sources {
            actors.push(part::source(source, &lane.name, &lane.topic));
        }
        // It is a normalizer to whoever asks for the columns of the sink; what it does is said where it is made.
        actors.push(renamed(first, ROWS, judges));
        let flushed = Actor { policy: Policy::Required, ..plain(self.writer, vec![named(ROWS)]) };
        actors.push(flushed);
        let topology = part::part(self.topology, actors);
        let sink = self.writer.id.value.as_str().into();
        let sources = sources.into_iter().map(|(_, source)| source).collect();
        Ok(Lane { topology: Arc::new(topology), sources, sink })
    }
}

/// The identity of the source `of` in lane `id`.
pub(super) fn name(id: i64, of: &str) -> String {
    format!("{SOURCE_PREFIX}{id}:{of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPOLOGY: &str = r#"
topology: t
connections: { kafka: { bootstrap: "k:9092" }, timescale: { url: "postgres://u@h/d" }, redis: { url: "redis://r" } }
actors:
  a: { kind: kafka_source, topic: ta }
  b: { kind: kafka_source, topic: tb }
  one: { kind: normalizer, from: a, fields: { ts: { type: timestamp, path: /t, unit: ms }, x: { type: int64, path: /x } } }
  two: { kind: normalizer, from: b, fields: { ts: { type: timestamp, path: /t, unit: ms }, x: { type: int64, path: /x } } }
  history: { kind: timescale_writer, from: [one, two], table: m.t, id: h, parallelism: 3 }
  other: { kind: timescale_writer, from: one, table: m.o }
  cache: { kind: redis_cache, from: one, key: "k:{x}", value: [x], order_by: ts, policy: best_effort }
"#;

    fn topology() -> Topology {
        let source = aqueduct_topology::Source::new("t.yaml", TOPOLOGY);
        let (topology, diagnostics) = aqueduct_topology::load(&source, &|_| None);
        topology.unwrap_or_else(|| panic!("{}", aqueduct_topology::to_text(&source, &diagnostics, false)))
    }

    fn names(lane: &Lane) -> Vec<&str> {
        lane.topology.actors.iter().map(|actor| actor.name.value.as_str()).collect()
    }

    #[test]
    fn a_lane_has_what_feeds_the_table_and_nothing_else() {
        let topology = topology();
        let way = Way::find(&topology, Some("m.t")).expect("a way");
        let lane = way.lane(7, &["a", "b"], false).expect("a lane");
        let all = ["dead_letter", "one", "two", "backfill:7:a", "backfill:7:b", ROWS, "history"];
        assert_eq!(names(&lane), all);
        assert_eq!((&*lane.sink, &*lane.sources[1].topic, &*lane.sources[1].of), ("h", "tb", "b"));
        assert_eq!(lane.topology.actor("history").expect("the writer").parallelism.value, 1);
        assert_eq!(lane.topology.input_columns("history").len(), 2);
        let half = way.lane(7, &["b"], true).expect("a lane");
        assert_eq!(names(&half), ["dead_letter", "two", "backfill:7:b", ROWS, "history"]);
        assert_eq!(half.sources[0].topic, "backfill:7");
    }

    #[test]
    fn a_table_that_is_not_there_is_answered_with_those_that_are() {
        let topology = topology();
        let error = |table| Way::find(&topology, table).expect_err("refused");
        assert_eq!(error(None), "say which of its tables with --table: m.t, m.o");
        assert_eq!(
            error(Some("m.x")),
            "no timescale_writer of the file writes `m.x`; its tables are: m.t, m.o"
        );
        assert_eq!(Way::find(&topology, Some("m.o")).map(|way| way.table()), Ok("m.o"));
    }
}
