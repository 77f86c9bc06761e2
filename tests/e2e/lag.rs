//! The lag that a node tells equals an oracle's at each scrape, whatever happens meanwhile.
//!
//! The oracle asks the broker and the database itself, all the time. A lag was made of two readings no older than its
//! sample's age, so it must lie between what the oracle saw before that and what it saw after the scrape.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::{PARTITIONS, Sql, World};
use aqueduct_engine::limits::BATCH_RECORDS_MAX;
use aqueduct_stack::Part;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const BOUND: Duration = Duration::from_secs(60);
const TOKEN: &str = "lag-token";
/// Records sent every [`SEND_EVERY`].
const SENT_AT_ONCE: u64 = 150;
const SEND_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long each trouble lasts.
const TROUBLE: Duration = Duration::from_secs(4);
/// How old a sample may be while both servers answer: the beats of both readings, and a busy machine's delay.
const SAMPLE_AGE_MAX: f64 = 8.0;
/// Between a reading and the moment it is noted.
const SLACK: Duration = Duration::from_millis(300);

/// Values by partition, read between two moments.
struct Reading {
    began: Instant,
    ended: Instant,
    values: BTreeMap<i32, i64>,
}

/// What a scrape said of one source.
struct Scrape {
    began: Instant,
    ended: Instant,
    sample_age: Duration,
    lag: BTreeMap<i32, i64>,
    seconds: f64,
    node: &'static str,
}

#[derive(Default)]
struct Seen {
    ends: Mutex<Vec<Reading>>,
    nexts: Mutex<Vec<Reading>>,
    scrapes: Mutex<Vec<Scrape>>,
    sent: AtomicU64,
    /// Nobody sends any more.
    silent: AtomicBool,
    over: AtomicBool,
}

impl Seen {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Acquire)
    }

    fn newest_seconds(&self) -> f64 {
        self.scrapes.lock().unwrap().last().map_or(0.0, |scrape| scrape.seconds)
    }
}

/// The value of a label in a line of the page.
fn label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!("{name}=\""))?.1.split('"').next()
}

