//! The ends of one actor's links, as traces see them.
//!
//! Invariant: a span is open from the lease (or, in a source, from the first attempt to hand the batch on) until it is
//! told how that ended, once. What was put back is kept until the actor's end or its next lease says why.

use super::Tracer;
use super::context::{SpanId, TraceContext};
use super::sample::{self, Sampled};
use super::span::{Outcome, Span, SpanRole};
use crate::actor::ActorIdentity;
use crate::batch::{Batch, Origin};
use crate::limits::TRACE_OPEN_SPANS_MAX;
use crate::link::Ending;
use crate::supervisor::host::Role;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One actor's.
#[derive(Debug)]
pub(crate) struct TracePoint {
    tracer: Arc<Tracer>,
    actor: Arc<str>,
    kind: &'static str,
    role: Role,
    spans: Mutex<Spans>,
}

#[derive(Debug, Default)]
struct Spans {
    open: Vec<Open>,
    /// Put back, and not told yet.
    put_back: Vec<Span>,
}

/// A span at work.
#[derive(Debug)]
struct Open {
    /// What batches that are handed on meanwhile carry.
    context: Arc<TraceContext>,
    span: Span,
}

impl Open {
    /// Whether it is the span below `parent` of a batch that holds the beginning of `origin`.
    fn is_of(&self, parent: &TraceContext, origin: &Origin) -> bool {
        let records = self.span.origin.first..self.span.origin.next;
        self.span.parent == Some(parent.span) && records.contains(&origin.first)
    }
}

impl TracePoint {
    pub(crate) fn new(tracer: Arc<Tracer>, identity: &ActorIdentity, role: Role) -> Self {
        let (actor, kind) = (identity.name.clone(), identity.kind);
        Self { tracer, actor, kind, role, spans: Mutex::default() }
    }

    /// Begins the span of a lease, if its batch is traced; gives what must hear how the lease ended.
    pub(crate) fn leased(
        self: &Arc<Self>,
        batch: &Batch,
    ) -> Option<impl FnOnce(Ending) + Send + Sync + use<>> {
        let parent = batch.trace.as_deref()?;
        let mut spans = self.lock();
        self.tell(&mut spans, None);
        let sampled = Sampled { trace: parent.trace, parent: Some(parent.span), links: Vec::new() };
        let id = self.open(&mut spans, batch, sampled).span;
        let point = self.clone();
        Some(move |ending| point.ended(id, ending))
    }

    /// Gives `batch`, which is about to be handed on, the span it belongs to; a source decides whether there is one.
    pub(crate) fn hands_on(&self, batch: &mut Batch) {
        match (&batch.trace, self.role) {
            (None, Role::Source) => {
                let (topology, ratio) = (&self.tracer.resource.topology, self.tracer.ratio);
                if let Some(sampled) = sample::decide(batch, topology, ratio) {
                    let mut spans = self.lock();
                    // One that found no room comes again, often as a copy of what it was.
                    let offered = spans.open.iter().find(|open| open.span.origin == batch.origin);
                    let known = offered.map(|open| open.context.clone());
                    batch.trace = Some(known.unwrap_or_else(|| self.open(&mut spans, batch, sampled)));
                }
            }
            (Some(parent), Role::Transform | Role::Gate | Role::Sink | Role::DeadLetter | Role::Schedule) => {
                let mut spans = self.lock();
                if let Some(open) = spans.open.iter_mut().find(|open| open.is_of(parent, &batch.origin)) {
                    open.span.rows += batch.rows.num_rows();
                    batch.trace = Some(open.context.clone());
                }
            }
            // A batch that its source offers again, and one that nobody traces.
            (Some(_), Role::Source) | (None, _) => {}
        }
    }

    /// The span at work on `batch`, which is on lease.
    pub(super) fn open_for(&self, batch: &Batch) -> Option<Arc<TraceContext>> {
        let parent = batch.trace.as_deref()?;
        let spans = self.lock();
        let open = spans.open.iter().find(|open| open.is_of(parent, &batch.origin))?;
        Some(open.context.clone())
    }

    pub(super) fn now_us(&self) -> i64 {
        self.tracer.clock.wall_us()
    }

    pub(super) fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn submit(&self, span: Span) {
        self.tracer.submit(span);
    }

    /// Every edge has taken the batch of `context`: with that a source is done with it.
    pub(crate) fn handed_on(&self, context: &TraceContext) {
        if self.role == Role::Source {
            self.ended(context.span, Ending::Settled);
        }
    }

    /// A start of the actor has ended: what it had in its hands failed with it.
    pub(crate) fn exited(&self, class: Option<&'static str>) {
        self.tell(&mut self.lock(), class);
    }

    fn open(&self, spans: &mut Spans, batch: &Batch, sampled: Sampled) -> Arc<TraceContext> {
        if spans.open.len() == TRACE_OPEN_SPANS_MAX {
            // A batch its source let go of, say, with its partition: nobody tells of its end.
            spans.open.remove(0);
            self.tracer.dropped();
        }
        let Sampled { trace, parent, links } = sampled;
        let context = Arc::new(TraceContext { trace, span: SpanId::any() });
        let now_us = self.tracer.clock.wall_us();
        let span = Span {
            trace,
            id: context.span,
            parent,
            links,
            actor: self.actor.clone(),
            kind: self.kind,
            role: self.span_role(),
            begun_us: now_us,
            ended_us: now_us,
            origin: batch.origin.clone(),
            records: batch.raw.len(),
            // A transform's are counted as it hands them on.
            rows: if self.role == Role::Transform { 0 } else { batch.rows.num_rows() },
            outcome: Outcome::Settled,
            class: None,
            step: None,
        };
        spans.open.push(Open { context: context.clone(), span });
        context
    }

    fn span_role(&self) -> SpanRole {
        match self.role {
            Role::Source => SpanRole::Consumer,
            Role::Transform | Role::Gate | Role::DeadLetter | Role::Schedule => SpanRole::Internal,
            Role::Sink => SpanRole::Client,
        }
    }

    fn ended(&self, id: SpanId, ending: Ending) {
        let mut spans = self.lock();
        let Some(index) = spans.open.iter().position(|open| open.span.id == id) else { return };
        let mut span = spans.open.remove(index).span;
        span.ended_us = self.tracer.clock.wall_us();
        match ending {
            Ending::Settled => self.tracer.submit(span),
            Ending::Discarded => self.tracer.submit(Span { outcome: Outcome::Fenced, ..span }),
            Ending::PutBack => spans.put_back.push(Span { outcome: Outcome::Redelivered, ..span }),
        }
    }

    fn tell(&self, spans: &mut Spans, class: Option<&'static str>) {
        for span in spans.put_back.drain(..) {
            self.tracer.submit(Span { class, ..span });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
