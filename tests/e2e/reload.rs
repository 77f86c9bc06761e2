//! Topologies that change while trades flow: each record is in table or dead letter once, and nobody restarts whom the
//! change does not concern.

use crate::harness::node::Node;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::world::World;
use crate::harness::{oracle, wait};
use aqueduct_stack::feed::Feed;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

const DRAIN_MAX: Duration = Duration::from_secs(120);
const TOKEN: &str = "reload-token";
/// Records a second, sent in turns of ten milliseconds.
const RATE: u64 = 50_000;

/// Trades without end, until told.
struct Flow {
    over: AtomicBool,
    sent: AtomicU64,
}

impl Flow {
    fn new() -> Self {
        Self { over: AtomicBool::new(false), sent: AtomicU64::new(0) }
    }

    fn begin<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, feed: Feed) {
        scope.spawn(move || {
            let begun = Instant::now();
            let mut id = 0;
            while !self.over.load(Ordering::Relaxed) {
                let due = begun.elapsed().as_millis() as u64 * RATE / 1000;
                while id < due {
                    id += 1;
                    let (key, value, time) = trade(id);
                    feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            feed.flush().expect("flush");
            self.sent.store(id, Ordering::Relaxed);
        });
    }
}

/// Ends the flow also when a test fails in the middle of it.
struct Ends<'a>(&'a Flow);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn restarts(node: &Node) -> BTreeMap<String, u64> {
    let actors = node.json("/api/actors");
    let actor = |actor: &Value| {
        (actor["name"].as_str().expect("a name").to_owned(), actor["restarts"].as_u64().expect("a number"))
    };
    actors.as_array().expect("actors").iter().map(actor).collect()
}

fn generation(node: &Node) -> u64 {
    let (_, page) = node.get("/metrics").expect("metrics");
    let line = page.lines().find(|line| line.starts_with("aqueduct_config_generation{")).expect("the metric");
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

/// Asks the node to reload; gives status and answer.
fn reload(node: &Node) -> (u16, Value) {
    let (status, body) = node.post("/api/reload", TOKEN, Duration::from_secs(60)).expect("an answer");
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// One change of the file: what is replaced by what, what is answered, and who restarts.
struct Step {
    changes: &'static [(&'static str, &'static str)],
    status: u16,
    restarts: &'static [&'static str],
}

const STRICT: (&str, &str) = ("price_positive: p > 0", "price_positive: p > 0, not_seven: p != 7.25");
const FLUSH: (&str, &str) = ("rows: 4000", "rows: 2000");
const TTL: (&str, &str) = ("order_by: ts, policy", "order_by: ts, ttl: 1h, policy");
const SPARE: (&str, &str) = (
    "  cache: ",
    "  spare:   { kind: redis_cache, from: trades, key: \"{prefix}spare:{k}\", value: [id], order_by: ts, policy: best_effort }\n  cache: ",
);

/// Every step starts from the original file.
const STEPS: [Step; 10] = [
    Step { changes: &[STRICT], status: 200, restarts: &["trades"] },
    Step { changes: &[STRICT, FLUSH], status: 200, restarts: &["history"] },
    Step { changes: &[("kind: normalizer", "kind: normaliser")], status: 422, restarts: &[] },
    Step { changes: &[FLUSH, TTL], status: 200, restarts: &["trades", "cache"] },
    Step { changes: &[FLUSH, TTL, SPARE], status: 200, restarts: &["ticks", "trades"] },
    // No such table: what was started cannot do its work.
    Step {
        changes: &[FLUSH, TTL, SPARE, STRICT, ("table: market.trades", "table: market.lost")],
        status: 500,
        restarts: &["trades", "history", "ticks"],
    },
    Step { changes: &[FLUSH, TTL, SPARE, STRICT], status: 200, restarts: &["trades"] },
    Step { changes: &[FLUSH, TTL, STRICT], status: 200, restarts: &["ticks", "trades"] },
    Step {
        changes: &[
            FLUSH,
            TTL,
            STRICT,
            ("table: market.trades,", "table: market.trades, link: { batches: 32 },"),
        ],
        status: 200,
        restarts: &["trades", "history"],
    },
    Step {
        changes: &[("from: ticks", "from: ticks\n    parallelism: 2"), FLUSH],
        status: 200,
        restarts: &["ticks", "trades", "history", "cache"],
    },
];

fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = TRADES.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "`{from}` is in the file");
        text = text.replace(from, to);
    }
    text
}

