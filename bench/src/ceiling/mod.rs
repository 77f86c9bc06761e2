//! What one writes by hand without an engine: consume, parse, COPY, SET, in one loop in one process.
//!
//! It is meant to be hard to beat: same fetch settings as ours, typed parsing, binary COPY in large frames, one
//! transaction per batch, only the last value per key sent to Redis. What it lacks is what an engine is for: offsets,
//! supervision, rejects, backpressure, recovery. One bad record ends it.

pub(crate) mod copy;
pub(crate) mod parse;

use crate::workload::{self, Sinks, Work};
use anyhow::{Context, Result};
use copy::{CopyBuffer, copy_in};
use parse::{Parser, Row};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::time::Duration;

/// Rows of one transaction.
pub(crate) const BATCH_ROWS: usize = 16_384;

/// What to drain, and where to. Addresses come by the environment, as the engine's do.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// Kafka.
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    pub kafka: String,
    /// TimescaleDB.
    #[arg(long, env = "TIMESCALE_URL", hide_env_values = true)]
    pub timescale: String,
    /// Redis.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis: String,
    /// The topic to drain.
    #[arg(long)]
    pub topic: String,
    /// Its partitions.
    #[arg(long)]
    pub partitions: u32,
    /// Rows it holds; the program ends after them.
    #[arg(long)]
    pub rows: u64,
    /// What the topic holds.
    #[arg(long)]
    pub work: Work,
    /// Where the rows go.
    #[arg(long)]
    pub sinks: Sinks,
}

/// Drains the topic, then waits to be ended, as an engine does, so that what it used can still be read.
pub async fn run(target: &Target) -> Result<()> {
    let consumer = consumer(target)?;
    let client = workload::connect(&target.timescale).await?;
    let mut redis = match target.sinks {
        Sinks::History => None,
        Sinks::Both => {
            let redis = bb8_redis::redis::Client::open(target.redis.as_str())?;
            Some(redis.get_multiplexed_async_connection().await.context("connect to Redis")?)
        }
    };
    let parser = Parser::new(target.work);
    let mut batch: Vec<Row> = Vec::with_capacity(BATCH_ROWS);
    let mut buffer = CopyBuffer::default();
    let mut rows = 0;
    while rows < target.rows {
        while batch.len() < BATCH_ROWS {
            let Some(message) = consumer.poll(Duration::from_millis(20)) else { break };
            let message = message.context("consume")?;
            parser.rows(message.payload().context("a tombstone")?, &mut batch)?;
        }
        if batch.is_empty() {
            continue;
        }
        copy_in(&client, target.work, &batch, &mut buffer).await?;
        if let Some(redis) = &mut redis {
            set_last(redis, &batch).await?;
        }
        rows += batch.len() as u64;
        batch.clear();
    }
    futures::future::pending().await
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
    for partition in 0..target.partitions {
        partitions.add_partition_offset(&target.topic, partition as i32, Offset::Beginning)?;
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
