//! Open loop: ticks come at a steady rate, whatever becomes of them, and each carries the moment it was due.
//!
//! What is measured is what a reader sees: a connection of its own looks for sampled ticks in the table until they are there.
//! Latency runs from the moment a tick was due, so that a sender that was late, because the machine was busy, hides nothing;
//! the sender's gathering, the broker, and the reader's pause between two looks are all part of it. The engine's own
//! histogram is told beside it, and must not say less than its buckets allow.

use super::watch;
use crate::clock::Anchor;
use crate::programs::{Program, Running};
use crate::progress::say;
use crate::stage::Stage;
use crate::watcher::{self, metrics};
use crate::workload::{self, Load, PARTITIONS, SYMBOLS, Sinks, Work};
use anyhow::{Context, Result};
use aqueduct_stack::feed::Feed;
use aqueduct_stack::market::Message;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How long the reader pauses between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Ticks sampled a second, at most.
const SAMPLED_PER_SECOND_MAX: u64 = 500;
/// Left out at the beginning: programs start, groups form, and a broker that has served little compiles its own code.
const WARM_UP: Duration = Duration::from_secs(15);
/// Different ticks that are sent, in turn.
const TICKS: usize = 8192;
/// The sender's pause is no longer than this.
const NAP_MAX: Duration = Duration::from_millis(1);
/// Sampled ticks that are not there so long after the last was sent count as unseen.
const REST_MAX: Duration = Duration::from_secs(30);

/// How ticks come.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// So many a second.
    pub per_second: u64,
    /// For so long the sender holds a tick back for others to go with it.
    pub linger: Duration,
}

impl Rate {
    /// Few: each goes at once.
    pub fn slow(per_second: u64) -> Self {
        Self { per_second, linger: Duration::from_millis(1) }
    }

    /// Many: gathered for what Kafka's own producer has as its default since 4.0.
    pub fn fast(per_second: u64) -> Self {
        Self { per_second, linger: Duration::from_millis(5) }
    }
}

/// One rate, one program.
#[derive(Clone, Debug, Serialize)]
pub struct Steady {
    /// Who.
    pub program: Program,
    /// Ticks a second that were due.
    pub due_per_second: u64,
    /// Ticks a second that the sender managed.
    pub sent_per_second: f64,
    /// Sampled ticks whose time was taken.
    pub sampled: usize,
    /// Sampled ticks that never came.
    pub unseen: usize,
    /// Milliseconds.
    pub latency_ms: Percentiles,
    /// CPU of the program as a share of one core.
    pub cores: f64,
    /// What the engine's histogram says of the same time: the share of records within each of its bounds, in seconds.
    pub own_histogram: Option<BTreeMap<String, f64>>,
}

/// Of all samples, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half are below.
    pub p50: f64,
    /// 99 of 100 are.
    pub p99: f64,
    /// 999 of 1000 are.
    pub p999: f64,
    /// The worst.
    pub max: f64,
}

impl Percentiles {
    /// Of samples; `None` of none.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let max = *samples.last()?;
        // The smallest sample that the share is not above.
        let at = |share: f64| {
            samples[((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len()) - 1]
        };
        Some(Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max })
    }
}

/// When the `index`-th tick of so many a second is due, after the first.
fn due(index: u64, per_second: u64) -> Duration {
    Duration::from_micros(index * 1_000_000 / per_second)
}

/// Sends ticks as they become due, from a thread of its own.
struct Sender {
    thread: JoinHandle<Result<f64>>,
    sent: Arc<AtomicU64>,
}

impl Sender {
    fn start(bootstrap: &str, topic: &str, rate: Rate, anchor: Anchor, count: u64) -> Result<Self> {
        let feed = Feed::lingering(bootstrap, topic, rate.linger)?;
        let ticks = workload::market(Work::Ticks, SYMBOLS, 0).take(TICKS);
        let ticks = ticks.map(|tick| Tick::of(&tick)).collect::<Result<Vec<_>>>()?;
        let sent = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&sent);
        let thread =
            std::thread::spawn(move || send(&feed, &ticks, anchor, rate.per_second, count, &progress));
        Ok(Self { thread, sent })
    }

    /// Ticks a second that it managed.
    fn join(self) -> Result<f64> {
        self.thread.join().unwrap_or_else(|_| anyhow::bail!("the sender panicked"))
    }
}

