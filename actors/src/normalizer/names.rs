//! The names of the normalizer's expressions, and their values for one row.
//!
//! A *place* is where expressions of one kind stand: the conditions that choose a case see only the message; a case's
//! expressions see its element and its fields too. Each place numbers its own slots.

use super::column::Column;
use crate::expr::{Constant, Name, Names, Program, Scope, Value};
use crate::json::{Document, Kind, NONE, Paths, Step};
use aqueduct_engine::Batch;
use std::borrow::Cow;

/// What a slot stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// A path of the message.
    Message(u32),
    /// A path of the element.
    Element(u32),
    /// The member's name, or the element's index.
    ItemKey,
    Key,
    Topic,
    Partition,
    RecordTime,
    Header(String),
    /// A field, by its column.
    Field(usize),
}

/// The names of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Paths of the message that are named here.
    pub(super) message: Paths,
    /// Paths of the element; `None` where the message is the element.
    pub(super) element: Option<Paths>,
    /// What each slot stands for.
    pub(super) sources: Vec<Source>,
    /// The value of `case`.
    case: String,
    /// Names of the columns that may be used.
    fields: Vec<String>,
}

impl Place {
    /// Where case `case` is chosen: nothing is decoded yet.
    pub(super) fn of_message(&mut self, case: &str) {
        case.clone_into(&mut self.case);
    }

    /// Inside of `case`, whose rows have `fields`.
    pub(super) fn of_case(case: &str, exploded: bool, fields: Vec<String>) -> Self {
        Self { case: case.to_owned(), element: exploded.then(Paths::default), fields, ..Self::default() }
    }

    /// What `program`, which was compiled here, reads.
    pub(super) fn sources_of(&self, program: &Program) -> Vec<&Source> {
        program.slots().into_iter().map(|slot| &self.sources[slot as usize]).collect()
    }

    /// Whether `program`, which was compiled here, reads fields and nothing else.
    pub(super) fn of_fields(&self, program: &Program) -> bool {
        self.sources_of(program).into_iter().all(|source| matches!(source, Source::Field(_)))
    }

    /// The columns that `program`, which was compiled here, reads.
    pub(super) fn columns_of(&self, program: &Program) -> Vec<usize> {
        let column = |source: &Source| match source {
            Source::Field(column) => Some(*column),
            _ => None,
        };
        self.sources_of(program).into_iter().filter_map(column).collect()
    }

    /// The column of each slot that is a field; of no other slot is there one.
    pub(super) fn columns(&self) -> Vec<Option<usize>> {
        let column = |source: &Source| match source {
            Source::Field(column) => Some(*column),
            _ => None,
        };
        self.sources.iter().map(column).collect()
    }

    /// The paths of the element, which may be the message's.
    pub(super) fn element_paths(&mut self) -> &mut Paths {
        self.element.as_mut().unwrap_or(&mut self.message)
    }

    fn slot(&mut self, source: Source) -> u32 {
        let slot = self.sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        });
        slot as u32
    }

    fn unknown(&self, name: &str) -> String {
        let fields = match self.fields.as_slice() {
            [] => "fields are not decoded yet: use `select` or `require` for them".to_owned(),
            fields => format!("and the fields {}", fields.join(", ")),
        };
        format!(
            "there is no `{name}` here; there are msg, item, item_key, key, topic, partition, headers, record_time, \
             case; {fields}"
        )
    }
}

impl Names for Place {
    fn resolve(&mut self, root: &str, steps: &[Step]) -> Result<Name, String> {
        let (source, taken) = match root {
            "case" => return Ok(Name::Constant(Constant::Text(self.case.as_str().into()))),
            "msg" => (Source::Message(self.message.slot(steps)), steps.len()),
            "item" => match &mut self.element {
                Some(element) => (Source::Element(element.slot(steps)), steps.len()),
                None => (Source::Message(self.message.slot(steps)), steps.len()),
            },
            "item_key" if self.element.is_some() => (Source::ItemKey, 0),
            "item_key" => return Err("there is an item_key only within `explode`".to_owned()),
            "key" => (Source::Key, 0),
            "topic" => (Source::Topic, 0),
            "partition" => (Source::Partition, 0),
            "record_time" => (Source::RecordTime, 0),
            "headers" => match steps.first() {
                Some(Step::Member(name)) => (Source::Header(name.clone()), 1),
                _ => return Err("name one header: headers[\"name\"]".to_owned()),
            },
            field => match self.fields.iter().position(|known| known == field) {
                Some(column) => (Source::Field(column), 0),
                None => return Err(self.unknown(field)),
            },
        };
        Ok(Name::Slot { slot: self.slot(source), steps: taken })
    }
}

