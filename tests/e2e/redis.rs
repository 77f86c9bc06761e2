//! The kind `redis_cache` against a real Redis: what a hash holds, what order and replay do, what an outage does.

use crate::harness::wire::server_of;
use aqueduct_actors::{Services, normalizer, redis_cache};
use aqueduct_engine::testing::{Harness, Probe, RecordsBuilder};
use aqueduct_engine::{
    Actor, Batch, Claim, ClaimRequest, Claims, Clock, Context, Error, Factory, Letter, OffsetStore,
    PartitionKey, Position, State,
};
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress, with_hosts};
use aqueduct_topology::model::Kind;
use aqueduct_topology::{Source, load};
use bb8_redis::redis::{self, Commands, Connection};
use futures::future::LocalBoxFuture;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Some seconds since 1970: a minute ago, so that a time to live has begun and not ended.
fn now_s() -> i64 {
    Clock::system().wall_us() / 1_000_000 - 60
}

const BOUND: Duration = Duration::from_secs(30);

/// A topology whose cache has these further options.
fn topology(url: &str, prefix: &str, options: &str) -> aqueduct_topology::model::Topology {
    let text = format!(
        r#"
topology: cache-test
connections: {{ kafka: {{ bootstrap: "127.0.0.1:1" }}, redis: {{ url: "{url}" }} }}
actors:
  source: {{ kind: kafka_source, topic: topic }}
  rows:
    kind: normalizer
    from: source
    fields:
      ts:     {{ type: timestamp, path: /t, unit: s }}
      symbol: {{ type: text, path: /s }}
      price:  {{ type: "decimal(18,8)", path: /p }}
      live:   {{ type: bool, path: /l, default: true }}
      note:   {{ type: text, path: /n, optional: true }}
  cache: {{ kind: redis_cache, from: rows, key: "{prefix}{{symbol}}", value: [ts, price, live, note], order_by: ts, {options} }}
"#
    );
    let source = Source::new("cache.yaml", text);
    let (topology, found) = load(&source, &|_| None);
    topology.unwrap_or_else(|| panic!("{}", aqueduct_topology::to_text(&source, &found, false)))
}

/// An offset store that remembers what sinks said of themselves.
#[derive(Default)]
struct Told(Mutex<BTreeMap<i32, i64>>);

impl Told {
    fn next_of(&self, partition: i32) -> Option<i64> {
        self.0.lock().unwrap().get(&partition).copied()
    }
}

impl OffsetStore for Told {
    fn claim<'a>(&'a self, _: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn advance<'a>(
        &'a self,
        sink: &'a str,
        positions: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        assert_eq!(sink, "cache");
        let told = positions.iter().map(|(key, _, next)| (key.partition, *next));
        self.0.lock().unwrap().extend(told);
        Box::pin(async { Ok(()) })
    }

    fn exactly_once(&self) -> bool {
        true
    }
}

struct Boxed(Box<dyn Actor>);

impl Actor for Boxed {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        self.0.run(cx)
    }
}

/// A cache on one server, under a prefix of its own.
struct Cache {
    url: String,
    prefix: String,
    required: bool,
    rows: Factory,
    cache: Factory,
    told: Arc<Told>,
}

impl Cache {
    fn new(stack: &Stack, options: &str) -> Self {
        Self::at(&stack.redis_url(), stack, options)
    }

    /// The actor comes by `address`; whoever looks from outside, by the stack's own.
    fn at(address: &str, stack: &Stack, options: &str) -> Self {
        let (url, prefix) = (stack.redis_url(), stack.fresh_key_prefix());
        let topology = Arc::new(topology(address, &prefix, options));
        let told = Arc::new(Told::default());
        let services = Services {
            topology: topology.clone(),
            node: "test".into(),
            clock: Clock::system(),
            claims: Claims::default(),
            offsets: told.clone(),
            timescale: None,
            servers: Default::default(),
        };
        let actor = |name: &str| topology.actor(name).expect("an actor");
        let Kind::Normalizer(rows) = &actor("rows").kind else { panic!("rows is a normalizer") };
        let Kind::RedisCache(cache) = &actor("cache").kind else { panic!("cache is a cache") };
        let rows = normalizer::factory(actor("rows"), rows, &services).expect("a normalizer");
        let cache = redis_cache::factory(actor("cache"), cache, &services).expect("a cache");
        Self { url, prefix, required: !options.contains("best_effort"), rows, cache, told }
    }

