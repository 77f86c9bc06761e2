//! The links into an actor: fair among them, strict about who may own what, patient on probation.

use crate::batch::Batch;
use crate::claim::Claims;
use crate::link::{Lease, Receiver};
use crate::planted::{Bug, planted};
use crate::status::Status;
use crate::trace::TracePoint;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The links into an actor.
#[derive(Debug, Default)]
pub struct Inputs {
    receivers: Vec<Receiver>,
    /// Who is asked first next time.
    next: usize,
    watch: Option<Watch>,
    /// Where spans begin.
    trace: Option<Arc<TracePoint>>,
}

/// Sees every batch before the actor does. What it panics with is the actor's own panic.
#[derive(Clone)]
pub struct Watch(pub Arc<dyn Fn(&Batch) + Send + Sync>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Inputs {
    /// Inputs that lease from `receivers` in turn.
    pub fn new(receivers: Vec<Receiver>) -> Self {
        Self { receivers, next: 0, watch: None, trace: None }
    }

    /// Tells `trace`, if anybody traces, of every lease.
    pub(crate) fn traced(mut self, trace: Option<Arc<TracePoint>>) -> Self {
        self.trace = trace;
        self
    }

    pub(crate) fn trace(&self) -> Option<&Arc<TracePoint>> {
        self.trace.as_ref()
    }

    /// Lets `watch` see every batch that is leased from now on: how a test makes an actor fail on one record.
    pub fn watched_by(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// How many links.
    pub fn len(&self) -> usize {
        self.receivers.len()
    }

    /// Whether there is no link: a source's.
    pub fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    /// See [`crate::Context::lease`].
    pub async fn lease(&mut self, claims: &Claims, status: &Status) -> Option<Lease> {
        if status.leaving() {
            return None;
        }
        if let Poll::Ready(found) = self.poll_each(claims, Receiver::poll_now) {
            return found;
        }
        let mut retired = pin!(status.retired());
        poll_fn(|cx| match retired.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => self.poll_lease(claims, cx),
        })
        .await
    }

    /// See [`crate::Context::try_lease`].
    pub fn try_lease(&mut self, claims: &Claims) -> Option<Lease> {
        match self.poll_each(claims, Receiver::poll_now) {
            Poll::Ready(found) => found,
            Poll::Pending => None,
        }
    }

    fn poll_lease(&mut self, claims: &Claims, cx: &mut Context<'_>) -> Poll<Option<Lease>> {
        // All of them, because a settlement on one may be what a probation on another waits for.
        self.receivers.iter_mut().for_each(|receiver| receiver.listen(cx));
        self.poll_each(claims, Receiver::poll_now)
    }

    /// Asks the links in turn. Ready with `None` once all have ended.
    fn poll_each(
        &mut self,
        claims: &Claims,
        mut poll: impl FnMut(&mut Receiver) -> Poll<Option<Lease>>,
    ) -> Poll<Option<Lease>> {
        if let Some(trial) = self.receivers.iter().position(|receiver| receiver.link().on_probation()) {
            return self.poll_trial(trial, claims, poll);
        }
        let count = self.receivers.len();
        let mut ended = 0;
        let first = if planted(Bug::LeavesOrderToChance) { by_chance(count) } else { self.next };
        for step in 0..count {
            let index = (first + step) % count;
            match fresh(&mut self.receivers[index], claims, &mut poll) {
                Poll::Ready(Some(mut lease)) => {
                    self.next = (index + 1) % count;
                    self.seen(&mut lease);
                    return Poll::Ready(Some(lease));
                }
                Poll::Ready(None) => ended += 1,
                Poll::Pending => {}
            }
        }
        if ended == count { Poll::Ready(None) } else { Poll::Pending }
    }

    fn seen(&self, lease: &mut Lease) {
        if let Some(point) = &self.trace
            && let Some(witness) = point.leased(lease)
        {
            lease.witnessed(witness);
        }
        if let Some(Watch(watch)) = &self.watch {
            watch(lease);
        }
    }

    /// A suspect is delivered alone: nothing else may be on lease from any link, or a crash would prove nothing.
    fn poll_trial(
        &mut self,
        trial: usize,
        claims: &Claims,
        mut poll: impl FnMut(&mut Receiver) -> Poll<Option<Lease>>,
    ) -> Poll<Option<Lease>> {
        if self.receivers.iter().any(|receiver| receiver.link().leased() > 0) {
            return Poll::Pending;
        }
        match fresh(&mut self.receivers[trial], claims, &mut poll) {
            // The last suspect was stale: the others may speak again.
            Poll::Ready(None) | Poll::Pending if !self.receivers[trial].link().on_probation() => {
                self.poll_each(claims, poll)
            }
            Poll::Ready(Some(mut lease)) => {
                self.seen(&mut lease);
                Poll::Ready(Some(lease))
            }
            polled => polled,
        }
    }
}

/// Any number below `count`, another one in every process and at every call.
fn by_chance(count: usize) -> usize {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(count) % count.max(1) as u64) as usize
}

/// The next batch of one link that is not of an epoch older than the newest claim.
fn fresh(
    receiver: &mut Receiver,
    claims: &Claims,
    mut poll: impl FnMut(&mut Receiver) -> Poll<Option<Lease>>,
) -> Poll<Option<Lease>> {
    loop {
        let polled = poll(receiver);
        match polled {
            Poll::Ready(Some(lease)) if is_stale(&lease, claims) => lease.discard(),
            polled => return polled,
        }
    }
}

fn is_stale(lease: &Lease, claims: &Claims) -> bool {
    claims.is_stale(&lease.origin.key, lease.origin.epoch) && !planted(Bug::HandsOutStale)
}
