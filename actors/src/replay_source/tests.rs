//! Whole files through the actor, on one paused runtime.

use super::{Plan, Replay};
use aqueduct_engine::testing::{Harness, MemoryOffsets, Probe};
use aqueduct_engine::{Batch, Clock, PartitionKey, SinkIdentity};
use aqueduct_topology::model::{Pointer, ReplayFormat, ReplaySource, TimeUnit};
use aqueduct_topology::{Span, Spanned};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

struct World {
    folder: tempfile::TempDir,
    offsets: MemoryOffsets,
}

impl World {
    fn new() -> Self {
        let sink = SinkIdentity { id: "sink".into(), adopts: None, target: "table".into(), required: true };
        Self { folder: tempfile::tempdir().unwrap(), offsets: MemoryOffsets::new(vec![sink], 0) }
    }

    /// The sink of that partition stands at `next`.
    fn place(&self, partition: i32, next: i64) {
        let key = PartitionKey { source: "replay".into(), topic: "t".into(), partition };
        self.offsets.place("sink", &key, next);
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn replay(&self, file: PathBuf, change: impl FnOnce(&mut ReplaySource)) -> Replay {
        let mut options = ReplaySource {
            file: Spanned::new(file, Span::default()),
            format: ReplayFormat::Jsonl,
            topic: "t".into(),
            time: None,
            time_unit: TimeUnit::Millis,
            key: None,
            speed: None,
            partitions: 1,
            repeat: Some(1),
        };
        change(&mut options);
        let offsets = Arc::new(self.offsets.clone());
        Replay { plan: Arc::new(Plan { source: "replay".into(), topic: "t".into(), options, offsets }) }
    }

    /// Runs until caught up, then drains.
    async fn run(&self, replay: Replay) -> Vec<Batch> {
        let mut harness = Harness::source("replay");
        let probe = harness.probe();
        let (ended, ()) = harness.run_while(replay, drain_at_the_end(&probe)).await;
        ended.unwrap();
        probe.received()
    }
}

async fn drain_at_the_end(probe: &Probe) {
    probe.until(|probe| probe.status().is_caught_up()).await;
    probe.status().ask_drain();
}

/// Offset and value of every record.
fn records(batches: &[Batch]) -> Vec<(i64, String)> {
    let mut records = Vec::new();
    for batch in batches {
        for index in 0..batch.raw.len() {
            let value = String::from_utf8_lossy(batch.raw.value(index).unwrap()).into_owned();
            records.push((batch.raw.offsets.value(index), value));
        }
    }
    records.sort();
    records
}

fn owned(records: &[(i64, &str)]) -> Vec<(i64, String)> {
    records.iter().map(|(offset, value)| (*offset, (*value).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_plain_and_a_packed_file_are_the_same_records() {
    let world = World::new();
    let content = b"{\"a\":1}\n\nnot json\r\n{\"a\":3}";
    let plain = world.file("x.jsonl", content);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    let packed = world.file("x.jsonl.gz", &encoder.finish().unwrap());
    for file in [plain, packed] {
        let world = World::new();
        let batches = world.run(world.replay(file, |_| {})).await;
        assert_eq!(records(&batches), owned(&[(0, "{\"a\":1}"), (1, "not json"), (2, "{\"a\":3}")]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_csv_record_may_span_lines() {
    let world = World::new();
    let file = world.file("x.csv", b"\xEF\xBB\xBFid,text\r\n1,\"two\nlines\"\r\n2,b\r\n");
    let batches = world.run(world.replay(file, |options| options.format = ReplayFormat::Csv)).await;
    let expected = [(0, r#"{"id":"1","text":"two\nlines"}"#), (1, r#"{"id":"2","text":"b"}"#)];
    assert_eq!(records(&batches), owned(&expected));
}

#[tokio::test(start_paused = true)]
async fn repeats_count_on_and_every_partition_ends_at_the_end() {
    let world = World::new();
    let file = world.file("x.jsonl", b"1\n2\n3\n");
    let replay = world.replay(file, |options| (options.repeat, options.partitions) = (Some(2), 4));
    let batches = world.run(replay).await;
    let expected = [(0, "1"), (1, "2"), (2, "3"), (3, "1"), (4, "2"), (5, "3")];
    assert_eq!(records(&batches), owned(&expected));
    for partition in 0..4 {
        let last = batches.iter().rfind(|batch| batch.origin.key.partition == partition).unwrap();
        assert_eq!(last.origin.next, 6, "partition {partition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_each_partition_stands() {
    let world = World::new();
    let file = world.file("x.jsonl", b"0\n1\n2\n3\n4\n5\n");
    world.place(0, 4);
    world.place(1, 2);
    let batches = world.run(world.replay(file, |options| options.partitions = 2)).await;
    assert_eq!(records(&batches), owned(&[(3, "3"), (4, "4"), (5, "5")]));
}

#[tokio::test(start_paused = true)]
async fn recorded_distances_are_kept_at_the_chosen_speed() {
    let world = World::new();
    let file = world.file("x.jsonl", b"{\"T\":1000}\n{\"T\":11000}\n{\"T\":21000}\n");
    let clock = Clock::system();
    let began = clock.now();
    let replay = world.replay(file, |options| {
        options.time = Some(Pointer { tokens: vec!["T".into()] });
        options.speed = Some(10.0);
    });
    let batches = world.run(replay).await;
    let took = clock.now().duration_since(began);
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    let times: Vec<_> = batches.iter().filter_map(|batch| batch.raw.time_ms(0)).collect();
    assert_eq!(times, [1000, 11000, 21000]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_is_a_new_claim_and_a_new_reading() {
    let world = World::new();
    let file = world.file("x.jsonl", b"0\n1\n");
    let mut harness = Harness::source("replay");
    let probe = harness.probe();
    let script = async {
        probe.until(|probe| probe.status().is_caught_up()).await;
        let claim = probe.claims().all()[0].clone();
        probe.claims().request_rewind(&claim.key, claim.epoch, aqueduct_engine::claim::Loss::WentBack);
        probe.until(|probe| probe.received().iter().any(|batch| batch.origin.epoch == 2)).await;
        drain_at_the_end(&probe).await;
    };
    harness.run_while(world.replay(file, |_| {}), script).await.0.unwrap();
    let of_new: Vec<Batch> = probe.received().into_iter().filter(|batch| batch.origin.epoch == 2).collect();
    assert_eq!(records(&of_new), owned(&[(0, "0"), (1, "1")]));
}
