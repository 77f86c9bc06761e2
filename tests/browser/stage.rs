//! A node for the browser to look at: the real engine and its admin endpoint around scripted actors, so that every state a
//! page must show is there at once, and stays.

use aqueduct_engine::admin::AdminSettings;
use aqueduct_engine::application::{Handle, RuntimeApplication, Settings};
use aqueduct_engine::archive::{Archive, Drill, LetterChoice, LetterGroup, LetterSample};
use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
use aqueduct_engine::events::Events;
use aqueduct_engine::quality::{EvidenceView, GateView, KeyView, RuleView};
use aqueduct_engine::telemetry::{StoredOffset, names};
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_engine::{Actor, Batch, Class, Context, Error, Factory, PartitionKey, ReloadAnswer};
use aqueduct_topology::model::Topology;
use arrow_array::RecordBatch;
use futures::future::{BoxFuture, LocalBoxFuture};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

pub const TOKEN: &str = "s3cret-of-the-test";
/// What a name or a reason may hold when somebody is at play.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)> \"quoted\" 'and'\n</script>&amp; {{x}} \u{202e}";
const PARTITIONS: i32 = 4;

/// What an actor of that name does. `None` = what its place in the graph suggests.
pub type Script = fn(&str) -> Option<Part>;

#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Reads so many records each time, of every partition in turn.
    Source(usize),
    /// Hands on.
    Pass,
    /// Settles, after that long.
    Sink(Duration),
    /// Waits for something that is away.
    Waits(&'static str),
    /// Crashes soon after each start.
    Crashes(&'static str),
    /// Rejects every fifth batch for that reason, hands on the others.
    Rejects(&'static str),
    /// Serves until told to stop.
    Idle,
    /// Takes what comes and halts one of three keys.
    Judges,
    /// Takes what comes, as a cache that its readers use and whose values have drifted.
    Caches,
}

struct Scripted(Part);

impl Actor for Scripted {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            match self.0 {
                Part::Source(records) => source(cx, records).await,
                Part::Pass => pass(cx).await,
                Part::Sink(takes) => sink(cx, takes).await,
                Part::Waits(reason) => {
                    let away = async || Err::<(), _>(Error::new(Class::Transient, reason));
                    let _ = cx.until_ok(Duration::from_secs(1), away).await;
                    Ok(())
                }
                Part::Crashes(reason) => {
                    cx.status.running();
                    cx.clock.sleep(Duration::from_millis(50)).await;
                    Err(Error::new(Class::Bug, reason))
                }
                Part::Judges => {
                    cx.status.running();
                    cx.status.quality().show(judged_view(&cx.identity.name, cx.clock.wall_us()));
                    while let Some(lease) = cx.lease().await {
                        lease.settle();
                    }
                    Ok(())
                }
                Part::Caches => {
                    drifted(cx);
                    sink(cx, Duration::ZERO).await
                }
                Part::Rejects(reason) => rejects(cx, reason).await,
                Part::Idle => {
                    cx.status.running();
                    cx.status.stopped().await;
                    Ok(())
                }
            }
        })
    }
}

async fn source(cx: &mut Context, records: usize) -> Result<(), Error> {
    let topic: Arc<str> = "md.raw".into();
    let mut next = [0i64; PARTITIONS as usize];
    cx.status.running();
    for turn in 0.. {
        if cx.status.is_draining() || cx.status.sleep_or_stop(&cx.clock, Duration::from_millis(50)).await {
            return Ok(());
        }
        let partition = turn % PARTITIONS;
        let at = &mut next[partition as usize];
        let source = cx.identity.id.clone();
        let key = PartitionKey { source, topic: topic.clone(), partition };
        let builder = RecordsBuilder::new(partition, *at).of(key);
        let batch = (0..records).fold(builder, |builder, _| builder.value("{}")).build();
        *at = batch.origin.next;
        cx.ledger.read(&batch.origin, &batch.raw);
        let now_ms = cx.clock.wall_us() / 1000;
        cx.status.lag().log(&topic, partition, 0, *at + 40 * i64::from(partition));
        cx.status.lag().read(&topic, partition, *at, now_ms - 400);
        let stored = StoredOffset {
            next: (*at - 2 * records as i64).max(0),
            epoch: 1,
            resting: Duration::ZERO,
            asked: cx.clock.now(),
        };
        cx.status.lag().stored(&topic, partition, stored);
        cx.push(batch).await?;
    }
    Ok(())
}

