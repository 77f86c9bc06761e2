//! Limits that no program of this kind can pass on a machine: taking messages and doing nothing with them, and COPY from
//! memory with nothing before it. Each runs in a process of its own and prints what it reached.

use crate::ceiling::BATCH_ROWS;
use crate::ceiling::copy::{CopyBuffer, copy_frames};
use crate::ceiling::parse::Parser;
use crate::clock::now;
use crate::usage;
use crate::workload::{self, SYMBOLS, Work};
use anyhow::{Context, Result};
use aqueduct_actors::kafka::client::Client;
use aqueduct_actors::kafka::intake::{Intake, Taken};
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Nothing for as long means that the topic does not hold what was said.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What a limit's process reached.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reached {
    /// Messages or rows a second.
    pub per_second: f64,
    /// CPU of the process for each, microseconds.
    pub cpu_us: f64,
}

impl Reached {
    fn of(count: u64, seconds: f64, cpu: Duration) -> Self {
        Self { per_second: count as f64 / seconds, cpu_us: cpu.as_secs_f64() * 1e6 / count as f64 }
    }
}

fn own_cpu() -> Result<Duration> {
    Ok(usage::of(std::process::id()).context("read /proc")?.cpu)
}

/// Takes all messages of the topic in batches, by the path that the engine takes them, and lets go of them.
pub fn consume(bootstrap: &str, topic: &str, partitions: u32, messages: u64) -> Result<Reached> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "limit")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "262144")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "5")
        .create()?;
    let (client, closed) = Client::new("limit", consumer);
    let intake = Intake::new(client.clone());
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    client.assign(&all)?;
    for partition in 0..partitions {
        intake.forward(topic, partition as i32);
    }
    let (mut taken, mut began) = (0, None);
    let mut heard = now();
    while taken < messages {
        // Events other than messages come this way.
        client.poll(Duration::ZERO);
        let batch = intake.take(Duration::from_millis(20));
        if batch.is_empty() {
            anyhow::ensure!(heard.elapsed() < SILENCE_MAX, "{taken} of {messages} messages, then silence");
            continue;
        }
        heard = now();
        if began.is_none() {
            began = Some((heard, own_cpu()?));
        }
        taken += batch.iter().filter(|(_, taken)| matches!(taken, Taken::Message(_))).count() as u64;
    }
    let (start, cpu) = began.context("the topic is empty")?;
    let reached = Reached::of(taken, start.elapsed().as_secs_f64(), own_cpu()? - cpu);
    drop((intake, client));
    closed.wait(SILENCE_MAX);
    Ok(reached)
}

/// COPY of frames that were made beforehand, over one connection or several.
pub async fn copy(timescale: &str, work: Work, rows: u64, connections: usize) -> Result<Reached> {
    let (transactions, rows) = frames(work, rows)?;
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(workload::connect(timescale).await?);
    }
    let (start, cpu) = (now(), own_cpu()?);
    let lanes = clients.iter().enumerate().map(|(lane, client)| {
        let mine: Vec<Vec<Bytes>> = transactions.iter().skip(lane).step_by(connections).cloned().collect();
        async move {
            for frames in mine {
                copy_frames(client, work, frames).await?;
            }
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(lanes).await?;
    Ok(Reached::of(rows, start.elapsed().as_secs_f64(), own_cpu()? - cpu))
}

/// The frames of each transaction, and how many rows they are.
fn frames(work: Work, rows: u64) -> Result<(Vec<Vec<Bytes>>, u64)> {
    let (parser, mut buffer) = (Parser::new(work), CopyBuffer::default());
    let mut market = workload::market(work, SYMBOLS, 0);
    let (mut transactions, mut batch) = (Vec::new(), Vec::with_capacity(BATCH_ROWS));
    while market.trades() < rows {
        let message = market.next().context("a market does not end")?;
        parser.rows(message.value.as_bytes(), &mut batch)?;
        if batch.len() >= BATCH_ROWS || market.trades() >= rows {
            transactions.push(buffer.frames(work, &batch));
            batch.clear();
        }
    }
    Ok((transactions, market.trades()))
}
