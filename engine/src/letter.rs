//! Rejected records on their way to the dead letter.
//!
//! Invariant: a batch advances only after its rejects are durable. An actor asks through [`DeadLetterPort`] and waits
//! for the answer; should the `dead_letter` actor crash meanwhile, the question is asked again (letters have a key, so
//! asking twice stores once).

use crate::batch::{Batch, Headers, PartitionKey};
use crate::class::Class;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::{Mutex, mpsc, oneshot};

/// How much of a record a letter speaks of: what of it is still to be written, should it be judged anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it: no row was handed on.
    Record,
    /// The row at [`Letter::row`], and no other.
    Row,
    /// Several rows whose places are not told; others of the record may have been handed on.
    Several,
}

impl Extent {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Extent::Record => "record",
            Extent::Row => "row",
            Extent::Several => "several",
        }
    }
}

/// One rejected record (or one rejected row of it).
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// The identity of the actor that rejected it: its clones share it, so a record that another of them judges again gets
    /// no second letter, and offsets are kept under it.
    pub actor: Arc<str>,
    /// Where it came from.
    pub key: PartitionKey,
    /// The claim under which it was judged.
    pub epoch: i64,
    /// Its offset.
    pub offset: i64,
    /// The row within the record; 0 when the whole record was rejected.
    pub row: i32,
    /// How much of the record it speaks of.
    pub extent: Extent,
    /// Why, as a class.
    pub class: Class,
    /// Why, as a stable short word: a `require` name, `json`, `missing_field`, .. Used as a metric label.
    pub reason: Arc<str>,
    /// Why, for people: field, value, expectation.
    pub detail: String,
    /// The record's key as it came.
    pub record_key: Option<Vec<u8>>,
    /// The record's value as it came.
    pub payload: Option<Vec<u8>>,
    /// The record's headers.
    pub headers: Headers,
    /// The record's Kafka time, milliseconds since 1970 UTC.
    pub record_time_ms: Option<i64>,
}

impl Letter {
    /// A letter for one row of the record at `offset` of `batch`, raw bytes included. See [`Letter::of`].
    pub fn for_record(
        actor: &Arc<str>,
        batch: &Batch,
        (offset, row): (i64, i32),
        (class, reason): (Class, Arc<str>),
        detail: String,
    ) -> Self {
        let index = batch.raw.position(offset);
        Self {
            actor: actor.clone(),
            key: batch.origin.key.clone(),
            epoch: batch.origin.epoch,
            offset,
            row,
            extent: Extent::Row,
            class,
            reason,
            detail,
            record_key: index.and_then(|index| batch.raw.key(index)).map(<[u8]>::to_vec),
            payload: index.and_then(|index| batch.raw.value(index)).map(<[u8]>::to_vec),
            headers: match (index, &batch.raw.headers) {
                (Some(index), Some(headers)) => headers[index].clone(),
                _ => Headers::new(),
            },
            record_time_ms: index.and_then(|index| batch.raw.time_ms(index)),
        }
    }

    /// The same letter, of another extent.
    pub fn of(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }
}

impl Letter {
    /// A letter for the record at `offset` of `batch`, which kills `actor`: found on probation, see
    /// [`Link::receiver_crashed`](crate::link::protocol::Link::receiver_crashed). `message` is what the crash said.
    pub fn crashed_actor(actor: &Arc<str>, batch: &Batch, offset: i64, message: String) -> Self {
        Self::for_record(actor, batch, (offset, 0), (Class::Bug, "crashed_actor".into()), message)
            .of(Extent::Record)
    }
}

/// Letters to store, and whom to tell once they are durable.
#[derive(Debug)]
pub struct LetterRequest {
    /// What to store.
    pub letters: Vec<Letter>,
    /// Answered only when durable (or already there, or judged under a claim no longer ours).
    pub stored: Answer,
}

/// What whoever asked waits for. Dropped unanswered, it is asked again.
#[derive(Debug)]
pub struct Answer {
    answer: Option<oneshot::Sender<()>>,
    /// Those not answered yet, this one among them.
    open: Arc<AtomicUsize>,
}

impl Answer {
    fn new(open: &Arc<AtomicUsize>) -> (Self, oneshot::Receiver<()>) {
        let (answer, asked) = oneshot::channel();
        open.fetch_add(1, Relaxed);
        (Self { answer: Some(answer), open: open.clone() }, asked)
    }

    /// The letters are durable. Whoever asked may have been stopped meanwhile.
    pub fn give(mut self) {
        let _ = self.answer.take().map(|answer| answer.send(()));
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

/// The way to the `dead_letter` actor. It belongs to the runtime, so it survives that actor's restarts.
#[derive(Clone, Debug)]
pub struct DeadLetterPort {
    sender: mpsc::Sender<LetterRequest>,
    receiver: Arc<Mutex<mpsc::Receiver<LetterRequest>>>,
    /// Requests without an answer. Not those who wait for one: who hangs waits for ever.
    open: Arc<AtomicUsize>,
}

impl Default for DeadLetterPort {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(crate::limits::LETTER_REQUESTS_MAX);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)), open: Arc::default() }
    }
}

impl DeadLetterPort {
    /// Returns once `letters` are durable.
    pub async fn store(&self, letters: Vec<Letter>) {
        if letters.is_empty() {
            return;
        }
        loop {
            let (stored, answer) = Answer::new(&self.open);
            let request = LetterRequest { letters: letters.clone(), stored };
            self.sender.send(request).await.expect("invariant: the port owns its receiver");
            if answer.await.is_ok() {
                return;
            }
        }
    }

    /// How many requests wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// For the `dead_letter` actor: the next request. One receiver at a time.
    pub async fn next(&self) -> LetterRequest {
        self.receiver.lock().await.recv().await.expect("invariant: the port owns its sender")
    }

    /// For the `dead_letter` actor: a further request that already waits.
    pub fn try_next(&self) -> Option<LetterRequest> {
        self.receiver.try_lock().ok()?.try_recv().ok()
    }
}