/// The batch with a row for each record.
fn rows_of(batch: &Batch) -> Batch {
    let offsets = batch.raw.offsets.values().to_vec();
    let indices = vec![0; offsets.len()];
    let columns = hidden_columns(offsets, indices).to_vec();
    batch.with_rows(
        RecordBatch::try_new(with_hidden_columns([]), columns).expect("the columns of that schema"),
    )
}

async fn pass(cx: &mut Context) -> Result<(), Error> {
    cx.status.running();
    while let Some(lease) = cx.lease().await {
        cx.push(rows_of(&lease)).await?;
        lease.settle();
    }
    Ok(())
}

async fn rejects(cx: &mut Context, reason: &'static str) -> Result<(), Error> {
    cx.status.running();
    let mut count = 0;
    while let Some(lease) = cx.lease().await {
        count += 1;
        if count % 5 == 0 {
            cx.status.count_dead_letter(reason);
        }
        cx.push(rows_of(&lease)).await?;
        lease.settle();
    }
    Ok(())
}

async fn sink(cx: &mut Context, takes: Duration) -> Result<(), Error> {
    cx.status.running();
    while let Some(lease) = cx.lease().await {
        if !takes.is_zero() && cx.status.sleep_or_stop(&cx.clock, takes).await {
            return Ok(());
        }
        cx.settle_written(lease);
    }
    Ok(())
}

/// `halt` for XRP, which fell silent a minute ago, `trade` for two others.
fn judged_view(gate: &Arc<str>, now_us: i64) -> GateView {
    let key = |symbol: &str, silent_s: i64| {
        let halted = silent_s > 5;
        let verdict = if halted { "halt" } else { "trade" };
        let detail = format!("nothing for {silent_s}.0 s");
        let score = if halted { 0.0 } else { 1.0 };
        KeyView {
            key: [("symbol".into(), json!(symbol))].into(),
            label: symbol.to_owned(),
            verdict,
            score,
            reason: if halted { format!("stale_after: {detail}") } else { "ok".to_owned() },
            since_us: now_us - silent_s * 1_000_000,
            at_us: now_us - silent_s * 1_000_000,
            rules: vec![RuleView { rule: "stale_after", score, count: u64::from(halted), detail }],
            limits: None,
            evidence: vec![EvidenceView {
                at_us: now_us,
                rule: "stale_after",
                row: json!({ "symbol": symbol, "venue": HOSTILE }),
            }],
        }
    };
    GateView {
        gate: gate.clone(),
        mode: "enforce",
        at_us: now_us,
        keys_total: 3,
        halted: 1,
        watched: 0,
        keys_forgotten: 0,
        records_missed: 0,
        violations: [("stale_after", 1)].into(),
        keys: vec![key("XRP", 60), key("BTC", 0), key("ETH", 0)],
    }
}

fn drifted(cx: &Context) {
    let figures = cx.status.figures();
    figures.set(names::CACHE_HIT_RATIO, &[("by", "readers")], 0.982);
    figures.set(names::CACHE_READS_TOTAL, &[("by", "server"), ("outcome", "hit")], 41.0);
    figures.set(names::CACHE_READS_TOTAL, &[("by", "server"), ("outcome", "miss")], 3.0);
    figures.set(names::CACHE_SAMPLED_KEYS, &[], 214.0);
    figures.set(names::CACHE_DRIFTED_KEYS, &[("how", "missing")], 2.0);
    figures.set(names::CACHE_BEHIND_SECONDS, &[], 7.0);
    figures.set(names::CACHE_SAMPLED_TIMESTAMP_SECONDS, &[], cx.clock.wall_us() as f64 / 1e6 - 4.0);
    figures.set(names::CACHE_SERVER_KEYS, &[], 20_411.0);
    figures.set(names::CACHE_SERVER_MEMORY_BYTES, &[], 3_145_728.0);
    figures.set(names::CACHE_SERVER_MEMORY_MAX_BYTES, &[], 8_388_608.0);
    figures.set(names::CACHE_EVICTED_KEYS_TOTAL, &[], 12.0);
}