    /// Rows of one partition from `first` on: seconds, symbol, price, note.
    async fn batch(&self, partition: i32, first: i64, rows: &[(i64, &str, &str, Option<&str>)]) -> Batch {
        let mut records = RecordsBuilder::new(partition, first);
        for (seconds, symbol, price, note) in rows {
            let value = json!({ "t": seconds, "s": symbol, "p": price, "n": note }).to_string();
            records = records.value(value).time_ms((seconds + 1) * 1000);
        }
        let mut harness = Harness::new("rows");
        harness.send(records.build());
        harness.close_inputs();
        harness.run(Boxed((self.rows)())).await.expect("rows");
        assert!(harness.letters().is_empty(), "{:?}", harness.letters());
        harness.received().remove(0)
    }

    fn harness(&self) -> Harness {
        Harness::sink("cache", self.required)
    }

    /// Runs an instance until it has settled `batches`; what it rejected.
    async fn write(&self, batches: impl IntoIterator<Item = Batch>) -> Vec<Letter> {
        let mut harness = self.harness();
        batches.into_iter().for_each(|batch| harness.send(batch));
        harness.close_inputs();
        harness.run(Boxed((self.cache)())).await.expect("a good end");
        assert!(harness.ledger().is_idle(), "everything is settled");
        harness.letters()
    }

    fn connection(&self) -> Connection {
        redis::Client::open(self.url.as_str()).expect("an address").get_connection().expect("Redis answers")
    }

    fn hash(&self, symbol: &str) -> BTreeMap<String, String> {
        self.connection().hgetall(format!("{}{symbol}", self.prefix)).expect("a hash")
    }

    fn price(&self, symbol: &str) -> Option<String> {
        self.hash(symbol).remove("price")
    }
}

fn bring_up(lifetime: Lifetime) -> Stack {
    let options = Options::from_env("test-redis", lifetime).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options.parts(&[Part::Redis]), &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}

fn shared() -> &'static Stack {
    static SHARED: OnceLock<Stack> = OnceLock::new();
    SHARED.get_or_init(|| bring_up(Lifetime::Shared))
}