/// What is known of a record besides its value; found in its batch where it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) offset: i64,
    pub(super) time_ms: Option<i64>,
    batch: &'a Batch,
    index: usize,
}

impl<'a> Record<'a> {
    /// The `index`th of `batch`.
    #[inline(always)]
    pub(super) fn of(batch: &'a Batch, index: usize) -> Self {
        Self { offset: batch.raw.offsets.value(index), time_ms: batch.raw.time_ms(index), batch, index }
    }

    /// The last header of that name, as text; none that is not UTF-8.
    fn header(&self, name: &str) -> Value<'a> {
        let headers = self.batch.raw.headers.as_ref().map(|headers| &headers[self.index]);
        let found = headers.and_then(|headers| headers.iter().rfind(|(known, _)| **known == *name));
        text(found.and_then(|(_, value)| value.as_deref()))
    }
}

fn text(bytes: Option<&[u8]>) -> Value<'_> {
    match bytes.and_then(|bytes| simdutf8::basic::from_utf8(bytes).ok()) {
        Some(text) => Value::Text(text.into()),
        None => Value::Null,
    }
}

/// The values of a place's names for one row.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) sources: &'a [Source],
    pub(super) document: &'a Document<'a>,
    /// Where the message's paths lead.
    pub(super) message: &'a [u32],
    /// Where the element's paths lead.
    pub(super) element: &'a [u32],
    pub(super) item_key: Value<'a>,
    pub(super) record: Record<'a>,
    /// The columns, of which `row` is the one at hand.
    pub(super) columns: &'a [Column],
    pub(super) row: usize,
}

impl<'a> Scope<'a> for Row<'a> {
    #[inline]
    fn value(&self, slot: u32) -> Value<'a> {
        match &self.sources[slot as usize] {
            Source::Message(path) => at(self.document, self.message[*path as usize]),
            Source::Element(path) => at(self.document, self.element[*path as usize]),
            Source::ItemKey => self.item_key.clone(),
            Source::Key => text(self.record.batch.raw.key(self.record.index)),
            Source::Topic => Value::Text((*self.record.batch.origin.key.topic).into()),
            Source::Partition => Value::Int(i64::from(self.record.batch.origin.key.partition)),
            Source::RecordTime => match self.record.time_ms.and_then(|time| time.checked_mul(1000)) {
                Some(time) => Value::Time(time),
                None => Value::Null,
            },
            Source::Header(name) => self.record.header(name),
            Source::Field(column) => self.columns[*column].value(self.row),
        }
    }

    #[inline]
    fn text(&self, slot: u32) -> Option<Cow<'a, str>> {
        match &self.sources[slot as usize] {
            Source::Message(path) => text_at(self.document, self.message[*path as usize]),
            Source::Element(path) => text_at(self.document, self.element[*path as usize]),
            _ => match self.value(slot) {
                Value::Text(text) => Some(text),
                _ => None,
            },
        }
    }

    #[inline]
    fn is_null(&self, slot: u32) -> bool {
        match &self.sources[slot as usize] {
            Source::Message(path) => is_null_at(self.document, self.message[*path as usize]),
            Source::Element(path) => is_null_at(self.document, self.element[*path as usize]),
            _ => self.value(slot).is_null(),
        }
    }
}

#[inline]
fn is_null_at(document: &Document<'_>, index: u32) -> bool {
    index == NONE || document.node(index).kind() == Kind::Null
}

/// Where most conditions end: the path leads nowhere, or to a text without escapes.
#[inline]
fn text_at<'a>(document: &'a Document<'a>, index: u32) -> Option<Cow<'a, str>> {
    if index == NONE { None } else { document.node(index).text() }
}

#[inline]
fn at<'a>(document: &'a Document<'a>, index: u32) -> Value<'a> {
    if index == NONE { Value::Null } else { Value::of(document.node(index)) }
}
