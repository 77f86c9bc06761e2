//! The receiving end: hands out leases, in order, and again after a restart.
//!
//! Invariant: `held` is in the order of sending, and everything in it was sent before anything in the ring.

use super::probation::{Accusation, Accused};
use super::{Flow, Lease, Link, Ring};
use crate::planted::{Bug, planted};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Poll};

/// What the link remembers of its receivers; it survives them.
pub(super) struct Receiving<T: Flow> {
    pub(super) generation: u64,
    pub(super) held: VecDeque<Held<T>>,
    /// How many of `held` are on lease.
    pub(super) out: usize,
    pub(super) accused: Accused,
    /// What spoke against batches that were dropped since.
    pub(super) accusations: VecDeque<Accusation<T::Key>>,
    issued: u64,
}

/// Taken from the ring and not settled yet.
pub(super) struct Held<T> {
    /// Unique within the link.
    pub(super) id: u64,
    pub(super) item: Arc<T>,
    /// The bytes it is charged with.
    pub(super) charge: usize,
    /// On lease now.
    pub(super) out: bool,
    /// Has been on lease in this generation, even if that lease was dropped since (by unwinding, say).
    pub(super) touched: bool,
    /// Crashes of its receiver while it was on lease.
    pub(super) deliveries: u32,
    /// To be delivered alone.
    pub(super) suspect: bool,
}

impl<T: Flow> Receiving<T> {
    pub(super) fn new() -> Self {
        let (held, accusations) = (VecDeque::new(), VecDeque::new());
        Self { generation: 0, held, out: 0, accused: Accused::default(), accusations, issued: 0 }
    }

    /// `item`, neither leased nor suspected yet.
    pub(super) fn hold(&mut self, item: Arc<T>, charge: usize) -> Held<T> {
        self.issued += 1;
        Held { id: self.issued, item, charge, out: false, touched: false, deliveries: 0, suspect: false }
    }

    /// Cuts off the current generation: what it had on lease is there to take again.
    pub(super) fn cut(&mut self) {
        self.generation += 1;
        self.out = 0;
        if planted(Bug::LosesDroppedLeases) {
            self.held.retain(|held| !held.touched);
        }
        for held in &mut self.held {
            (held.out, held.touched) = (false, false);
        }
    }

    /// The next item to lease, which it marks; what is held comes first. On probation only one is out at a time.
    fn take(&mut self, link: &Link<T>) -> Option<(u64, Arc<T>)> {
        if link.on_probation() && self.out > 0 {
            return None;
        }
        let index = match self.out < self.held.len() {
            true => self.held.iter().position(|held| !held.out).expect("invariant: not all are out"),
            false => {
                let item = Ring::pop(&link.ring)?;
                let charge = item.weight();
                let held = self.hold(item, charge);
                self.held.push_back(held);
                let index = self.held.len() - 1;
                if link.inherit(self, index) && self.out > 0 {
                    // It is delivered alone, once the others are settled.
                    return None;
                }
                index
            }
        };
        let held = &mut self.held[index];
        (held.out, held.touched) = (true, true);
        self.out += 1;
        Some((held.id, held.item.clone()))
    }
}

impl<T: Flow> Link<T> {
    /// Takes a settled item out. In vain when its generation was cut off: somebody else has it again. If it is
    /// `dropped` unjudged, what spoke against it is remembered.
    pub(super) fn settle(&self, generation: u64, id: u64, dropped: bool) {
        let mut receiving = self.receiving();
        if receiving.generation != generation {
            return;
        }
        let Some(index) = receiving.held.iter().position(|held| held.id == id) else { return };
        let held = receiving.held.remove(index).expect("invariant: just found");
        receiving.out -= 1;
        match dropped {
            true => receiving.remember(&held),
            false => receiving.clear(&held),
        }
        if held.suspect {
            self.suspects.fetch_sub(1, AcqRel);
        }
        self.bytes.fetch_sub(held.charge, AcqRel);
        self.batches.fetch_sub(1, AcqRel);
        drop(receiving);
        self.room.ring();
        // On probation the receiver waits for exactly this.
        self.arrival.ring();
    }

    /// Puts an unsettled item back in its place.
    pub(super) fn put_back(&self, generation: u64, id: u64) {
        let mut receiving = self.receiving();
        if receiving.generation != generation {
            return;
        }
        if let Some(held) = receiving.held.iter_mut().find(|held| held.id == id) {
            held.out = false;
            receiving.out -= 1;
        }
        drop(receiving);
        self.arrival.ring();
    }
}

/// The receiving end of a link.
#[derive(Debug)]
pub struct Receiver<T: Flow> {
    link: Arc<Link<T>>,
    generation: u64,
}

impl<T: Flow> Receiver<T> {
    pub(super) fn new(link: &Arc<Link<T>>) -> Self {
        let mut receiving = link.receiving();
        receiving.cut();
        let generation = receiving.generation;
        drop(receiving);
        link.arrival.hand_over(generation);
        Self { link: link.clone(), generation }
    }

    /// The link it leads out of.
    pub fn link(&self) -> &Arc<Link<T>> {
        &self.link
    }

    /// The next batch on lease; `None` once the link is closed and there is nothing left to lease, or this receiver
    /// was replaced by a newer one. Dropping the future takes nothing.
    pub async fn lease(&mut self) -> Option<Lease<T>> {
        poll_fn(|cx| self.poll_lease(cx)).await
    }

    /// A batch that already waits.
    pub fn try_lease(&mut self) -> Option<Lease<T>> {
        match self.poll_now() {
            Poll::Ready(lease) => lease,
            Poll::Pending => None,
        }
    }

    /// See [`lease`](Self::lease).
    pub fn poll_lease(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lease<T>>> {
        if let Poll::Ready(lease) = self.poll_now() {
            return Poll::Ready(lease);
        }
        self.link.arrival.listen(self.generation, cx.waker());
        if planted(Bug::ListensWithoutLooking) {
            return Poll::Pending;
        }
        self.poll_now()
    }

    /// Wakes the task at the next arrival or settlement, without taking anything.
    pub fn listen(&mut self, cx: &mut Context<'_>) {
        self.link.arrival.listen(self.generation, cx.waker());
    }

    /// Like [`poll_lease`](Self::poll_lease), but nobody is woken later.
    pub fn poll_now(&mut self) -> Poll<Option<Lease<T>>> {
        // Asked before the ring, else a batch pushed just before the closing could be overlooked.
        let closed = self.link.closed.load(Acquire);
        let mut receiving = self.link.receiving();
        if receiving.generation != self.generation {
            return Poll::Ready(None);
        }
        match receiving.take(&self.link) {
            Some((id, item)) => Poll::Ready(Some(Lease::new(&self.link, self.generation, id, item))),
            None if closed && receiving.out == receiving.held.len() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
