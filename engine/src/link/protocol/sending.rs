//! The sending end: takes a batch if there is room, and nothing twice.
//!
//! Invariant: per partition, what has entered runs forward without overlap within its epoch, and epochs never go back;
//! so a sender may send again whatever it is not sure of.

use super::sync::AtomicUsize;
use super::{Flow, Link, Ring};
use crate::invariants;
use crate::planted::{Bug, planted};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::task::{Context, Poll};

/// What the link remembers of its senders; it survives them. One entry per partition ever sent.
pub(super) struct Sending<K> {
    generation: u64,
    sent: BTreeMap<K, Sent>,
    /// Records in all.
    pub(super) entered: u64,
}

/// How far a partition has been sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    epoch: i64,
    next: i64,
}

impl<K> Sending<K> {
    pub(super) fn new() -> Self {
        Self { generation: 0, sent: BTreeMap::new(), entered: 0 }
    }
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum TryPushError<T> {
    /// No room now; the batch comes back.
    Full(T),
    /// Closed, or this sender was replaced by a newer one; the batch comes back.
    Closed(T),
}

/// The link was closed, or this sender was replaced by a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is closed")]
pub struct Closed;

/// The sending end of a link.
#[derive(Debug)]
pub struct Sender<T: Flow> {
    link: Arc<Link<T>>,
    generation: u64,
}

impl<T: Flow> Sender<T> {
    pub(super) fn new(link: &Arc<Link<T>>) -> Self {
        let mut sending = link.sending();
        sending.generation += 1;
        let generation = sending.generation;
        drop(sending);
        link.room.hand_over(generation);
        Self { link: link.clone(), generation }
    }

    /// The link it leads into.
    pub fn link(&self) -> &Arc<Link<T>> {
        &self.link
    }

    /// Takes `batch` or says why not. What the link has had before (by partition, epoch, offset) is taken and dropped.
    pub fn try_push(&self, batch: T) -> Result<(), TryPushError<T>> {
        let link = &*self.link;
        let mut sending = link.sending();
        if sending.generation != self.generation || link.closed.load(Acquire) {
            return Err(TryPushError::Closed(batch));
        }
        let fresh = match sending.sent.get(batch.key()) {
            _ if planted(Bug::TakesTwice) => None,
            Some(sent) if batch.epoch() < sent.epoch => return Ok(()),
            Some(sent) if batch.epoch() == sent.epoch && batch.next() <= sent.next => return Ok(()),
            Some(sent) if batch.epoch() == sent.epoch && batch.first() < sent.next => Some(sent.next),
            _ => None,
        };
        let fresh = fresh.map(|next| batch.starting_at(next));
        let weight = fresh.as_ref().unwrap_or(&batch).weight();
        if !link.has_room(weight) {
            return Err(TryPushError::Full(batch));
        }
        let batch = fresh.unwrap_or(batch);
        let sent = Sent { epoch: batch.epoch(), next: batch.next() };
        match sending.sent.get_mut(batch.key()) {
            Some(known) => {
                let (before, first) = ((known.epoch, known.next), batch.first());
                assert!(
                    invariants::goes_on(before, (sent.epoch, first)),
                    "{before:?} is followed by {sent:?} from {first}"
                );
                *known = sent;
            }
            None => {
                sending.sent.insert(batch.key().clone(), sent);
            }
        }
        sending.entered += batch.records() as u64;
        charge(&link.batches, 1);
        charge(&link.bytes, weight);
        let full = Ring::push(&link.ring, Arc::new(batch)).is_err();
        assert!(!full, "a charged batch finds room in the ring");
        drop(sending);
        link.arrival.ring();
        Ok(())
    }

    /// Waits for room. Dropping the future leaves the batch unsent.
    pub async fn push(&mut self, batch: T) -> Result<(), Closed> {
        let mut batch = Some(batch);
        poll_fn(|cx| self.poll_push(cx, &mut batch)).await
    }

    /// Takes `batch` out of its place once there is room.
    ///
    /// # Panics
    /// If the place is empty.
    pub fn poll_push(&mut self, cx: &mut Context<'_>, batch: &mut Option<T>) -> Poll<Result<(), Closed>> {
        let mut listening = false;
        loop {
            let waiting = batch.take().expect("invariant: not polled after it was taken");
            match self.try_push(waiting) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(TryPushError::Closed(_)) => return Poll::Ready(Err(Closed)),
                Err(TryPushError::Full(back)) => *batch = Some(back),
            }
            if listening {
                return Poll::Pending;
            }
            self.link.room.listen(self.generation, cx.waker());
            listening = true;
        }
    }

    /// Ready once there is room for `batch`, or once the link has had it before. There stays room: nobody else sends here.
    pub fn poll_room(&mut self, cx: &mut Context<'_>, batch: &T) -> Poll<Result<(), Closed>> {
        let mut listening = false;
        loop {
            let link = &*self.link;
            let sending = link.sending();
            if sending.generation != self.generation || link.closed.load(Acquire) {
                return Poll::Ready(Err(Closed));
            }
            let known = sending.sent.get(batch.key()).is_some_and(|sent| {
                batch.epoch() < sent.epoch || (batch.epoch() == sent.epoch && batch.next() <= sent.next)
            });
            drop(sending);
            if known || link.has_room(batch.weight()) {
                return Poll::Ready(Ok(()));
            }
            if listening {
                return Poll::Pending;
            }
            self.link.room.listen(self.generation, cx.waker());
            listening = true;
        }
    }

    /// No batch will follow. In vain on a sender that was replaced.
    pub fn close(&self) {
        let sending = self.link.sending();
        if sending.generation == self.generation {
            self.link.closed.store(true, Release);
        }
        drop(sending);
        self.link.arrival.ring();
    }
}

/// Adds to a count that settling subtracts from.
fn charge(count: &AtomicUsize, amount: usize) {
    count.fetch_add(amount, AcqRel);
}