fn scrape(node: &Node, name: &'static str) -> Option<Scrape> {
    let began = Instant::now();
    let (_, page) = node.get("/metrics").filter(|(status, _)| *status == 200)?;
    let ended = Instant::now();
    let of = |metric: &str| {
        let metric = format!("{metric}{{");
        let found = page.lines().filter(move |line| line.starts_with(&metric));
        found.map(|line| {
            (line, line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number"))
        })
    };
    let partition =
        |(line, value): (&str, f64)| (label(line, "partition").unwrap().parse().unwrap(), value as i64);
    let lag = of("aqueduct_lag_records").map(partition).collect();
    let seconds = of("aqueduct_lag_seconds").map(|(_, value)| value).fold(0.0, f64::max);
    let age = of("aqueduct_lag_sample_age_seconds").map(|(_, value)| value).fold(0.0, f64::max);
    Some(Scrape { began, ended, sample_age: Duration::from_secs_f64(age), lag, seconds, node: name })
}

fn watch_ends(world: &World, seen: &Seen) {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", world.stack().kafka_bootstrap())
        .create()
        .expect("a consumer");
    let end = |partition| {
        let marks = consumer.fetch_watermarks(&world.topic, partition, Duration::from_secs(10));
        (partition, marks.expect("watermarks").1)
    };
    while seen.goes_on() {
        let began = Instant::now();
        let values = (0..PARTITIONS as i32).map(end).collect();
        seen.ends.lock().unwrap().push(Reading { began, ended: Instant::now(), values });
        std::thread::sleep(LOOK_EVERY);
    }
}

fn watch_offsets(world: &World, seen: &Seen) {
    let (sql, topology) = (world.sql(), format!("trades-{}", world.topic));
    while seen.goes_on() {
        let began = Instant::now();
        let values = stored(&sql, &topology);
        seen.nexts.lock().unwrap().push(Reading { began, ended: Instant::now(), values });
        std::thread::sleep(LOOK_EVERY);
    }
}

fn stored(sql: &Sql, topology: &str) -> BTreeMap<i32, i64> {
    let query =
        "SELECT partition, next_offset FROM aqueduct.offsets WHERE topology = $1 AND sink = 'history'";
    sql.rows(query, &[&topology]).iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn watch_node(node: &Node, name: &'static str, seen: &Seen, stays: &AtomicBool) {
    while seen.goes_on() && stays.load(Ordering::Acquire) {
        if let Some(scrape) = scrape(node, name) {
            seen.scrapes.lock().unwrap().push(scrape);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn send(world: &World, seen: &Seen) {
    let feed = world.feed();
    while !seen.silent.load(Ordering::Acquire) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        for _ in 0..SENT_AT_ONCE {
            let (key, value, _) = trade(seen.sent.fetch_add(1, Ordering::AcqRel) + 1);
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(now_ms)).expect("send");
        }
        feed.flush().expect("flush");
        std::thread::sleep(SEND_EVERY);
    }
}

/// The last reading that had ended by then.
fn before(readings: &[Reading], at: Instant) -> Option<&Reading> {
    readings.iter().rev().find(|reading| reading.ended <= at)
}

/// The first that began from then on.
fn after(readings: &[Reading], at: Instant) -> Option<&Reading> {
    readings.iter().find(|reading| reading.began >= at)
}

/// Every lag lies between the oracle's; says how many were compared and how wide the widest bracket was.
fn judge(seen: &Seen) -> (usize, i64) {
    let (ends, nexts) = (seen.ends.lock().unwrap(), seen.nexts.lock().unwrap());
    let (mut compared, mut widest) = (0, 0);
    for scrape in seen.scrapes.lock().unwrap().iter() {
        let Some(oldest) = scrape.began.checked_sub(scrape.sample_age + SLACK) else { continue };
        let old = (before(&ends, oldest), before(&nexts, oldest));
        let new = (after(&ends, scrape.ended), after(&nexts, scrape.ended));
        let ((Some(old_end), Some(old_next)), (Some(new_end), Some(new_next))) = (old, new) else { continue };
        for (partition, lag) in &scrape.lag {
            let Some(old_next) = old_next.values.get(partition) else { continue };
            let least = (old_end.values[partition] - new_next.values[partition]).max(0);
            let most = new_end.values[partition] - old_next;
            assert!(
                (least..=most).contains(lag),
                "{} tells lag {lag} of partition {partition}, the oracle {least}..={most} within {:?}",
                scrape.node,
                scrape.sample_age
            );
            compared += 1;
            widest = widest.max(most - least);
        }
    }
    (compared, widest)
}

fn order(node: &Node, actor: &str, order: &str) {
    let (status, body) = node.post(&format!("/api/actors/{actor}/{order}"), TOKEN, BOUND).expect("an answer");
    assert!(status < 300, "{order} {actor}: {status} {body}");
}

fn partitions(node: &Node, name: &'static str) -> Vec<i32> {
    scrape(node, name).map(|scrape| scrape.lag.into_keys().collect()).unwrap_or_default()
}

#[test]
fn lag_equals_the_oracle_at_each_scrape() {
    let world = World::private();
    let dynamic = TRADES.replace("topic: \"{topic}\" }", "topic: \"{topic}\", membership: dynamic }");
    assert_ne!(dynamic, TRADES);
    let file = world.write_topology(&dynamic);
    world.migrate(&file);
    let environment = [("AQUEDUCT_ADMIN_TOKEN", TOKEN)];
    let first = Node::start_with(&world, &file, "first", &[], &environment);
    first.await_ready(200, BOUND);
    let (seen, both) = (Seen::default(), AtomicBool::new(true));
    std::thread::scope(|scope| {
        scope.spawn(|| watch_ends(&world, &seen));
        scope.spawn(|| watch_offsets(&world, &seen));
        scope.spawn(|| watch_node(&first, "first", &seen, &both));
        scope.spawn(|| send(&world, &seen));
        let troubles = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait::until("every partition's lag", BOUND, || {
                (partitions(&first, "first").len() == PARTITIONS as usize).then_some(())
            });
            // The writer stops by order, and somebody stops reading.
            for actor in ["history", "ticks"] {
                order(&first, actor, "stop");
                std::thread::sleep(TROUBLE);
                let seconds = seen.newest_seconds();
                assert!((1.5..BOUND.as_secs_f64()).contains(&seconds), "{actor} stopped: {seconds} s behind");
                assert_eq!(partitions(&first, "first").len(), PARTITIONS as usize, "{actor} stopped");
                order(&first, actor, "start");
                order(&first, actor, "restart");
                std::thread::sleep(TROUBLE / 4);
            }
            world.stack().pause(Part::Timescale).expect("pause");
            std::thread::sleep(TROUBLE);
            world.stack().resume(Part::Timescale).expect("resume");
            let second = Node::start_with(&world, &file, "second", &[], &environment);
            let stays = AtomicBool::new(true);
            std::thread::scope(|scope| {
                scope.spawn(|| watch_node(&second, "second", &seen, &stays));
                wait::until("both tell of partitions, each of its own", BOUND, || {
                    let (here, there) = (partitions(&first, "first"), partitions(&second, "second"));
                    let apart = here.iter().all(|partition| !there.contains(partition));
                    (apart && !there.is_empty() && here.len() + there.len() == PARTITIONS as usize)
                        .then_some(())
                });
                std::thread::sleep(TROUBLE / 2);
                stays.store(false, Ordering::Release);
            });
            second.terminate();
            assert_eq!(second.exit_code(BOUND), 0);
            wait::until("the first has all of them again", BOUND, || {
                (partitions(&first, "first").len() == PARTITIONS as usize).then_some(())
            });
            seen.silent.store(true, Ordering::Release);
            oracle::await_drained(&world, &world.sql(), seen.sent.load(Ordering::Acquire), BOUND);
            wait::until("no lag is left", BOUND, || {
                let last = scrape(&first, "first")?;
                let none = last.lag.values().all(|records| *records == 0) && last.seconds == 0.0;
                (none
                    && last.lag.len() == PARTITIONS as usize
                    && last.sample_age.as_secs_f64() < SAMPLE_AGE_MAX)
                    .then_some(())
            });
            // The oracle looks once more after the last scrape.
            std::thread::sleep(LOOK_EVERY * 5);
        }));
        seen.silent.store(true, Ordering::Release);
        seen.over.store(true, Ordering::Release);
        if let Err(panic) = troubles {
            let _ = world.stack().resume(Part::Timescale);
            std::panic::resume_unwind(panic);
        }
    });
    let (compared, widest) = judge(&seen);
    let total = seen.scrapes.lock().unwrap().len();
    println!("{compared} lags in {total} scrapes compared; the widest bracket was {widest} records");
    assert!(widest <= BATCH_RECORDS_MAX as i64, "a lag is told within one batch: {widest}");
    assert!(compared > total, "most scrapes were compared: {compared} lags of {total} scrapes");
    first.terminate();
    assert_eq!(first.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &world.sql(), seen.sent.load(Ordering::Acquire));
}