/// Letters and drills without a database.
struct Remembered;

impl Archive for Remembered {
    fn letters(&self) -> BoxFuture<'_, Result<Vec<LetterGroup>, Error>> {
        let group = |reason: &str, new, failed_again| LetterGroup {
            actor: "trades".into(),
            reason: reason.into(),
            new,
            failed_again,
            replayed: 3,
            oldest_us: 1_796_000_000_000_000,
            newest_us: 1_796_000_300_000_000,
            sample: Some(LetterSample {
                id: 41,
                topic: "md.raw".into(),
                partition: 2,
                offset: 1_204,
                class: "data".into(),
                detail: "`/p`: expected a decimal, found \"n/a\"".into(),
                at_us: 1_796_000_300_000_000,
                key: Some("BTC-USD".into()),
                value: Some(format!("{{\"e\":\"trade\",\"p\":\"{HOSTILE}\"}}")),
                bytes: Some(4_096),
            }),
        };
        Box::pin(async move { Ok(vec![group("not_decimal", 12, 0), group(HOSTILE, 0, 1)]) })
    }

    fn drills(&self) -> BoxFuture<'_, Result<Vec<Drill>, Error>> {
        Box::pin(async {
            Ok(vec![Drill {
                drill: "failover".into(),
                passed: true,
                node: "a".into(),
                started_us: 1_796_000_000_000_000,
                ended_us: 1_796_000_021_500_000,
                report: json!({ "recovered_seconds": 2.1, "lost": 0 }),
            }])
        })
    }

    fn command(&self, choice: &LetterChoice) -> Option<String> {
        Some(format!("aqueduct dlq replay --actor={} -- trades.yaml", choice.actor))
    }

    fn replay(&self, choice: LetterChoice, events: Events) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(async move {
            events.enter(&choice.actor.as_str().into(), "replaying", "6 of 12");
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok("12 taken: 12 written, 0 filtered, 0 failed again, 0 left".to_owned())
        })
    }
}

pub struct Stage {
    pub address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    /// Runs `topology` on a thread of its own. Beyond loopback = it listens everywhere, so payloads need the token.
    pub fn start(topology: Topology, script: Script, beyond_loopback: bool) -> Self {
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let mut application = assemble(topology, script, beyond_loopback);
                let requests = application.reload_requests();
                let handle = application.handle();
                let bound = async {
                    let address = handle.admin_bound().await;
                    tell.send((handle.clone(), address)).expect("somebody waits");
                };
                let reloads = async {
                    let Some(mut requests) = requests else { return };
                    while let Some(request) = requests.recv().await {
                        let body = if request.apply {
                            json!({ "applied": true, "generation": 1, "plan_text": "nothing" })
                        } else {
                            let text = "~ trades  require price_positive: price > 0 -> price >= 0\n";
                            json!({ "plan": { "changes": true }, "plan_text": text, "file": "/etc/aqueduct/trades.yaml" })
                        };
                        let _ = request.reply.send(ReloadAnswer { status: 200, body });
                    }
                };
                let _reloads = aqueduct_engine::task::spawn("reloads", reloads);
                futures::join!(application.run(), bound);
            });
        });
        let (handle, address) = told.recv_timeout(Duration::from_secs(30)).expect("the node listens");
        Self { address: ([127, 0, 0, 1], address.port()).into(), handle, thread: Some(thread) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        futures::executor::block_on(self.handle.abort());
        if let Some(thread) = self.thread.take() {
            // A panic there is told by itself.
            let _ = thread.join();
        }
    }
}

