//! Traces over real servers: one trace under the producer's, from Kafka to the transaction.

use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const WRITER: &str = "00f067aa0ba902b7";

const TOPOLOGY: &str = r#"
topology: traced-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, timescale: { url: "${TIMESCALE_URL}" }, redis: { url: "${REDIS_URL}" } }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:    { type: timestamp, path: /t, unit: ms }
      price: { type: "decimal(18,8)", path: /p }
  history: { kind: timescale_writer, from: trades, table: market.traced }
  last: { kind: redis_cache, from: trades, key: "{prefix}traced", value: [price], order_by: ts, policy: best_effort }
"#;

type Spans = Arc<Mutex<Vec<Value>>>;

/// A collector as others build it, on a thread of its own.
fn collector() -> (SocketAddr, Spans) {
    let spans = Spans::default();
    let take = |State(spans): State<Spans>, Json(body): Json<Value>| async move {
        let taken = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        spans.lock().unwrap().extend(taken.as_array().expect("spans").clone());
        Json(json!({}))
    };
    let router = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    (address, spans)
}

/// Sends a record with these headers.
fn send(world: &World, headers: OwnedHeaders) {
    let client = world.stack().kafka_client().expect("client settings");
    let producer: BaseProducer = client.create().expect("a producer");
    let payload = r#"{"t": 1723161300000, "p": "1.5"}"#;
    let record = BaseRecord::<(), str>::to(&world.topic).payload(payload).headers(headers);
    producer.send(record).map_err(|(error, _)| error).expect("it is taken");
    producer.flush(BOUND).expect("it is there");
}

#[test]
fn a_trace_goes_on_from_the_header_of_a_record_to_the_transaction() {
    let world = World::shared();
    let (topology, sql) = world.prepare(TOPOLOGY);
    let (address, spans) = collector();
    let header = format!("00-{TRACE}-{WRITER}-01");
    let endpoint = format!("http://{address}");
    let arguments = ["--traces-endpoint", &endpoint, "--traces-ratio", "0", "--until-idle", "1s"];
    send(&world, OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(&header) }));
    let node = Node::start(&world, &topology, "traced", &arguments);
    assert_eq!(node.exit_code(BOUND), 0);
    assert_eq!(sql.integer("SELECT count(*) FROM market.traced"), 1);
    // A node that ends has sent what there was.
    let spans = spans.lock().unwrap();
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|span| span["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0]
    };
    let ticks = named("ticks kafka_source");
    let trades = named("trades normalizer");
    let history = named("history timescale_writer");
    assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{spans:#?}");
    assert_eq!(ticks["parentSpanId"], WRITER);
    assert_eq!(trades["parentSpanId"], ticks["spanId"]);
    assert_eq!(history["parentSpanId"], trades["spanId"]);
    let has = |span: &Value, key: &str, value: Value| {
        span["attributes"].as_array().unwrap().contains(&json!({ "key": key, "value": value }))
    };
    assert!([trades, history].iter().all(|span| has(span, "rows", json!({ "intValue": "1" }))));
    // What the servers had of it.
    let transaction = named("history transaction");
    assert_eq!(transaction["parentSpanId"], history["spanId"]);
    assert!(has(transaction, "table", json!({ "stringValue": "market.traced" })), "{transaction:#}");
    assert!(has(transaction, "rows", json!({ "intValue": "1" })), "{transaction:#}");
    let pipeline = named("last pipeline");
    assert_eq!(pipeline["parentSpanId"], named("last redis_cache")["spanId"]);
    assert!(has(pipeline, "keys", json!({ "intValue": "1" })), "{pipeline:#}");
}

#[test]
fn a_collector_that_is_away_keeps_nobody_waiting() {
    let world = World::shared();
    let (topology, sql) = world.prepare(TOPOLOGY);
    let away = crate::harness::node::free_address();
    let endpoint = format!("http://{away}");
    let node =
        Node::start(&world, &topology, "untraced", &["--traces-endpoint", &endpoint, "--traces-ratio", "1"]);
    (0..20).for_each(|_| send(&world, OwnedHeaders::new()));
    wait::until("all is written", BOUND, || (node.ledger("written") == 20).then_some(()));
    assert_eq!(sql.integer("SELECT count(*) FROM market.traced"), 20);
    let dropped = "aqueduct_trace_spans_total{";
    wait::until("drops are counted", BOUND, || {
        let (_, text) = node.get("/metrics")?;
        let line = text.lines().find(|line| line.starts_with(dropped) && line.contains("dropped"))?;
        (line.rsplit(' ').next()?.parse::<f64>().ok()? >= 3.0).then_some(())
    });
    wait::until("the log says so", BOUND, || node.log().contains("traces_dropped").then_some(()));
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}
