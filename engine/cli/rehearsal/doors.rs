//! Doors through which a test sends to an actor that is no source: a source of its own before it, and before a sink a
//! normalizer that only gives the columns their types.
//!
//! Invariant: what comes through a door is claimed, counted, fenced and redelivered like what comes from any source.

use aqueduct_topology::Spanned;
use aqueduct_topology::model::{
    Actor, Case, Coding, Column, Field, FieldSource, Kind, MatchMode, Normalizer, Pointer, Policy, Restart,
    Topology,
};
use std::collections::BTreeMap;

/// What the name of every actor of a door begins with; no actor of a file can be named so.
const DOOR: &str = "test:";
/// What that of a normalizer before a sink begins with.
const ROWS: &str = "test:rows of ";

/// Whether an actor of that name belongs to a door.
pub(crate) fn is_door(name: &str) -> bool {
    name.starts_with(DOOR)
}

/// A topology with doors.
pub(crate) struct Doors {
    topology: Topology,
    /// The source through which each actor is reached.
    sources: BTreeMap<String, String>,
}

impl Doors {
    pub(crate) fn of(topology: &Topology) -> Self {
        Self { topology: topology.clone(), sources: BTreeMap::new() }
    }

    /// The source through which `actor` is reached: itself, or a door.
    pub(crate) fn to(&mut self, actor: &str) -> String {
        if let Some(source) = self.sources.get(actor) {
            return source.clone();
        }
        let source = match self.topology.actor(actor).map(|actor| &actor.kind) {
            Some(Kind::Normalizer(_)) => self.source_before(actor),
            Some(kind) if kind.is_sink() => {
                let rows = self.normalizer_before(actor);
                self.source_before(&rows)
            }
            _ => actor.to_owned(),
        };
        self.sources.insert(actor.to_owned(), source.clone());
        source
    }

    pub(crate) fn into_topology(self) -> Topology {
        self.topology
    }

    /// A source that only `actor` reads from.
    fn source_before(&mut self, actor: &str) -> String {
        let template = self.topology.actors.iter().find(|actor| actor.kind.is_source());
        let template = template.expect("invariant: a topology has a source").clone();
        let name = format!("{DOOR}{}", actor.trim_start_matches(ROWS));
        let kind = match template.kind.clone() {
            Kind::KafkaSource(mut options) => {
                options.topic.value.clone_from(&name);
                Kind::KafkaSource(options)
            }
            Kind::ReplaySource(mut options) => {
                options.topic.clone_from(&name);
                Kind::ReplaySource(options)
            }
            other => other,
        };
        self.put_before(actor, Actor { kind, ..plain(&name, template) });
        name
    }

    /// A normalizer of typed columns that only `sink` reads from.
    fn normalizer_before(&mut self, sink: &str) -> String {
        let columns = self.topology.input_columns(sink);
        let reader = self.topology.actor(sink).expect("invariant: the checks know it").clone();
        let name = format!("{ROWS}{sink}");
        let field = |column: &Column| Field {
            name: Spanned::new(column.name.clone(), reader.span),
            kind: column.kind,
            source: FieldSource::Path(Pointer { tokens: vec![column.name.clone()] }),
            optional: true,
            default: None,
            map: Vec::new(),
            unit: None,
            zone: None,
            scale: None,
            max_bytes: None,
        };
        let case = Case {
            name: Spanned::new(String::new(), reader.span),
            when: None,
            explode: None,
            select: Vec::new(),
            require: Vec::new(),
            fields: columns.iter().map(field).collect(),
        };
        let columns = columns.into_iter().map(|column| Column { nullable: true, ..column }).collect();
        let kind = Kind::Normalizer(Normalizer {
            coding: Coding::Json,
            columns,
            cases: vec![case],
            match_mode: MatchMode::First,
            event_time: None,
        });
        self.put_before(sink, Actor { kind, ..plain(&name, reader) });
        name
    }

    /// Adds `new`, from which `actor` then reads too; the root watches over it.
    fn put_before(&mut self, actor: &str, new: Actor) {
        let name = new.name.clone();
        let readers = self.topology.actors.iter_mut();
        for reader in readers.filter(|reader| reader.name.value == actor) {
            reader.from.push(name.clone());
        }
        self.topology.actors.push(new);
        if let Some(root) = self.topology.supervisors.first_mut() {
            root.children.push(name);
        }
    }
}

/// An actor of that name with nothing of its own, in the place of `template`.
fn plain(name: &str, template: Actor) -> Actor {
    let name = Spanned::new(name.to_owned(), template.span);
    Actor {
        id: name.clone(),
        name,
        adopts: None,
        description: None,
        from: Vec::new(),
        restart: Restart::Permanent,
        parallelism: Spanned::new(1, template.span),
        load: None,
        policy: Policy::Required,
        ..template
    }
}