fn assemble(topology: Topology, script: Script, beyond_loopback: bool) -> RuntimeApplication {
    let listen = if beyond_loopback { "0.0.0.0:0" } else { "127.0.0.1:0" };
    let settings = Settings {
        node: "edge-1".into(),
        drain_deadline: Duration::from_secs(2),
        admin: Some(AdminSettings {
            listen: listen.parse().expect("an address"),
            token: Some(TOKEN.to_owned().into()),
            settings: json!({ "settings": { "arbiters": { "value": "2", "origin": "file", "place": "engine.yaml:3" } } }),
            redaction: Default::default(),
        }),
        ..Settings::default()
    };
    RuntimeApplication::builder(Arc::new(topology))
        .settings(settings)
        .archive(Arc::new(Remembered))
        .catalog(Box::new(move |actor| {
            use aqueduct_topology::model::Kind;
            let usual = match &actor.kind {
                Kind::KafkaSource(_) => Part::Source(50),
                Kind::Normalizer(_) => Part::Pass,
                Kind::DeadLetter(_) => Part::Idle,
                _ => Part::Sink(Duration::ZERO),
            };
            let part = script(&actor.name.value).unwrap_or(usual);
            Ok(Arc::new(move || Box::new(Scripted(part)) as Box<dyn Actor>) as Factory)
        }))
        .build()
        .expect("it can be assembled")
}

/// The topology of that text.
pub fn topology(text: &str) -> Topology {
    let source = aqueduct_topology::Source::new("t.yaml", text);
    let (topology, diagnostics) = aqueduct_topology::load(&source, &|_| None);
    topology.unwrap_or_else(|| panic!("{}", aqueduct_topology::to_text(&source, &diagnostics, false)))
}

const CONNECTIONS: &str = r#"connections: { kafka: { bootstrap: "k:9092" }, timescale: { url: "postgres://u@h/d" }, redis: { url: "redis://r" } }"#;
const FIELDS: &str = "fields: { ts: { type: timestamp, path: /t, unit: ms }, x: { type: int64, path: /x } }";

