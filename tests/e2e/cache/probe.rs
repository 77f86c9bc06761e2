//! The probe of a cache: what readers find, what has drifted, and that a rebuild mends it.

use super::{BOUND, QUOTES, Quotes, START_US};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use bb8_redis::redis::Commands;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KEYS: usize = 60;

impl Quotes {
    /// Runs a node until the cache has every key.
    fn serve(&mut self) -> Node {
        let node = Node::start(&self.world, &self.file, "live", &[]);
        self.world.send((0..KEYS).map(|key| {
            let at = START_US + key as i64;
            let value =
                json!({ "ts": at, "k": format!("K{key}"), "p": "1.5", "r": 0.5, "n": key, "l": true });
            (format!("K{key}"), value.to_string(), START_US / 1000)
        }));
        wait::until("the live cache", BOUND, || (0..KEYS).all(|key| self.has(key)).then_some(()));
        wait::until("the table", BOUND, || {
            (self.world.sql().integer("SELECT count(*) FROM market.quotes") == KEYS as i64).then_some(())
        });
        node
    }

    fn has(&mut self, key: usize) -> bool {
        let key = format!("{}K{key}", self.world.prefix);
        // Not a read: those are counted.
        self.redis.ttl::<_, i64>(key).unwrap() != -2
    }

    fn probe(&self) -> (i32, Value) {
        let arguments = ["cache", "probe", self.file.to_str().unwrap(), "--format", "json"];
        let output = self.world.run(&arguments);
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), answer[0].clone())
    }
}

/// The figures of the actor `cache`: `name{label value,..}`.
fn figures(node: &Node) -> BTreeMap<String, f64> {
    let actors = node.json("/api/actors");
    let cache = actors.as_array().unwrap().iter().find(|actor| actor["name"] == "cache").unwrap();
    let named = |figure: &Value| {
        let labels: Vec<_> = figure["labels"].as_object().unwrap().values().collect();
        let labels: Vec<_> = labels.iter().map(|label| label.as_str().unwrap()).collect();
        (
            format!("{}{{{}}}", figure["name"].as_str().unwrap(), labels.join(",")),
            figure["value"].as_f64().unwrap(),
        )
    };
    cache["figures"].as_array().unwrap().iter().map(named).collect()
}

fn until_figure(node: &Node, what: &str, holds: impl Fn(f64) -> bool) -> f64 {
    wait::until(what, BOUND, || figures(node).get(what).copied().filter(|value| holds(*value)))
}

#[test]
fn drift_is_counted_and_a_rebuild_ends_it() {
    let mut quotes = Quotes::new("");
    let node = quotes.serve();
    let (code, seen) = quotes.probe();
    assert_eq!(
        (code, &seen["sample"]["keys"], &seen["sample"]["missing"]),
        (0, &json!(KEYS), &json!(0)),
        "{seen}"
    );
    let key = |key: &str| format!("{}{key}", quotes.world.prefix);
    let (gone, old, strange) = ([key("K1"), key("K2")], key("K3"), key("K4"));
    let _: () = quotes.redis.del(&gone).unwrap();
    let order: String = quotes.redis.hget(&old, "_at").unwrap();
    let by: u64 = order[..20].parse().unwrap();
    let _: () = quotes.redis.hset(&old, "_at", format!("{:020}{}", by - 2_500_000, &order[20..])).unwrap();
    let _: () = quotes.redis.set(&strange, "text").unwrap();
    let (code, seen) = quotes.probe();
    let sample = &seen["sample"];
    let counts = ["keys", "missing", "behind", "refused"].map(|name| sample[name].as_u64().unwrap());
    assert_eq!((code, counts), (1, [KEYS as u64, 2, 1, 1]), "{seen}");
    assert_eq!(sample["behind_seconds_max"], 2.5);
    assert_eq!(sample["named"].as_array().unwrap().len(), 4);
    // The node sees the same on its own beat, and says what to do.
    until_figure(&node, "aqueduct_cache_drifted_keys{missing}", |keys| keys == 2.0);
    let seen = figures(&node);
    let of = |name: &str| seen[&format!("aqueduct_cache_{name}")];
    assert_eq!(
        (of("drifted_keys{behind}"), of("drifted_keys{refused}"), of("behind_seconds{}")),
        (1.0, 1.0, 2.5)
    );
    wait::until("a line in the log", BOUND, || node.log().contains("aqueduct cache rebuild").then_some(()));
    let _: () = quotes.redis.del(&strange).unwrap();
    assert_eq!(quotes.rebuild(&[])["written"], 4);
    assert_eq!(quotes.probe().0, 0);
    until_figure(&node, "aqueduct_cache_drifted_keys{missing}", |keys| keys == 0.0);
}

#[test]
fn what_readers_find_is_told_by_themselves_and_by_the_server_less_our_own_look_ups() {
    let mut quotes = Quotes::within(World::private(), "");
    let node = quotes.serve();
    until_figure(&node, "aqueduct_cache_server_keys{}", |keys| keys >= KEYS as f64);
    let reads = format!("aqueduct:reads:quotes-{}:cache", quotes.world.topic);
    let count = |quotes: &mut Quotes, hits: usize, misses: usize| {
        for read in 0..hits {
            assert!(!quotes.hash(&format!("K{}", read % KEYS)).is_empty());
        }
        for read in 0..misses {
            assert!(quotes.hash(&format!("UNKNOWN{read}")).is_empty());
        }
        let _: () = quotes.redis.hincr(&reads, "hit", hits).unwrap();
        let _: () = quotes.redis.hincr(&reads, "miss", misses).unwrap();
    };
    // The first look at readers' own counts tells where they begin.
    count(&mut quotes, 1, 0);
    until_figure(&node, "aqueduct_cache_reads_total{readers,hit}", |_| true);
    count(&mut quotes, 900, 100);
    until_figure(&node, "aqueduct_cache_hit_ratio{readers}", |ratio| ratio == 0.9);
    let ratio = until_figure(&node, "aqueduct_cache_hit_ratio{server}", |_| true);
    assert!((0.88..=0.92).contains(&ratio), "{ratio}: {:?}", figures(&node));
    let (_, seen) = quotes.probe();
    assert!(seen["hit_ratio"].as_f64().unwrap() > 0.899, "{seen}");
}

#[test]
fn a_cache_without_a_table_is_not_compared() {
    let mut quotes = Quotes::new("");
    let text = QUOTES.replace("{further}", "").replace(
        "{ kind: timescale_writer, from: quotes, table: market.quotes }",
        "{ kind: kafka_sink, from: quotes, topic: out }",
    );
    quotes.file = quotes.world.write_topology(&text);
    let (code, seen) = quotes.probe();
    assert_eq!((code, &seen["sample"]), (0, &Value::Null), "{seen}");
}
