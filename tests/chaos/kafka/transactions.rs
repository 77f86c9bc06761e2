//! Producers with transactions, and a log with holes.

use super::super::kit::PLAIN;
use super::super::load::record;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::Admin;
use crate::harness::wait;
use crate::harness::world::PARTITIONS;
use futures::executor::block_on;
use rdkafka::admin::{AlterConfig, ResourceSpecifier};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::ops::Range;
use std::time::Duration;

const ASK_MAX: Duration = Duration::from_secs(30);

/// Records of one transaction.
const EACH: u64 = 40;

/// Aborted records never become rows, an open transaction holds nothing up, and offsets pass every marker.
pub fn read_committed(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let node = stage.node("committed");
    let transactions = Transactions::begin(&stage);
    let rounds = u64::from(trial.times(40, 1000));
    for round in 0..rounds {
        let commit = trial.random.bool();
        transactions.one(round * EACH..(round + 1) * EACH, commit);
        if !commit {
            trial.fault();
        }
    }
    // What lies behind an open transaction is not to be read yet, and nobody is late with it.
    let open = rounds * EACH..rounds * EACH + EACH;
    transactions.producer.begin_transaction().expect("begun");
    transactions.send(open.clone());
    wait::until("lag 0 below the open transaction", ASK_MAX, || {
        let (_, metrics) = node.get("/metrics")?;
        let mut lag = metrics.lines().filter(|line| line.starts_with("aqueduct_lag_records{")).peekable();
        lag.peek()?;
        lag.all(|line| line.ends_with(" 0")).then_some(())
    });
    node.await_ready(200, Duration::from_secs(5));
    let sql = stage.world.sql();
    let (first, end) = (open.start as i64, open.end as i64);
    let seen = sql.rows("SELECT FROM market.trades WHERE id >= $1 AND id < $2", &[&first, &end]);
    assert!(seen.is_empty(), "{} rows of an open transaction are in the table", seen.len());
    transactions.producer.commit_transaction(ASK_MAX).expect("committed");
    stage.judge_log(trial, vec![node]);
    assert!(stage.log().ids.values().any(|id| *id == Some(first)), "what was open is committed now");
}

/// A log that begins in holes and ends in a marker: compaction has taken most of it, and what transactions aborted.
pub fn compacted(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let transactions = Transactions::begin(&stage);
    let rounds = u64::from(trial.times(30, 300));
    for round in 0..rounds {
        transactions.one(round * EACH..(round + 1) * EACH, trial.random.u8(0..4) > 0);
    }
    let admin = Admin::of(&stage);
    admin.configure(
        &stage,
        &[("cleanup.policy", "compact"), ("segment.ms", "50"), ("min.cleanable.dirty.ratio", "0.01")],
    );
    // The last segment is never compacted: these records end what came before.
    for round in rounds..rounds + 4 {
        std::thread::sleep(Duration::from_millis(60));
        transactions.one(round * EACH..(round + 1) * EACH, round % 2 == 0);
    }
    let before = stage.log().ids.len();
    let compacted = || {
        let log = stage.log();
        let holes = |partition: &i32| {
            let (start, end) = log.bounds[partition];
            let kept = log.ids.range((*partition, start)..(*partition, end)).count() as i64;
            kept < (end - start) / 2
        };
        log.bounds.keys().all(holes).then_some(log.ids.len())
    };
    let kept = wait::until("every partition is compacted", Duration::from_secs(60), compacted);
    // From here on the log stays as it is, so that it can be held against the table.
    admin.configure(&stage, &[("cleanup.policy", "delete")]);
    std::thread::sleep(Duration::from_secs(1));
    trial.fault();
    trial.note(format!("{before} committed records, {kept} of them left by compaction"));
    let node = stage.node("compacted");
    stage.judge_log(trial, vec![node]);
}

impl Admin {
    /// Gives the stage's topic these settings and no others.
    fn configure(&self, stage: &Stage, settings: &[(&str, &str)]) {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(&stage.world.topic));
        for (key, value) in settings {
            change = change.set(key, value);
        }
        let changed = block_on(self.0.alter_configs([&change], &Self::patience())).expect("an answer");
        changed.into_iter().for_each(|topic| drop(topic.expect("the settings are taken")));
    }
}

/// One transactional producer.
struct Transactions {
    producer: BaseProducer,
    topic: String,
}

impl Transactions {
    fn begin(stage: &Stage) -> Self {
        let topic = stage.world.topic.clone();
        let producer: BaseProducer = stage
            .client()
            .set("transactional.id", format!("tx-{topic}"))
            .create()
            .expect("a transactional producer");
        producer.init_transactions(ASK_MAX).expect("transactions");
        Self { producer, topic }
    }

    fn one(&self, ids: Range<u64>, commit: bool) {
        self.producer.begin_transaction().expect("begun");
        self.send(ids);
        if commit {
            self.producer.commit_transaction(ASK_MAX).expect("committed");
        } else {
            self.producer.abort_transaction(ASK_MAX).expect("aborted");
        }
    }

    /// Sends those and waits until the brokers have them.
    fn send(&self, ids: Range<u64>) {
        for id in ids {
            let (partition, key, value, time) = record(id, PARTITIONS);
            let record =
                BaseRecord::to(&self.topic).partition(partition).key(&key).payload(&value).timestamp(time);
            self.producer.send(record).map_err(|(error, _)| error).expect("sent");
        }
        self.producer.flush(ASK_MAX).expect("the brokers have them");
    }
}