/// A small topology in which something of everything is wrong.
pub fn troubled() -> (Topology, Script) {
    let text = format!(
        "topology: trades\n{CONNECTIONS}
supervisors:
  ingest: {{ strategy: rest_for_one, intensity: 5, period: 30s, children: [ticks, trades, history] }}
  serve: {{ strategy: one_for_one, intensity: 1000, period: 60s, children: [last_price, flaky, odd] }}
actors:
  ticks: {{ kind: kafka_source, topic: md.raw }}
  trades: {{ kind: normalizer, from: ticks, {FIELDS} }}
  history: {{ kind: timescale_writer, from: trades, table: market.trades, link: {{ batches: 8 }} }}
  last_price: {{ kind: redis_cache, from: trades, key: \"k:{{x}}\", value: [x], order_by: ts, policy: best_effort }}
  flaky: {{ kind: kafka_sink, from: trades, topic: out, policy: best_effort }}
  odd: {{ kind: kafka_sink, from: trades, topic: odd, policy: best_effort }}
"
    );
    let mut topology = topology(&text);
    rename(&mut topology, "odd", HOSTILE);
    let script: Script = |name| match name {
        "ticks" => Some(Part::Source(60)),
        "trades" => Some(Part::Rejects("not_decimal")),
        "history" => Some(Part::Sink(Duration::from_millis(90))),
        "last_price" => Some(Part::Waits("redis 10.0.0.7:6379 refuses connections; see that it runs")),
        "flaky" => Some(Part::Crashes("topic `out` went away while a batch was on its way")),
        HOSTILE => Some(Part::Waits(HOSTILE)),
        _ => None,
    };
    (topology, script)
}

/// The same among names that belong into a picture.
pub fn pictured() -> (Topology, Script) {
    let (mut topology, script) = troubled();
    topology.actors.retain(|actor| actor.name.value != HOSTILE);
    for supervisor in &mut topology.supervisors {
        supervisor.children.retain(|child| child.value != HOSTILE);
    }
    (topology, script)
}

/// The same, and all is well.
pub fn well() -> (Topology, Script) {
    let text = format!(
        "topology: md-trades\n{CONNECTIONS}
supervisors:
  ingest: {{ strategy: rest_for_one, intensity: 5, period: 30s, children: [ticks, trades, bars, history, bars_1m] }}
  serve: {{ strategy: one_for_one, intensity: 10, period: 60s, children: [last_price] }}
actors:
  ticks: {{ kind: kafka_source, topic: md.raw }}
  trades: {{ kind: normalizer, from: ticks, {FIELDS} }}
  bars: {{ kind: normalizer, from: ticks, {FIELDS} }}
  history: {{ kind: timescale_writer, from: trades, table: market.trades }}
  bars_1m: {{ kind: timescale_writer, from: bars, table: market.bars }}
  last_price: {{ kind: redis_cache, from: trades, key: \"k:{{x}}\", value: [x], order_by: ts, policy: best_effort }}
"
    );
    (topology(&text), |_| None)
}

/// Nothing is wrong with the node: a gate halts a key, a cache has drifted.
pub fn judged() -> (Topology, Script) {
    let text = format!(
        "topology: judged\n{CONNECTIONS}
actors:
  ticks: {{ kind: kafka_source, topic: md.raw }}
  trades: {{ kind: normalizer, from: ticks, {FIELDS} }}
  history: {{ kind: timescale_writer, from: trades, table: market.trades }}
  last_price: {{ kind: redis_cache, from: trades, key: \"k:{{x}}\", value: [x], order_by: ts, policy: best_effort }}
  gate: {{ kind: quality_gate, from: trades, by: [x], every: 1s, rules: {{ stale_after: 5s }} }}
  gate_cache: {{ kind: redis_cache, from: gate, key: \"gate:{{x}}\", value: [verdict], order_by: at, ttl: 3s, policy: best_effort }}
"
    );
    let script: Script = |name| match name {
        "gate" => Some(Part::Judges),
        "last_price" => Some(Part::Caches),
        _ => None,
    };
    (topology(&text), script)
}

/// So many lines of a source, a normalizer and three sinks; one actor in fifty waits.
pub fn many(lines: usize) -> (Topology, Script) {
    let mut text = format!("topology: many\n{CONNECTIONS}\nactors:\n");
    for n in 0..lines {
        text.push_str(&format!(
            "  ticks_{n}: {{ kind: kafka_source, topic: md.raw_{n} }}
  trades_{n}: {{ kind: normalizer, from: ticks_{n}, {FIELDS} }}
  history_{n}: {{ kind: timescale_writer, from: trades_{n}, table: market.trades_{n} }}
  last_{n}: {{ kind: redis_cache, from: trades_{n}, key: \"k{n}:{{x}}\", value: [x], order_by: ts, policy: best_effort }}
  out_{n}: {{ kind: kafka_sink, from: trades_{n}, topic: out_{n}, policy: best_effort }}
"
        ));
    }
    let script: Script = |name| match name {
        "last_7" | "last_57" | "out_33" => Some(Part::Waits("redis 10.0.0.7:6379 refuses connections")),
        name if name.starts_with("ticks_") => Some(Part::Source(2)),
        _ => None,
    };
    (topology(&text), script)
}

fn rename(topology: &mut Topology, from: &str, to: &str) {
    for actor in topology.actors.iter_mut().filter(|actor| actor.name.value == from) {
        actor.name.value = to.to_owned();
        actor.id.value = to.to_owned();
    }
    for child in topology.supervisors.iter_mut().flat_map(|supervisor| &mut supervisor.children) {
        if child.value == from {
            child.value = to.to_owned();
        }
    }
}
