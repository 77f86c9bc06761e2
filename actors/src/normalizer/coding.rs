//! The messages of a batch, each as a document or several, by the format they are written in.

use super::decoder::WholeMessage;
use super::reject::{self, Problem};
use super::schemas::Schemas;
use super::texts::Texts;
use crate::json::{DEPTH_MAX, Document, Draft, Fault, FaultKind, MESSAGE_BYTES_MAX, Tape};
use crate::wire::{Wanted, csv};
use aqueduct_engine::{Batch, Extent};
use aqueduct_topology::model;
use std::sync::Arc;

/// How messages are read, with the buffers for it.
#[derive(Debug)]
pub(super) enum Coding {
    Json {
        tape: Tape,
    },
    Csv {
        dialect: Arc<csv::Dialect>,
        draft: Draft,
    },
    /// By schemas, which have to be known before the messages are read.
    Schemas {
        schemas: Schemas,
        draft: Draft,
    },
}

/// Who is given what a message holds.
pub(super) trait Read {
    /// The message, or one line of it.
    fn document(&mut self, document: &Document<'_>) -> Result<(), WholeMessage>;

    /// What comes next is this line of several.
    fn line(&mut self, number: usize) -> Result<(), WholeMessage>;

    /// A line that cannot be read.
    fn refuse_line(&mut self, extent: Extent, problem: Problem);
}

impl Coding {
    /// For messages of which `wanted` is asked for.
    pub(super) fn new(coding: &model::Coding, wanted: Wanted) -> Self {
        match coding {
            model::Coding::Csv(model::Csv { columns, delimiter, quote }) => {
                let names = columns.iter().map(|column| column.value.as_str());
                let dialect = csv::Dialect::new(names, (*delimiter, *quote), &wanted);
                Coding::Csv { dialect: Arc::new(dialect), draft: Draft::default() }
            }
            model::Coding::Json => Coding::Json { tape: Tape::default() },
            model::Coding::Avro { .. } | model::Coding::Protobuf => {
                let schemas = Schemas::new(coding.format(), wanted);
                Coding::Schemas { schemas, draft: Draft::default() }
            }
        }
    }

    /// The schemas, if messages are read by some.
    pub(super) fn schemas(&mut self) -> Option<&mut Schemas> {
        match self {
            Coding::Schemas { schemas, .. } => Some(schemas),
            Coding::Json { .. } | Coding::Csv { .. } => None,
        }
    }

    /// The same with buffers of its own.
    pub(super) fn fresh(&self) -> Self {
        match self {
            Coding::Json { .. } => Coding::Json { tape: Tape::default() },
            Coding::Csv { dialect, .. } => Coding::Csv { dialect: dialect.clone(), draft: Draft::default() },
            Coding::Schemas { schemas, .. } => {
                Coding::Schemas { schemas: schemas.clone(), draft: Draft::default() }
            }
        }
    }

    /// For the messages of `batch`.
    pub(super) fn begin<'c>(&'c mut self, batch: &'c Batch) -> Reading<'c> {
        match self {
            Coding::Json { tape } => Reading::Json { texts: Texts::of(batch), tape },
            Coding::Csv { dialect, draft } => Reading::Csv { texts: Texts::of(batch), dialect, draft },
            Coding::Schemas { schemas, draft } => Reading::Schemas { batch, schemas, draft },
        }
    }
}

/// At one batch.
pub(super) enum Reading<'c> {
    Json { texts: Texts<'c>, tape: &'c mut Tape },
    Csv { texts: Texts<'c>, dialect: &'c csv::Dialect, draft: &'c mut Draft },
    Schemas { batch: &'c Batch, schemas: &'c mut Schemas, draft: &'c mut Draft },
}

impl Reading<'_> {
    /// Gives the `index`th message to `to`.
    #[inline]
    pub(super) fn read(&mut self, index: usize, to: &mut impl Read) -> Result<(), WholeMessage> {
        match self {
            Reading::Json { texts, tape } => {
                let text = texts.get(index).map_err(WholeMessage)?;
                match tape.scan(text) {
                    Ok(()) => to.document(&Document::new(text, tape)),
                    Err(fault) => Err(refused(reject::NOT_JSON, fault, text.len())),
                }
            }
            Reading::Csv { texts, dialect, draft } => {
                let text = texts.get(index).map_err(WholeMessage)?;
                lines(text, dialect, draft, to)
            }
            Reading::Schemas { batch, schemas, draft } => {
                let message = batch.raw.value(index).unwrap_or_default();
                schemas.read(message, draft, to)
            }
        }
    }
}

fn lines(
    text: &str,
    dialect: &csv::Dialect,
    draft: &mut Draft,
    to: &mut impl Read,
) -> Result<(), WholeMessage> {
    if text.is_empty() {
        return Err(empty());
    }
    let mut lines = dialect.lines(text);
    let mut number = 0;
    while let Some(line) = lines.next(draft) {
        number += 1;
        if number > 1 || !lines.is_done() {
            to.line(number)?;
        }
        match line {
            Ok(()) => to.document(&draft.document())?,
            Err(fault) => {
                // Behind a quote that is never closed there may have been more lines.
                let extent = if lines.is_done() { Extent::Several } else { Extent::Row };
                to.refuse_line(extent, problem(reject::NOT_CSV, fault, text.len()));
            }
        }
    }
    Ok(())
}

pub(super) fn refused(reason: &str, fault: Fault, length: usize) -> WholeMessage {
    match fault.kind {
        FaultKind::Syntax(_) if length == 0 => empty(),
        _ => WholeMessage(problem(reason, fault, length)),
    }
}

fn empty() -> WholeMessage {
    WholeMessage(Problem::new(reject::EMPTY, "the message is empty"))
}

fn problem(reason: &str, fault: Fault, length: usize) -> Problem {
    let Fault { at, kind } = fault;
    match kind {
        FaultKind::Syntax(rule) => Problem::new(reason, format!("at byte {at}: {rule}")),
        FaultKind::TooDeep => {
            Problem::new(reject::TOO_DEEP, format!("at byte {at}: more than {DEPTH_MAX} levels"))
        }
        FaultKind::TooLarge => {
            Problem::new(reject::TOO_LARGE, format!("{length} bytes; at most {MESSAGE_BYTES_MAX}"))
        }
    }
}