#[test]
fn ten_reloads_under_load_lose_and_double_nothing() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let node = Node::start_with(&world, &file, "reloaded", &[], &[("AQUEDUCT_ADMIN_TOKEN", TOKEN)]);
    node.await_ready(200, Duration::from_secs(30));
    let flow = Flow::new();
    std::thread::scope(|scope| {
        let _ends = Ends(&flow);
        flow.begin(scope, world.feed());
        let written = || sql.integer("SELECT coalesce(max(id), 0) FROM market.trades");
        wait::until("the first rows", DRAIN_MAX, || (written() > 0).then_some(()));
        let mut expected = 1;
        for (number, step) in STEPS.iter().enumerate() {
            let before = restarts(&node);
            world.write_topology(&changed(step.changes));
            let (status, answer) = reload(&node);
            assert_eq!(status, step.status, "step {number}: {answer:#}");
            expected += u64::from(status == 200);
            assert_eq!(generation(&node), expected, "step {number}");
            assert_eq!(answer["generation"], expected, "step {number}");
            for (actor, count) in restarts(&node) {
                if !step.restarts.contains(&actor.as_str()) {
                    let known = before.get(&actor).copied().unwrap_or_default();
                    assert_eq!(count, known, "step {number}: `{actor}` has nothing to do with it");
                }
            }
            let reached = written();
            wait::until("rows after the reload", DRAIN_MAX, || (written() > reached).then_some(()));
        }
    });
    let sent = flow.sent.load(Ordering::Relaxed);
    oracle::await_drained(&world, &sql, sent, DRAIN_MAX);
    let letters = sql.integer("SELECT count(*) FROM aqueduct.dead_letter WHERE reason = 'not_seven'");
    assert!(letters > 0, "the strict rule was in force for a while");
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(DRAIN_MAX), 0);
    oracle::assert_exactly_once(&world, &sql, sent);
}

#[test]
fn a_hangup_a_watched_file_and_a_command_reload_too() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start_with(&world, &file, "asked", &[], &[("AQUEDUCT_ADMIN_TOKEN", TOKEN)]);
    let watching = Node::start(&world, &file, "watching", &["--watch"]);
    node.await_ready(200, Duration::from_secs(30));
    watching.await_ready(200, Duration::from_secs(30));
    assert_eq!(node.post("/api/reload", "not the token", Duration::from_secs(5)).expect("an answer").0, 401);
    world.write_topology(&changed(&[FLUSH]));
    let reached = |node: &Node, goal: u64| {
        let bound = Duration::from_secs(30);
        wait::until(&format!("generation {goal}"), bound, || (generation(node) == goal).then_some(()));
    };
    reached(&watching, 2);
    assert_eq!(generation(&node), 1, "nobody has asked it");
    node.hangup();
    reached(&node, 2);
    world.write_topology(&changed(&[FLUSH, STRICT]));
    let url = format!("http://{}", node.admin);
    let command = || {
        let mut command = world.aqueduct();
        command.args(["reload", "--node", &url]).env("AQUEDUCT_ADMIN_TOKEN", TOKEN);
        command.output().expect("the binary starts")
    };
    let output = command();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text.contains("~ actor trades (normalizer) restarts") && text.ends_with("applied: generation 3\n"),
        "{text}"
    );
    reached(&watching, 3);
    std::fs::write(&file, "topology: [").expect("written");
    let output = command();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(
        text.contains("topology.yaml:1:") && text.ends_with("at work: generation 3, as before\n"),
        "{text}"
    );
    wait::until("the watching node's word", Duration::from_secs(10), || {
        watching.log().contains("reload not applied").then_some(())
    });
    assert_eq!(generation(&watching), 3);
}
