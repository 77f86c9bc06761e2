//! What one writes by hand without an engine: consume, parse, COPY, SET, in one loop in one process.
//!
//! It is meant to be hard to beat: same fetch settings as ours, typed parsing, binary COPY in large frames, one
//! transaction per batch, only the last value per key sent to Redis. What it lacks is what an engine is for: offsets,
//! supervision, rejects, backpressure, recovery. One bad record ends it.

mod copy;
mod parse;

use crate::usage::{self, Usage};
use crate::workload::{self, PARTITIONS, Work};
use anyhow::{Context, Result};
use copy::{CopyBuffer, copy_in};
use parse::{Parser, Row};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Rows of one transaction.
const BATCH_ROWS: usize = 16_384;

/// Where the parts are.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// Kafka.
    #[arg(long)]
    pub kafka: String,
    /// TimescaleDB.
    #[arg(long)]
    pub timescale: String,
    /// Redis.
    #[arg(long)]
    pub redis: String,
    /// The topic to drain.
    #[arg(long)]
    pub topic: String,
    /// Rows it holds; the program ends after them.
    #[arg(long)]
    pub rows: u64,
    /// What the topic holds.
    #[arg(long)]
    pub work: Work,
}

/// What a run took, from the first message to the last commit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Rows written.
    pub rows: u64,
    /// Elapsed seconds.
    pub seconds: f64,
    /// CPU seconds of the process in that time.
    pub cpu_seconds: f64,
    /// The most memory the process ever held, bytes.
    pub rss_peak_bytes: u64,
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
fn now() -> Instant {
    Instant::now()
}

fn own_usage() -> Result<Usage> {
    usage::of(std::process::id()).context("read /proc")
}

/// Drains the topic.
pub async fn run(target: &Target) -> Result<Measured> {
    let consumer = consumer(target)?;
    let client = workload::connect(&target.timescale).await?;
    let redis = bb8_redis::redis::Client::open(target.redis.as_str())?;
    let mut redis = redis.get_multiplexed_async_connection().await.context("connect to Redis")?;
    let parser = Parser::new(target.work);
    let mut batch: Vec<Row> = Vec::with_capacity(BATCH_ROWS);
    let mut buffer = CopyBuffer::default();
    let mut started = None;
    let mut rows = 0;
    while rows < target.rows {
        while batch.len() < BATCH_ROWS {
            let Some(message) = consumer.poll(Duration::from_millis(20)) else { break };
            let message = message.context("consume")?;
            if started.is_none() {
                started = Some((now(), own_usage()?));
            }
            parser.rows(message.payload().context("a tombstone")?, &mut batch)?;
        }
        if batch.is_empty() {
            continue;
        }
        copy_in(&client, target.work, &batch, &mut buffer).await?;
        set_last(&mut redis, &batch).await?;
        rows += batch.len() as u64;
        batch.clear();
    }
    let (began, used_before) = started.context("the topic is empty")?;
    let used = own_usage()?;
    Ok(Measured {
        rows,
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: (used.cpu - used_before.cpu).as_secs_f64(),
        rss_peak_bytes: used.rss_peak_bytes,
    })
}

fn consumer(target: &Target) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &target.kafka)
        .set("group.id", "ceiling")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "262144")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "5")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(&target.topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// One pipeline with the last row of each symbol.
async fn set_last(redis: &mut bb8_redis::redis::aio::MultiplexedConnection, batch: &[Row]) -> Result<()> {
    let mut last: HashMap<&str, &Row> = HashMap::new();
    for row in batch {
        last.insert(&row.symbol, row);
    }
    let mut pipeline = bb8_redis::redis::pipe();
    for (symbol, row) in last {
        pipeline
            .cmd("SET")
            .arg(format!("ceiling:{symbol}"))
            .arg(format!("{} {}", row.ts_us, row.price))
            .ignore();
    }
    pipeline.query_async::<()>(redis).await.context("SET")?;
    Ok(())
}
