//! Nothing happens for long, then something does.

use super::super::kit::PLAIN;
use super::super::load::record;
use super::super::stage::Stage;
use super::super::trial::Trial;
use crate::harness::world::PARTITIONS;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};

/// Brokers, databases and firewalls drop connections on which nothing moves.
const IDLE_LONG_SECONDS: u64 = 15 * 60;
/// An id that no load comes to.
const LATE: u64 = 100_000_000;
const IN_TABLE_MAX: Duration = Duration::from_secs(1);

/// The first message after a long silence is in the table within a second.
pub fn one_message(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(500);
    let node = stage.node("idle");
    stage.await_progress(500);
    load.pause();
    trial.fault();
    std::thread::sleep(trial.seconds(15, IDLE_LONG_SECONDS));
    node.await_ready(200, Duration::from_secs(5));
    let took = send_one(&stage);
    assert!(took <= IN_TABLE_MAX, "the message was in the table only after {took:?}");
    trial.recovered(took);
    load.go_on();
    trial.note(format!("the message was in the table after {} ms", took.as_millis()));
    stage.judge(trial, load, vec![node]);
}

/// From the broker's word that it has the record until its row is seen.
fn send_one(stage: &Stage) -> Duration {
    let sql = stage.world.sql();
    let producer: BaseProducer = stage.client().create().expect("a producer");
    let (partition, key, value, time) = record(LATE, PARTITIONS);
    let record =
        BaseRecord::to(&stage.world.topic).partition(partition).key(&key).payload(&value).timestamp(time);
    producer.send(record).map_err(|(error, _)| error).expect("sent");
    producer.flush(Duration::from_secs(20)).expect("the broker has it");
    let sent = Instant::now();
    let id = LATE as i64;
    while sql.rows("SELECT FROM market.trades WHERE id = $1", &[&id]).is_empty() {
        assert!(sent.elapsed() < Duration::from_secs(60), "the message is in no table");
        std::thread::sleep(Duration::from_millis(5));
    }
    sent.elapsed()
}
