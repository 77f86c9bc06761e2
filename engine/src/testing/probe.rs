//! The outside of an actor under test: what it was sent, what came out, what it rejected.

use crate::batch::Batch;
use crate::claim::{Claim, Claims, Owner};
use crate::ledger::{Ledger, SinkIndex};
use crate::letter::{DeadLetterPort, Letter};
use crate::link::{Crash, Link, Receiver, Sender};
use crate::status::Status;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Everything around the actor of a [`Harness`](super::Harness). Cloning shares it, so a script may use one clone while
/// the actor runs.
#[derive(Clone, Debug)]
pub struct Probe {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) input_links: Vec<Arc<Link>>,
    pub(super) output_links: Vec<Arc<Link>>,
    pub(super) senders: Vec<Sender>,
    pub(super) ledger: Ledger,
    pub(super) claims: Claims,
    /// Who is under test; where it is a sink, every claim has it.
    pub(super) name: Arc<str>,
    pub(super) port: DeadLetterPort,
    pub(super) status: Status,
    /// Whether outputs settle in the ledger as sinks would: `false` when the actor is the sink itself.
    pub(super) outputs_are_sinks: bool,
    /// Whether what comes out is taken at once, or left for the test to take.
    pub(super) outputs_held: AtomicBool,
    pub(super) seen: Mutex<Seen>,
    pub(super) changed: Notify,
}

/// What came out so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    received: Vec<(usize, Batch)>,
    letters: Vec<Letter>,
}

impl Probe {
    /// Sends `batch` to the first input.
    pub fn send(&self, batch: Batch) {
        self.send_to(0, batch);
    }

    /// Sends `batch` to the `input`th input, as its source would: claims its partition if nobody has, tells the ledger.
    ///
    /// # Panics
    /// If the link is full or closed: give the harness wider [`bounds`](super::HarnessBuilder::bounds).
    pub fn send_to(&self, input: usize, batch: Batch) {
        self.claim(&batch);
        self.shared.ledger.read(&batch.origin, &batch.raw);
        if let Err(error) = self.shared.senders[input].try_push(batch) {
            panic!("input {input} does not take {error:?}");
        }
    }

    /// No batch will follow on any input: the actor finishes once it has settled what it was sent.
    pub fn close_inputs(&self) {
        self.shared.senders.iter().for_each(Sender::close);
    }

    /// Asks the actor to stop.
    pub fn stop(&self) {
        self.shared.status.ask_stop();
    }

    /// Leaves the outputs full once they are, instead of taking what comes out; `false` takes it again.
    pub fn hold_outputs(&self, held: bool) {
        self.shared.outputs_held.store(held, Ordering::Release);
        self.shared.changed.notify_waiters();
    }

    /// What came out of all outputs, in order.
    pub fn received(&self) -> Vec<Batch> {
        self.seen().received.iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// What was rejected, in order.
    pub fn letters(&self) -> Vec<Letter> {
        self.seen().letters.clone()
    }

    /// Completes once `enough` holds; asked again after every batch that came out and every letter.
    pub async fn until(&self, mut enough: impl FnMut(&Probe) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if enough(self) {
                return;
            }
            changed.await;
        }
    }

    /// The link of the `input`th input.
    pub fn input_link(&self, input: usize) -> &Arc<Link> {
        &self.shared.input_links[input]
    }

    /// The link of the `output`th output.
    pub fn output_link(&self, output: usize) -> &Arc<Link> {
        &self.shared.output_links[output]
    }

    /// The fate of what was sent.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The claims the actor sees.
    pub fn claims(&self) -> &Claims {
        &self.shared.claims
    }

    /// What people would see of the actor.
    pub fn status(&self) -> &Status {
        &self.shared.status
    }

    /// Where its letters go. The harness answers them unless it was built to leave them.
    pub fn port(&self) -> &DeadLetterPort {
        &self.shared.port
    }

    /// A claim for the partition of `batch` in its epoch, unless there is one as new.
    fn claim(&self, batch: &Batch) {
        let origin = &batch.origin;
        if self.shared.claims.get(&origin.key).is_none_or(|claim| claim.epoch < origin.epoch) {
            self.shared.claims.insert(Claim {
                key: origin.key.clone(),
                epoch: origin.epoch,
                owner: Owner(origin.epoch as u128),
                start: origin.first,
                sinks: [(self.shared.name.clone(), origin.first)].into(),
                skipped: Default::default(),
            });
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The actor called `name` has crashed, saying `message`.
    pub(super) fn crashed(&self, name: &Arc<str>, message: &str) {
        for link in &self.shared.input_links {
            if let Crash::Condemned { batch, offset, message } = link.receiver_crashed(message) {
                self.seen().letters.push(Letter::crashed_actor(name, &batch, offset, message));
                let origin = &batch.origin;
                self.shared.ledger.dead_lettered(&origin.key, origin.epoch, offset, name);
            }
        }
    }

    /// Answers letter requests for ever.
    pub(super) async fn collect_letters(&self) {
        loop {
            let request = self.shared.port.next().await;
            self.seen().letters.extend(request.letters);
            request.stored.give();
            self.shared.changed.notify_waiters();
        }
    }

    /// Takes what comes out of one output until it is closed and empty.
    pub(super) async fn collect_output(&self, output: usize, receiver: &mut Receiver) {
        loop {
            self.until(|probe| !probe.shared.outputs_held.load(Ordering::Acquire)).await;
            let Some(lease) = receiver.lease().await else { return };
            if self.shared.outputs_are_sinks {
                self.shared.ledger.settled(SinkIndex(output), &lease.origin, lease.row_offsets());
            }
            self.seen().received.push((output, (*lease).clone()));
            lease.settle();
            self.shared.changed.notify_waiters();
        }
    }
}
