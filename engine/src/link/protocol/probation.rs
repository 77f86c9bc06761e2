//! Which record kills the receiver? Found by halving, one suspect at a time.
//!
//! A batch on lease in `DELIVERIES_MAX` crashes of its receiver becomes a suspect. Suspects are delivered alone and in
//! order; each further crash halves the one that was out, until it is a single record: that one is condemned, and its
//! batch goes on without it.
//!
//! A restart of the source along with its receiver, as a supervisor may order, makes the batch stale: it is dropped, and
//! its records come again in another. So what spoke against a dropped batch is inherited by whatever holds its records;
//! and that a record was condemned is forgotten only with its batch settled, not with its batch dropped.
//!
//! Invariant: a condemnation takes at most log2(records) + 1 crashes, fewer than the 2 * log2(records) + 2 allowed.
//! Deliberately absent: faults that end the process (stack overflow, out of memory) leave nobody to count them.

use super::receiving::{Held, Receiving};
use super::{Flow, Link};
use crate::limits::{ACCUSATIONS_MAX, CONDEMNED_MAX, DELIVERIES_MAX};
use crate::planted::{Bug, planted};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// What a crash of the receiver meant for the batches it had on lease.
#[derive(Debug)]
pub enum Crash<T> {
    /// Nothing decided: a crash for the supervisor to count. Also when nothing was on lease.
    Count,
    /// It belongs to probation: restart at once, do not count it.
    Probation,
    /// It belongs to probation, and its culprit is found: make the record's letter durable, then restart at once and do
    /// not count it. The batch will be delivered without the record.
    Condemned {
        /// A batch that holds the record alone.
        batch: Arc<T>,
        /// The record.
        offset: i64,
        /// What the crash said.
        message: String,
    },
}

impl<T> Crash<T> {
    /// Whether the supervisor counts it against the intensity (and waits its backoff).
    pub fn counts(&self) -> bool {
        matches!(self, Crash::Count)
    }
}

/// What probation remembers between crashes.
#[derive(Default)]
pub(super) struct Accused {
    /// Records condemned since probation began.
    condemned: u32,
}

/// What spoke against a batch that was dropped.
pub(super) struct Accusation<K> {
    key: K,
    first: i64,
    next: i64,
    deliveries: u32,
    suspect: bool,
}

impl<T: Flow> Receiving<T> {
    /// Remembers what spoke against `held`, which is dropped.
    pub(super) fn remember(&mut self, held: &Held<T>) {
        if held.deliveries == 0 && !held.suspect {
            return;
        }
        let (key, first, next) = (held.item.key().clone(), held.item.first(), held.item.next());
        let Held { deliveries, suspect, .. } = *held;
        self.accuse_later(Accusation { key, first, next, deliveries, suspect });
    }

    fn accuse_later(&mut self, accusation: Accusation<T::Key>) {
        self.accusations.truncate(ACCUSATIONS_MAX - 1);
        self.accusations.push_front(accusation);
    }

    /// `held` was settled: nothing speaks against its records any more.
    pub(super) fn clear(&mut self, held: &Held<T>) {
        if self.accusations.is_empty() {
            return;
        }
        let (key, first, next) = (held.item.key(), held.item.first(), held.item.next());
        for accusation in self.accusations.iter_mut().filter(|accusation| accusation.key == *key) {
            if first <= accusation.first {
                accusation.first = accusation.first.max(next);
            }
        }
        self.accusations.retain(|accusation| accusation.first < accusation.next);
    }
}

impl<T: Flow> Link<T> {
    /// Lets the `index`th held item inherit what spoke against its records; whether it is a suspect then.
    pub(super) fn inherit(&self, receiving: &mut Receiving<T>, index: usize) -> bool {
        let held = &mut receiving.held[index];
        let (key, first, next) = (held.item.key(), held.item.first(), held.item.next());
        let about = |accusation: &&Accusation<T::Key>| {
            accusation.key == *key && accusation.first < next && first < accusation.next
        };
        for accusation in receiving.accusations.iter().filter(about) {
            held.deliveries = held.deliveries.max(accusation.deliveries);
            held.suspect |= accusation.suspect;
        }
        if held.suspect {
            self.suspects.fetch_add(1, AcqRel);
        }
        held.suspect
    }

