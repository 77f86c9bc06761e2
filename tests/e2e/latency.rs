//! How soon a record is seen in the table, and in how many transactions a slow stream is written.

use crate::harness::node::Node;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use std::time::{Duration, Instant};

/// Records a second, and for how long.
const RATE: u64 = 1000;
const SECONDS: u64 = 5;
/// `flush.interval` unless said.
const INTERVAL: Duration = Duration::from_millis(5);
/// However much else the machine does; what it is alone is printed.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_slow_stream_is_seen_soon_and_takes_few_transactions() {
    let world = World::shared();
    let text = TRADES.replace(", flush: { rows: 4000, interval: 30ms }, transactions: 3", "");
    assert_ne!(text, TRADES);
    let (file, sql) = world.prepare(&text);
    let node = Node::start(&world, &file, "latency", &[]);
    node.await_ready(200, Duration::from_secs(30));
    let newest = || sql.integer("SELECT coalesce(max(id), 0) FROM market.trades") as u64;
    world.send([trade(1)]);
    wait::until("the first row", Duration::from_secs(30), || (newest() == 1).then_some(()));

    let (feed, begun) = (world.feed(), Instant::now());
    let due = |id: u64| begun + Duration::from_micros((id - 1) * 1_000_000 / RATE);
    let last = RATE * SECONDS;
    let mut delays = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in 2..=last {
                std::thread::sleep(due(id).saturating_duration_since(Instant::now()));
                let (key, value, time) = trade(id);
                feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
            }
            feed.flush().expect("flush");
        });
        let mut seen = 1;
        while seen < last {
            // Partitions overtake each other: who sees a record takes those before it for seen, so look at the count.
            let count = sql.integer("SELECT count(*) FROM market.trades") as u64;
            let now = Instant::now();
            delays.extend((seen + 1..=count).map(|id| now.saturating_duration_since(due(id))));
            seen = seen.max(count);
            assert!(begun.elapsed() < Duration::from_secs(60), "{seen} of {last} records are there");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let took = begun.elapsed();
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let transactions = sql.integer("SELECT count(DISTINCT xmin::text) FROM market.trades");
    eprintln!(
        "{RATE} records a second: seen after {:?} (p50), {:?} (p99); {:.0} transactions a second",
        at(0.5),
        at(0.99),
        transactions as f64 / took.as_secs_f64()
    );
    let most = took.as_millis() / INTERVAL.as_millis() + 2;
    assert!(
        transactions as u128 <= most,
        "{transactions} transactions in {took:?}, one each {INTERVAL:?} at most"
    );
    assert!(at(0.99) < SEEN_WITHIN, "seen after {:?}", at(0.99));
    node.terminate();
    assert_eq!(node.exit_code(Duration::from_secs(30)), 0);
}
