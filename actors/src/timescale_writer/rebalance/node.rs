//! One process: a source's steps, a link, a writer.

use super::outside::{Database, Outside, SINK};
use crate::kafka::records::{Gathering, Record};
use crate::timescale::TableName;
use crate::timescale_writer::Spec;
use crate::timescale_writer::alone::Beside;
use crate::timescale_writer::positions::Held;
use crate::timescale_writer::store::{Conflict, Target};
use crate::timescale_writer::writer::Writer;
use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
use aqueduct_engine::link::{Bounds, Link, Sender};
use aqueduct_engine::port::Inputs;
use aqueduct_engine::testing::partition;
use aqueduct_engine::trace::Steps;
use aqueduct_engine::{Batch, Claims, Headers, Ledger, Loss, SinkIndex};
use aqueduct_topology::model::Flush;
use arrow_array::RecordBatch;
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Records a read gives at most.
const READ_MAX: i64 = 3;

/// A partition that is read.
struct Reading {
    epoch: i64,
    gathering: Gathering,
}

pub(super) struct Node {
    outside: Arc<Outside>,
    claims: Claims,
    pub(super) ledger: Ledger,
    /// What the group lets it have and is to be claimed.
    to_claim: BTreeSet<i32>,
    reading: BTreeMap<i32, Reading>,
    /// What this process claimed last.
    last_epochs: BTreeMap<i32, i64>,
    link: Arc<Link>,
    sender: Sender,
    inputs: Inputs,
    writer: Writer,
    held: Vec<Held>,
}

impl Node {
    pub(super) fn new(outside: &Arc<Outside>) -> Self {
        let link = Link::new(Bounds { batches: 4096, bytes: 1 << 30 });
        let (sender, inputs) = (link.sender(), Inputs::new(vec![link.receiver()]));
        let ledger = Ledger::new("model".into(), vec![(SINK.into(), true)]);
        let (claims, to_claim, reading, last_epochs) = Default::default();
        let (outside, writer, held) = (outside.clone(), writer(outside), Vec::new());
        Self { outside, claims, ledger, to_claim, reading, last_epochs, link, sender, inputs, writer, held }
    }

    /// The group gives it a partition.
    pub(super) fn grant(&mut self, number: i32) {
        self.to_claim.insert(number);
    }

    /// It hears that a partition is not its own any more.
    pub(super) fn release(&mut self, number: i32) {
        self.to_claim.remove(&number);
        if let Some(reading) = self.reading.remove(&number) {
            self.claims.release(&partition(number), reading.epoch);
            self.ledger.release(&partition(number), reading.epoch);
        }
    }

    /// A claim that is due is made, and reading begins. `ends`: of the logs.
    pub(super) fn claim(&mut self, ends: &[i64]) {
        let Some(number) = self.to_claim.pop_first() else { return };
        let key = partition(number);
        let last_epoch = self.last_epochs.get(&number).copied().unwrap_or(0);
        let claim = self.outside.claim(&key, ends[number as usize], last_epoch);
        self.last_epochs.insert(number, claim.epoch);
        self.ledger.release(&key, claim.epoch - 1);
        let gathering = Gathering::new(key, claim.epoch, claim.start, 100);
        self.reading.insert(number, Reading { epoch: claim.epoch, gathering });
        self.claims.insert(claim);
    }

    /// Takes a few messages and hands them on, twice: the second time is a retry that was not needed.
    pub(super) fn read(&mut self, number: i32, ends: &[i64]) {
        let Some(reading) = self.reading.get_mut(&number) else { return };
        let next = reading.gathering.next();
        for offset in next..ends[number as usize].min(next + READ_MAX) {
            let value = Some(&b"value"[..]);
            let time_ms = Some(offset);
            let record = Record { offset, key: None, value, time_ms, headers: Headers::new() };
            assert!(reading.gathering.add(record).is_empty());
        }
        let Some(batch) = reading.gathering.finish() else { return };
        self.ledger.read(&batch.origin, &batch.raw);
        let batch = with_rows(&batch);
        for _ in 0..2 {
            assert!(self.sender.try_push(batch.clone()).is_ok(), "the link is wide enough");
        }
    }

    /// The writer takes a batch.
    pub(super) fn lease(&mut self) {
        let Some(lease) = self.inputs.try_lease(&self.claims) else { return };
        match self.claims.get(&lease.origin.key).filter(|claim| claim.epoch == lease.origin.epoch) {
            Some(claim) if !self.writer.positions.is_lost(&claim) => {
                self.held.push(Held { lease, claim, encoded: None })
            }
            _ => lease.settle(),
        }
    }

    /// One attempt to write what it holds.
    pub(super) fn write(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let steps = Steps::default();
        let beside = Beside { claims: &self.claims, ledger: &self.ledger, steps: &steps, works: &[] };
        let attempt = self.writer.attempt(&self.held, beside).now_or_never();
        if attempt.expect("nothing here is waited for").is_err() {
            return;
        }
        for Held { lease, claim, .. } in std::mem::take(&mut self.held) {
            if !self.writer.positions.is_lost(&claim) {
                self.ledger.settled(SinkIndex(0), &lease.origin, lease.row_offsets());
            }
            lease.settle();
        }
    }

    /// The source looks what its sinks ask for.
    pub(super) fn look(&mut self) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (key, epoch, loss) in self.claims.take_rewinds(&partition(0).source) {
            if self.reading.get(&key.partition).is_some_and(|reading| reading.epoch == epoch) {
                self.reading.remove(&key.partition);
                self.to_claim.insert(key.partition);
                losses.push(loss);
            }
        }
        losses
    }

    /// The writer crashes and a new one takes its place.
    pub(super) fn replace_writer(&mut self) {
        self.held.clear();
        self.inputs = Inputs::new(vec![self.link.receiver()]);
        self.writer = writer(&self.outside);
    }

    /// Everything it can do, once.
    pub(super) fn turn(&mut self, ends: &[i64]) {
        self.look();
        for number in 0..ends.len() as i32 {
            self.claim(ends);
            self.read(number, ends);
        }
        for _ in 0..64 {
            self.lease();
        }
        self.write();
    }
}

fn writer(outside: &Arc<Outside>) -> Writer {
    let target = Arc::new(Target {
        topology: "model".into(),
        sink: SINK.into(),
        table: TableName::parse("rows").expect("a name"),
        columns: Vec::new(),
        unique: Vec::new(),
        conflict: Conflict::Keep,
        looked_up_by: None,
        node: "node".into(),
    });
    let flush = Flush { rows: 1, bytes: 1, interval: Duration::ZERO };
    let (name, said) = (SINK.into(), "rows".into());
    Writer::new(Spec {
        target,
        name,
        said,
        flush,
        transactions: 1,
        required: true,
        store: Arc::new(Database(outside.clone())),
    })
}

/// A row for each message.
fn with_rows(batch: &Batch) -> Batch {
    let offsets = batch.raw.offsets.values().to_vec();
    let indices = vec![0; offsets.len()];
    let hidden = hidden_columns(offsets, indices).to_vec();
    batch.with_rows(RecordBatch::try_new(with_hidden_columns([]), hidden).expect("hidden columns alone"))
}