fn send(
    feed: &Feed,
    ticks: &[Tick],
    anchor: Anchor,
    per_second: u64,
    count: u64,
    sent: &AtomicU64,
) -> Result<f64> {
    let mut index = 0;
    let mut value = String::new();
    let mut ticks = ticks.iter().cycle();
    while index < count {
        let elapsed = anchor.elapsed();
        while index < count && due(index, per_second) <= elapsed {
            let tick = ticks.next().context("there is a tick")?;
            let at = anchor.wall(due(index, per_second));
            tick.dated(at, &mut value)?;
            let time_ms = at.duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
            feed.send(Some(tick.key.as_bytes()), Some(value.as_bytes()), Some(time_ms))?;
            index += 1;
            sent.store(index, Ordering::Relaxed);
        }
        feed.tend();
        if index < count {
            std::thread::sleep(due(index, per_second).saturating_sub(anchor.elapsed()).min(NAP_MAX));
        }
    }
    feed.flush()?;
    Ok(count as f64 / anchor.elapsed().as_secs_f64())
}

/// A tick but for its time. Made before the clock runs: the machine is shared with whom is measured.
struct Tick {
    key: String,
    before: String,
    after: String,
}

impl Tick {
    fn of(message: &Message) -> Result<Self> {
        const TIME: &str = r#""ts":""#;
        let (before, rest) = message.value.split_once(TIME).context("a tick has its time")?;
        let (_, after) = rest.split_once('"').context("a time ends")?;
        Ok(Self { key: message.key.clone(), before: format!("{before}{TIME}"), after: format!("\"{after}") })
    }

    /// Writes the tick of that time.
    fn dated(&self, at: SystemTime, value: &mut String) -> Result<()> {
        let at = jiff::Timestamp::try_from(at)?;
        value.clear();
        value.push_str(&self.before);
        write!(value, "{at:.6}")?;
        value.push_str(&self.after);
        Ok(())
    }
}

/// The program at a steady rate.
pub async fn run(stage: &Stage, program: Program, rate: Rate, lasting: Duration) -> Result<Steady> {
    let topic = stage.stack.fresh_topic(PARTITIONS)?;
    let load =
        Load { topic, partitions: PARTITIONS, work: Work::Ticks, messages: 0, rows: 0, last: Vec::new() };
    workload::empty_table(&stage.client, Work::Ticks).await?;
    let sinks = if program.cannot(Work::Ticks, Sinks::Both).is_none() { Sinks::Both } else { Sinks::History };
    let task = stage.task(program.word(), &load, sinks)?;
    let admin = watcher::free_address()?;
    let mut running = program.start_at(stage, &task, admin)?;
    let steady = measure(stage, program, &mut running, &load.topic, rate, lasting).await;
    let steady = steady.map(|steady| Steady {
        own_histogram: (program == Program::Aqueduct).then(|| histogram(&metrics(admin).ok()?)).flatten(),
        ..steady
    });
    drop(running);
    stage.stack.delete_topic(&load.topic)?;
    steady
}

