//! Steps of an actor's work, such as a transaction: spans below those of the batches it is done for.
//!
//! One transaction is for many batches, each with a trace of its own; so a step has a span in each of these, with the
//! same times and attributes. Invariants: where nobody traces, a step costs a look at an `Option` and no memory; one that
//! is dropped before it was ended was cut, and its spans say so. Deliberately absent: steps within steps.

use super::TracePoint;
use super::context::{SpanId, TraceContext};
use super::span::{Attribute, Outcome, Span, SpanRole, StepPart};
use crate::batch::{Batch, Origin};
use crate::class::Class;
use crate::limits::TRACE_OPEN_SPANS_MAX;
use std::sync::Arc;

/// Where an actor tells of its steps. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Steps(Option<Arc<TracePoint>>);

/// The span that an actor has open for a batch.
#[derive(Clone, Debug)]
pub struct Work {
    context: Arc<TraceContext>,
    origin: Origin,
}

/// A step that was begun.
#[derive(Debug)]
pub struct Step {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    point: Arc<TracePoint>,
    works: Vec<Work>,
    begun_us: i64,
    part: StepPart,
}

impl Steps {
    pub(crate) fn at(point: Option<Arc<TracePoint>>) -> Self {
        Self(point)
    }

    /// The span that is open for `batch`, where it is traced: ask while it is on lease.
    pub fn work(&self, batch: &Batch) -> Option<Work> {
        let point = self.0.as_ref()?;
        let context = point.open_for(batch)?;
        Some(Work { context, origin: batch.origin.clone() })
    }

    /// Begins a step called `name` that is done for all of `works`; beyond a bound the last of them do not hear of it.
    pub fn begin(&self, name: &'static str, works: &[Work]) -> Step {
        let point = self.0.as_ref().filter(|_| !works.is_empty());
        let begun = point.map(|point| Begun {
            works: works[..works.len().min(TRACE_OPEN_SPANS_MAX)].to_vec(),
            begun_us: point.now_us(),
            part: StepPart { name, attributes: Vec::new() },
            point: point.clone(),
        });
        Step { begun }
    }
}

impl Step {
    /// Says what it is about, in a text that is no payload.
    pub fn text(mut self, key: &'static str, value: &str) -> Self {
        if let Some(begun) = &mut self.begun {
            begun.part.attributes.push((key, Attribute::Text(value.into())));
        }
        self
    }

    /// .. in a number.
    pub fn number(mut self, key: &'static str, value: usize) -> Self {
        if let Some(begun) = &mut self.begun {
            begun.part.attributes.push((key, Attribute::Number(i64::try_from(value).unwrap_or(i64::MAX))));
        }
        self
    }

    /// It is over; `failed` = of what class the error was.
    pub fn end(mut self, failed: Option<Class>) {
        self.tell(failed);
    }

    fn tell(&mut self, failed: Option<Class>) {
        let Some(Begun { point, works, begun_us, part }) = self.begun.take() else { return };
        let ended_us = point.now_us();
        for Work { context, origin } in works {
            point.submit(Span {
                trace: context.trace,
                id: SpanId::any(),
                parent: Some(context.span),
                links: Vec::new(),
                actor: point.actor().clone(),
                kind: point.kind(),
                role: SpanRole::Client,
                begun_us,
                ended_us,
                origin,
                records: 0,
                rows: 0,
                outcome: Outcome::Settled,
                class: failed.map(Class::as_str),
                step: Some(part.clone()),
            });
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.tell(Some(Class::Transient));
    }
}
