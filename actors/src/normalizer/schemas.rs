//! The schemas of a normalizer's messages: each compiled once into the walk that its cases need.
//!
//! Who reads messages first says which schemas they need ([`Schemas::unknown`]) and is told them ([`Schemas::know`]);
//! reading asks nobody. In a rehearsal a message may be JSON, as its author writes it: no encoded message is.

use super::coding::{Read, refused};
use super::decoder::WholeMessage;
use super::reject::{self, Problem, quoted};
use crate::json::{Document, Draft, Fault, Tape};
use crate::registry::Known;
use crate::wire::{SchemaKind, SchemaText, Wanted, avro, header, protobuf};
use ahash::AHashMap;
use aqueduct_engine::Batch;
use aqueduct_topology::model::Format;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most schemas that are kept from batch to batch. Those of one batch are kept together, however many they are.
const SCHEMAS_MAX: usize = 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Schemas {
    format: Format,
    wanted: Arc<Wanted>,
    /// The walk of all messages, which then have no id.
    bare: Option<Arc<avro::Plan>>,
    known: AHashMap<u32, Schema>,
    rehearsal: bool,
}

/// What an id stands for.
#[derive(Clone, Debug)]
enum Schema {
    Avro(Arc<avro::Plan>),
    /// With the walks of the messages that came, by their indexes.
    Protobuf(Arc<protobuf::Schema>, Vec<(Vec<u32>, Arc<protobuf::Plan>)>),
    /// Messages of it are refused.
    Unfit(Problem),
    /// The same, until the registry is asked again.
    Unknown(Problem),
}

impl Schemas {
    pub(super) fn new(format: Format, wanted: Wanted) -> Self {
        Self { format, wanted: Arc::new(wanted), bare: None, known: AHashMap::default(), rehearsal: false }
    }

    /// From now on a message may be JSON.
    pub(super) fn rehearse(&mut self) {
        self.rehearsal = true;
    }

    /// From now on messages have no id, and are all of the schema `text`.
    pub(super) fn all_of(&mut self, text: &str) -> Result<(), avro::SchemaFault> {
        let schema = avro::Schema::parse(text, &[])?;
        self.bare = Some(Arc::new(avro::Plan::new(Arc::new(schema), &self.wanted)));
        Ok(())
    }

    /// The ids in `batch` of which nothing is known.
    pub(super) fn unknown(&mut self, batch: &Batch) -> BTreeSet<u32> {
        if self.bare.is_some() {
            return BTreeSet::new();
        }
        if self.known.len() > SCHEMAS_MAX {
            self.known.clear();
        }
        self.known.retain(|_, schema| !matches!(schema, Schema::Unknown(_)));
        let mut unknown = BTreeSet::new();
        let mut last = None;
        for id in (0..batch.raw.len()).filter_map(|index| header::schema_id(batch.raw.value(index)?).ok()) {
            if last != Some(id) && !self.known.contains_key(&id) {
                unknown.insert(id);
            }
            last = Some(id);
        }
        unknown
    }

    /// Takes what the registry says of `id`.
    pub(super) fn know(&mut self, id: u32, known: &Known) {
        let schema = match known {
            Known::Unknown(words) => {
                Schema::Unknown(Problem::new(reject::UNKNOWN_SCHEMA, format!("schema {id}: {words}")))
            }
            Known::Schema(text) => self.compiled(text).unwrap_or_else(|why| {
                Schema::Unfit(Problem::new(reject::UNFIT_SCHEMA, format!("schema {id}: {why}")))
            }),
        };
        self.known.insert(id, schema);
    }

    fn compiled(&self, text: &SchemaText) -> Result<Schema, String> {
        match (&text.kind, self.format) {
            (SchemaKind::Avro, Format::Avro) => {
                let references: Vec<&str> = text.references.iter().map(|(_, text)| text.as_str()).collect();
                let schema =
                    avro::Schema::parse(&text.text, &references).map_err(|fault| fault.to_string())?;
                Ok(Schema::Avro(Arc::new(avro::Plan::new(Arc::new(schema), &self.wanted))))
            }
            (SchemaKind::Protobuf, Format::Protobuf) => {
                let schema = protobuf::Schema::parse(&text.text, &text.references);
                Ok(Schema::Protobuf(Arc::new(schema.map_err(|fault| fault.to_string())?), Vec::new()))
            }
            (kind, format) => {
                Err(format!("it is {}, and the format is {}", quoted(kind.word()), format.word()))
            }
        }
    }

    /// Gives `message` to `to`.
    pub(super) fn read(
        &mut self,
        message: &[u8],
        draft: &mut Draft,
        to: &mut impl Read,
    ) -> Result<(), WholeMessage> {
        if self.rehearsal
            && let Ok(text) = std::str::from_utf8(message)
        {
            let mut tape = Tape::default();
            if tape.scan(text).is_ok() {
                return to.document(&Document::new(text, &tape));
            }
        }
        let reason = if self.format == Format::Avro { reject::NOT_AVRO } else { reject::NOT_PROTOBUF };
        let refused = |fault: Fault| refused(reason, fault, message.len());
        if let Some(bare) = &self.bare {
            bare.decode(message, 0, draft).map_err(refused)?;
            return to.document(&draft.document());
        }
        let id = header::schema_id(message).map_err(refused)?;
        match self.known.get_mut(&id) {
            Some(Schema::Avro(plan)) => plan.decode(message, header::HEADER_BYTES, draft).map_err(refused)?,
            Some(Schema::Protobuf(schema, plans)) => {
                let (indexes, begins) =
                    protobuf::message_indexes(message, header::HEADER_BYTES).map_err(refused)?;
                let plan = plan_of(schema, plans, &indexes, &self.wanted).ok_or_else(|| {
                    let detail = format!("schema {id}: it has no message {indexes:?}");
                    WholeMessage(Problem::new(reject::NOT_PROTOBUF, detail))
                })?;
                plan.decode(message, begins, draft).map_err(refused)?;
            }
            Some(Schema::Unfit(problem) | Schema::Unknown(problem)) => {
                return Err(WholeMessage(problem.clone()));
            }
            None => {
                let detail = format!("schema {id}: no registry is asked here");
                return Err(WholeMessage(Problem::new(reject::UNKNOWN_SCHEMA, detail)));
            }
        }
        to.document(&draft.document())
    }
}

/// The walk over the message that `indexes` lead to; made when the first of its kind comes.
fn plan_of(
    schema: &protobuf::Schema,
    plans: &mut Vec<(Vec<u32>, Arc<protobuf::Plan>)>,
    indexes: &[u32],
    wanted: &Wanted,
) -> Option<Arc<protobuf::Plan>> {
    if let Some((_, plan)) = plans.iter().find(|(known, _)| known == indexes) {
        return Some(plan.clone());
    }
    let plan = Arc::new(protobuf::Plan::new(schema, indexes, wanted)?);
    plans.push((indexes.to_vec(), plan.clone()));
    Some(plan)
}