/// Waits until the actor waits for something of that class; why it does.
async fn waiting(probe: &Probe, expected: &str) -> String {
    let asked = async {
        loop {
            if let State::Waiting { class, reason } = probe.status().state().0
                && class == expected
            {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = tokio::time::timeout(BOUND, asked).await;
    answer.unwrap_or_else(|_| panic!("no {expected} wait; the state is {:?}", probe.status().state()))
}

/// Waits until everything sent is settled.
async fn settled(probe: &Probe) {
    let asked = async {
        while !probe.ledger().is_idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = tokio::time::timeout(BOUND, asked).await;
    answer.unwrap_or_else(|_| panic!("not settled; the state is {:?}", probe.status().state()));
}

#[tokio::test]
async fn a_hash_holds_the_newest_row_as_text() {
    let cache = Cache::new(shared(), "ttl: 1d");
    let rows = [
        (1_723_107_600, "A", "1.5", Some("old")),
        (now_s(), "A", "-61234.00000001", None),
        (now_s(), "B", "2", Some("µ")),
    ];
    cache.write([cache.batch(0, 7, &rows).await]).await;
    let a = cache.hash("A");
    assert_eq!(a["price"], "-61234.00000001");
    assert_eq!(a["live"], "true");
    assert!(!a.contains_key("note"), "a null field is absent: {a:?}");
    assert!(a["ts"].ends_with(".000000Z"), "{}", a["ts"]);
    assert_eq!(a["_at"].len(), 63);
    assert_eq!(cache.hash("B")["note"], "µ");
    let ends: i64 =
        redis::cmd("PEXPIRETIME").arg(format!("{}A", cache.prefix)).query(&mut cache.connection()).unwrap();
    assert!(
        (0..2_000).contains(&(ends - (now_s() + 86_400) * 1000).abs()),
        "ttl counts from the event: {ends}"
    );
    assert_eq!(cache.told.next_of(0), Some(10), "its own offset is recorded at the end");
}

#[tokio::test]
async fn a_field_that_became_null_is_removed() {
    let cache = Cache::new(shared(), "ttl: 1d");
    cache.write([cache.batch(0, 0, &[(now_s() - 1, "A", "1", Some("there"))]).await]).await;
    assert_eq!(cache.hash("A")["note"], "there");
    cache.write([cache.batch(0, 1, &[(now_s(), "A", "1", None)]).await]).await;
    assert!(!cache.hash("A").contains_key("note"));
}

#[tokio::test]
async fn a_row_past_its_time_to_live_is_not_written() {
    let cache = Cache::new(shared(), "ttl: 1s");
    cache.write([cache.batch(0, 0, &[(now_s(), "A", "1", None)]).await]).await;
    assert!(cache.hash("A").is_empty());
}

#[tokio::test]
async fn a_deletion_leaves_a_tombstone_that_older_rows_cannot_pass() {
    let cache = Cache::new(shared(), "delete_when: price == 0, ttl_deleted: 10m");
    let now = now_s();
    cache.write([cache.batch(0, 0, &[(now - 5, "A", "1", Some("x"))]).await]).await;
    cache.write([cache.batch(0, 1, &[(now - 3, "A", "0", None)]).await]).await;
    assert_eq!(cache.hash("A").keys().collect::<Vec<_>>(), ["_at"]);
    let key = format!("{}A", cache.prefix);
    let ttl: i64 = cache.connection().pttl(&key).unwrap();
    assert!((540_000..=600_000).contains(&ttl), "{ttl}");
    cache.write([cache.batch(1, 0, &[(now - 4, "A", "9", None)]).await]).await;
    assert_eq!(cache.price("A"), None, "an older row of another partition");
    cache.write([cache.batch(0, 2, &[(now - 2, "A", "2", None)]).await]).await;
    assert_eq!(cache.price("A").as_deref(), Some("2.00000000"));
    let ttl: i64 = cache.connection().pttl(&key).unwrap();
    assert_eq!(ttl, -1, "a value without a time to live outlives the tombstone's");
}

#[tokio::test]
async fn a_key_of_another_type_is_a_dead_letter_and_its_neighbours_are_written() {
    for (options, letters) in [("policy: required", 1), ("policy: best_effort", 0)] {
        let cache = Cache::new(shared(), options);
        let _: () = cache.connection().set(format!("{}BAD", cache.prefix), "a string").unwrap();
        let rows = [(now_s(), "A", "1", None), (now_s(), "BAD", "2", None), (now_s(), "C", "3", None)];
        let found = cache.write([cache.batch(0, 40, &rows).await]).await;
        assert_eq!(found.len(), letters, "{options}");
        if let [letter] = &found[..] {
            assert_eq!((letter.offset, &*letter.reason), (41, "redis_refused"));
            assert!(letter.detail.contains("WRONGTYPE"), "{}", letter.detail);
            assert!(letter.payload.is_some());
        }
        assert_eq!(cache.price("A").as_deref(), Some("1.00000000"));
        assert_eq!(cache.price("C").as_deref(), Some("3.00000000"));
    }
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_given_to_it_again() {
    let cache = Cache::new(shared(), "policy: required");
    let mut harness = cache.harness();
    let probe = harness.probe();
    let (first, second) = (
        cache.batch(0, 0, &[(now_s(), "A", "1", None)]).await,
        cache.batch(0, 1, &[(now_s() + 1, "A", "2", None)]).await,
    );
    let script = async {
        probe.send(first);
        settled(&probe).await;
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut cache.connection()).unwrap();
        probe.send(second);
        settled(&probe).await;
        probe.close_inputs();
    };
    harness.run_while(Boxed((cache.cache)()), script).await.0.expect("a good end");
    assert_eq!(cache.price("A").as_deref(), Some("2.00000000"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows of two partitions in batches, delivered in any order, some again, by one instance after the other.
    #[test]
    fn any_order_and_any_replay_end_with_the_newest_value(
        rows in prop::collection::vec((0..2i32, 0..4usize, 0..6i64, any::<bool>()), 1..24),
        order in prop::collection::vec(any::<prop::sample::Index>(), 24..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cache = Cache::new(shared(), "delete_when: price == 0");
            let symbols = ["A", "B", "C", "D"];
            let base = now_s() - 100;
            let mut batches = Vec::new();
            let mut newest: BTreeMap<&str, (i64, i32, i64, String)> = BTreeMap::new();
            for (offset, (partition, symbol, seconds, deleted)) in rows.iter().enumerate() {
                let (offset, symbol) = (offset as i64, symbols[*symbol]);
                let price = if *deleted { "0".to_owned() } else { (offset + 1).to_string() };
                batches.push(cache.batch(*partition, offset, &[(base + seconds, symbol, &price, None)]).await);
                let value = (*seconds, *partition, offset, price);
                let kept = newest.entry(symbol).or_insert_with(|| value.clone());
                if (kept.0, kept.1, kept.2) < (value.0, value.1, value.2) {
                    *kept = value;
                }
            }
            let picked: Vec<_> = order.iter().map(|index| batches[index.index(batches.len())].clone()).collect();
            for delivery in picked.chunks(5).chain(batches.chunks(3)) {
                // One link takes each range once: an instance of its own for each batch makes a replay.
                for batch in delivery {
                    cache.write([batch.clone()]).await;
                }
            }
            for (symbol, (.., price)) in newest {
                let expected = (price != "0").then(|| format!("{price}.00000000"));
                assert_eq!(cache.price(symbol), expected, "{symbol}");
            }
        });
    }
}

#[tokio::test]
async fn a_required_cache_keeps_its_leases_while_redis_is_away() {
    let stack = bring_up(Lifetime::Private);
    let cache = Cache::new(&stack, "policy: required");
    let mut harness = cache.harness();
    let probe = harness.probe();
    let batches = [
        cache.batch(0, 0, &[(now_s(), "A", "1", None)]).await,
        cache.batch(0, 1, &[(now_s() + 1, "A", "2", None)]).await,
    ];
    let script = async {
        let [first, second] = batches;
        probe.send(first);
        settled(&probe).await;
        stack.kill(Part::Redis).expect("kill Redis");
        probe.send(second);
        let reason = waiting(&probe, "transient").await;
        assert!(reason.contains("redis at 127.0.0.1"), "{reason}");
        assert_eq!(probe.input_link(0).fill().batches, 1, "the lease is kept");
        stack.start(Part::Redis).expect("start Redis");
        settled(&probe).await;
        assert_eq!(probe.input_link(0).fill().batches, 0);
        assert_eq!(probe.status().state().0, State::Running);
        probe.close_inputs();
    };
    harness.run_while(Boxed((cache.cache)()), script).await.0.expect("a good end");
    assert_eq!(cache.price("A").as_deref(), Some("2.00000000"));
    assert_eq!(cache.told.next_of(0), Some(2));
}

#[tokio::test]
async fn a_best_effort_cache_drains_its_link_while_redis_is_away() {
    let stack = bring_up(Lifetime::Private);
    let cache = Cache::new(&stack, "policy: best_effort");
    let mut harness = cache.harness();
    let probe = harness.probe();
    stack.kill(Part::Redis).expect("kill Redis");
    let mut batches = Vec::new();
    for offset in 0..50 {
        batches.push(cache.batch(0, offset, &[(now_s() + offset, "A", &offset.to_string(), None)]).await);
    }
    let script = async {
        for batch in batches {
            probe.send(batch);
        }
        waiting(&probe, "transient").await;
        let drained = async {
            while probe.input_link(0).fill().batches > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(BOUND, drained).await.expect("the link is drained");
        assert!(!probe.ledger().is_idle(), "nothing is settled that is not in Redis");
        assert_eq!(cache.told.next_of(0), None, "its own offset stays behind");
        stack.start(Part::Redis).expect("start Redis");
        settled(&probe).await;
        probe.close_inputs();
    };
    harness.run_while(Boxed((cache.cache)()), script).await.0.expect("a good end");
    assert_eq!(cache.price("A").as_deref(), Some("49.00000000"));
    assert_eq!(cache.told.next_of(0), Some(50));
}

#[tokio::test]
async fn what_a_best_effort_cache_had_taken_survives_its_restart() {
    let stack = bring_up(Lifetime::Private);
    let cache = Cache::new(&stack, "policy: best_effort");
    stack.kill(Part::Redis).expect("kill Redis");
    let mut harness = cache.harness();
    let probe = harness.probe();
    let batch = cache.batch(0, 0, &[(now_s(), "A", "1", None)]).await;
    let (waits, begun) = tokio::sync::oneshot::channel();
    let script = async {
        probe.send(batch);
        waiting(&probe, "transient").await;
        waits.send(()).expect("somebody listens");
        std::future::pending::<()>().await
    };
    // The instance is dropped in the middle of its wait, as a crash would.
    tokio::select! {
        _ = harness.run_while(Boxed((cache.cache)()), script) => panic!("it waits for Redis"),
        told = begun => told.expect("it waits"),
    }
    stack.start(Part::Redis).expect("start Redis");
    harness.close_inputs();
    harness.run(Boxed((cache.cache)())).await.expect("a good end");
    assert_eq!(cache.price("A").as_deref(), Some("1.00000000"));
    assert!(harness.ledger().is_idle());
}

#[tokio::test]
async fn a_server_that_refuses_is_waited_for_with_the_reason() {
    let stack = bring_up(Lifetime::Private);
    let cache = Cache::new(&stack, "policy: required");
    let mut admin = cache.connection();
    let command = |admin: &mut Connection, words: &str| {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        words.for_each(|word| {
            command.arg(word);
        });
        let _: redis::Value = command.query(admin).unwrap_or_else(|error| panic!("{error}"));
    };
    let cases = [
        ("REPLICAOF 127.0.0.1 1", "transient", "READONLY", "REPLICAOF NO ONE"),
        ("CONFIG SET maxmemory 1", "capacity", "maxmemory", "CONFIG SET maxmemory 0"),
        ("ACL SETUSER default -evalsha", "config", "ACL", "ACL SETUSER default +evalsha"),
    ];
    for (index, (break_it, class, said, mend_it)) in cases.into_iter().enumerate() {
        let mut harness = cache.harness();
        let probe = harness.probe();
        let price = (index + 1).to_string();
        let batch = cache.batch(0, index as i64, &[(now_s() + index as i64, "A", &price, None)]).await;
        let script = async {
            command(&mut admin, break_it);
            probe.send(batch);
            let reason = waiting(&probe, class).await;
            assert!(reason.contains(said), "{break_it}: {reason}");
            command(&mut admin, mend_it);
            settled(&probe).await;
            probe.close_inputs();
        };
        harness.run_while(Boxed((cache.cache)()), script).await.0.expect("a good end");
        assert_eq!(cache.price("A"), Some(format!("{price}.00000000")), "{break_it}");
    }
}

/// A failover leaves one host hanging, one that follows, and one that leads; which is which changes while rows come.
#[tokio::test]
async fn of_several_hosts_the_one_that_leads_is_written_to() {
    let options = Options::from_env("test-redis", Lifetime::Private).expect("a folder");
    let stack = Stack::up(&options.parts(&[Part::Redis, Part::Replica]), &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"));
    // It takes connections and says nothing.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let hanging = hanging.local_addr().expect("an address").to_string();
    let replica = stack.address(Part::Replica).expect("a replica");
    let hosts = [hanging, server_of(&replica), server_of(&stack.redis_url())];
    let address = with_hosts(&stack.redis_url(), &hosts.each_ref().map(String::as_str));
    let mut cache = Cache::at(&address, &stack, "policy: required");
    let (first, second) = (
        cache.batch(0, 0, &[(now_s(), "A", "1", None)]).await,
        cache.batch(0, 1, &[(now_s() + 1, "A", "2", None)]).await,
    );
    let mut harness = cache.harness();
    let probe = harness.probe();
    let script = async {
        probe.send(first);
        settled(&probe).await;
        assert_eq!(cache.price("A").as_deref(), Some("1.00000000"), "the last host leads");
        stack.promote(Part::Replica).expect("promoted");
        stack.follow(Part::Redis, Part::Replica).expect("the former primary follows");
        probe.send(second);
        settled(&probe).await;
        probe.close_inputs();
    };
    harness.run_while(Boxed((cache.cache)()), script).await.0.expect("a good end");
    cache.url = replica;
    assert_eq!(cache.price("A").as_deref(), Some("2.00000000"), "the second host leads now");
}