async fn measure(
    stage: &Stage,
    program: Program,
    running: &mut Running,
    topic: &str,
    rate: Rate,
    lasting: Duration,
) -> Result<Steady> {
    // A program that starts for half a minute is not late: ticks of another sender show that it is there.
    let few = Rate { per_second: 10, ..rate };
    let first = Sender::start(&stage.stack.kafka_bootstrap(), topic, few, Anchor::new(), 10)?;
    first.join()?;
    let began = Anchor::new();
    while !watch::any(stage).await? {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(120), "no row\n{}", running.tail());
        running.check()?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let anchor = Anchor::new();
    let per_second = rate.per_second;
    let count = (WARM_UP + lasting).as_secs() * per_second;
    let step = per_second.div_ceil(SAMPLED_PER_SECOND_MAX);
    let sender = Sender::start(&stage.stack.kafka_bootstrap(), topic, rate, anchor, count)?;
    let before = running.usage().context("it runs")?.cpu;
    let reader = workload::connect(&stage.stack.timescale_url()).await?;
    let look = reader.prepare("SELECT DISTINCT ts FROM bench.trades WHERE ts = ANY($1)").await?;
    let (mut next, mut waiting, mut samples) = (0, BTreeMap::new(), Vec::new());
    let mut last_sent = None;
    loop {
        let sent = sender.sent.load(Ordering::Relaxed);
        while next < sent {
            waiting.insert(anchor.wall(due(next, per_second)), due(next, per_second));
            next += step;
        }
        let times: Vec<SystemTime> = waiting.keys().copied().collect();
        for row in reader.query(&look, &[&times]).await? {
            let Some(due) = waiting.remove(&row.get::<_, SystemTime>(0)) else { continue };
            if due >= WARM_UP {
                samples.push((anchor.elapsed() - due).as_secs_f64() * 1e3);
            }
        }
        running.check()?;
        if sent == count {
            let since = *last_sent.get_or_insert_with(|| anchor.elapsed());
            if waiting.is_empty() || anchor.elapsed() - since > REST_MAX {
                break;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let cpu = running.usage().context("it runs")?.cpu - before;
    let cores = cpu.as_secs_f64() / anchor.elapsed().as_secs_f64();
    let sent_per_second = sender.join()?;
    let sampled = samples.len();
    let latency_ms = Percentiles::of(samples).context("no sampled tick came")?;
    say(&format!(
        "steady {per_second}/s: {}: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
        program.title(),
        latency_ms.p50,
        latency_ms.p99,
        latency_ms.p999
    ));
    Ok(Steady {
        program,
        due_per_second: per_second,
        sent_per_second,
        sampled,
        unseen: waiting.len(),
        latency_ms,
        cores,
        own_histogram: None,
    })
}

/// The shares that the engine's own histogram of the writer gives.
fn histogram(page: &str) -> Option<BTreeMap<String, f64>> {
    let of_the_writer = page.lines().filter_map(|line| {
        let rest = line.strip_prefix("aqueduct_end_to_end_seconds_bucket{")?;
        let (labels, count) = rest.split_once("} ")?;
        labels.contains(r#"kind="timescale_writer""#).then_some(())?;
        let bound = labels.split(r#"le=""#).nth(1)?.split('"').next()?;
        Some((bound.to_owned(), count.parse::<f64>().ok()?))
    });
    let counts: BTreeMap<String, f64> = of_the_writer.collect();
    let all = *counts.get("+Inf")?;
    (all > 0.0).then(|| counts.into_iter().map(|(bound, count)| (bound, count / all)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_samples() {
        let samples = (1..=1000).map(f64::from).collect();
        let percentiles = Percentiles { p50: 500.0, p99: 990.0, p999: 999.0, max: 1000.0 };
        assert_eq!(Percentiles::of(samples), Some(percentiles));
        assert_eq!(Percentiles::of(vec![3.0]).map(|one| one.p999), Some(3.0));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }

    #[test]
    fn a_tick_is_given_the_time_it_was_due() {
        let tick = workload::market(Work::Ticks, 1, 0).next().expect("a tick");
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_800_000_000_000_001);
        let mut dated = "before".to_owned();
        Tick::of(&tick).expect("a tick").dated(at, &mut dated).expect("a time");
        serde_json::from_str::<serde_json::Value>(&dated).expect("JSON");
        assert!(dated.contains(r#""ts":"2027-01-15T08:00:00.000001Z","price""#), "{dated}");
        assert_eq!(due(1500, 1000), Duration::from_millis(1500));
    }

    #[test]
    fn the_engines_histogram_is_read_of_the_writer_alone() {
        let line = |kind: &str, bound: &str, count: u32| {
            format!(
                "aqueduct_end_to_end_seconds_bucket{{actor=\"a\",kind=\"{kind}\",le=\"{bound}\"}} {count}\n"
            )
        };
        let page = [
            line("timescale_writer", "0.01", 1),
            line("timescale_writer", "+Inf", 4),
            line("redis_cache", "+Inf", 9),
        ];
        let shares = histogram(&page.concat()).expect("counts");
        assert_eq!(shares.get("0.01"), Some(&0.25));
        assert_eq!(histogram(""), None);
    }
}