    /// The receiver's own run has panicked or returned an error, saying `message`: counts it against what it had leased
    /// and not settled. Cuts that receiver off. To be called before its successor is made, and not for a restart that
    /// was not its own doing.
    pub fn receiver_crashed(&self, message: &str) -> Crash<T> {
        let mut receiving = self.receiving();
        let crash = if !receiving.held.iter().any(|held| held.touched) {
            Crash::Count
        } else if self.on_probation() {
            self.judge(&mut receiving, message)
        } else {
            self.accuse(&mut receiving);
            Crash::Count
        };
        receiving.cut();
        let generation = receiving.generation;
        drop(receiving);
        self.arrival.hand_over(generation);
        crash
    }

    /// Counts a crash outside probation; begins probation for what has seen too many.
    fn accuse(&self, receiving: &mut Receiving<T>) {
        receiving.accused = Accused::default();
        for held in receiving.held.iter_mut().filter(|held| held.touched) {
            held.deliveries += 1;
            if held.deliveries >= DELIVERIES_MAX && !held.suspect {
                held.suspect = true;
                self.suspects.fetch_add(1, AcqRel);
            }
        }
    }

    /// Halves or condemns the one that was out.
    fn judge(&self, receiving: &mut Receiving<T>, message: &str) -> Crash<T> {
        let index =
            receiving.held.iter().position(|held| held.touched).expect("invariant: something was touched");
        let Some(offset) = receiving.held[index].item.first_record() else { return Crash::Count };
        match receiving.held[index].item.halves().filter(|_| !planted(Bug::CondemnsNeighbours)) {
            Some(halves) => {
                self.split(receiving, index, halves);
                // Many culprits in one batch speak against the actor, not the records: let its supervisor judge.
                if receiving.accused.condemned < CONDEMNED_MAX { Crash::Probation } else { Crash::Count }
            }
            None => {
                receiving.accused.condemned += 1;
                let held = &mut receiving.held[index];
                let emptied = Arc::new(held.item.emptied());
                let batch = std::mem::replace(&mut held.item, emptied);
                // Unless what is left of it is settled, the record will come again and kill again: alone, then, and not
                // as if nothing were known of it.
                let (key, first, next) = (batch.key().clone(), batch.first(), batch.next());
                let accusation = Accusation { key, first, next, deliveries: held.deliveries, suspect: true };
                self.acquit(held);
                if !planted(Bug::ForgetsVerdicts) {
                    receiving.accuse_later(accusation);
                }
                Crash::Condemned { batch, offset, message: message.to_owned() }
            }
        }
    }

    /// Puts two suspects in the place of one.
    fn split(&self, receiving: &mut Receiving<T>, index: usize, (left, right): (T, T)) {
        let whole = receiving.held.remove(index).expect("invariant: just found");
        let charge = whole.charge / 2;
        for (item, charge) in [(right, whole.charge - charge), (left, charge)] {
            let held = Held {
                suspect: whole.suspect,
                deliveries: whole.deliveries,
                ..receiving.hold(Arc::new(item), charge)
            };
            receiving.held.insert(index, held);
        }
        self.batches.fetch_add(1, AcqRel);
        if whole.suspect {
            self.suspects.fetch_add(1, AcqRel);
        }
        assert!(self.suspects.load(Acquire) <= receiving.held.len(), "only what is held is suspected");
    }

    /// No longer a suspect: it holds no record any more.
    fn acquit(&self, held: &mut Held<T>) {
        self.bytes.fetch_sub(std::mem::take(&mut held.charge), AcqRel);
        held.deliveries = 0;
        if std::mem::take(&mut held.suspect) {
            self.suspects.fetch_sub(1, AcqRel);
        }
    }
}
