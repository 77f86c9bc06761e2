//! Traces: one trace from source to sink under who wrote the record, and a collector that is away.

use super::support::*;
use crate::batch::Batch;
use crate::class::{Class, Error};
use crate::limits::TRACE_QUEUE_SPANS_MAX;
use crate::trace::TraceSettings;
use crate::{Handle, Settings};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Takes every request and keeps its spans.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, spans) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Value>>>::default());
        let kept = spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut length, mut line) = (0, String::new());
                while stream.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
                kept.lock().unwrap().extend(spans);
                stream.into_inner().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            }
        });
        Self { address, spans }
    }

    fn of_actor(&self, actor: &str) -> Vec<Value> {
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|span| attribute(span, "actor") == actor).cloned().collect()
    }
}

fn attribute(span: &Value, key: &str) -> String {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|one| one["key"] == key).map(|one| &one["value"]);
    let value = found.map(|value| value.get("stringValue").unwrap_or(&value["intValue"]));
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn traced(to: SocketAddr, ratio: f64) -> Settings {
    let traces =
        TraceSettings { host: to.ip().to_string(), port: to.port(), path: "/v1/traces".to_owned(), ratio };
    Settings { traces: Some(traces), ..Settings::default() }
}

fn spans_total(handle: &Handle, outcome: &str) -> f64 {
    let figures = handle.registry().figures.list();
    let of = |figure: &&crate::telemetry::figures::Figure| {
        figure.name == "aqueduct_trace_spans_total" && figure.labels["outcome"] == outcome
    };
    figures.iter().find(of).map_or(0.0, |figure| figure.value)
}

/// Like [`source`], with a `traceparent` on the record at offset 1.
fn source_with_header(header: &'static str) -> Behaviour {
    behaviour(move |cx| {
        Box::pin(async move {
            for offset in 0..3 {
                let mut batch = record(offset);
                if offset == 1 {
                    let header = ("traceparent".into(), Some(header.as_bytes().to_vec()));
                    batch.raw.headers = Some(Arc::new(vec![vec![header]]));
                }
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
            }
            cx.status.caught_up(true);
            cx.status.draining().await;
            Ok(())
        })
    })
}

#[tokio::test]
async fn a_batch_is_one_trace_from_source_to_sink_under_who_wrote_it() {
    let collector = Collector::start();
    let journal = Journal::default();
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let world = World::line(source_with_header(header), pass(&journal), sink(&journal)).sink(
        "copy",
        "trades",
        sink(&journal),
    );
    let application = world.builder().settings(traced(collector.address, 0.0)).build().unwrap();
    perform(application, async |handle| {
        until(&handle, "all written", |_| journal.count("history 2") + journal.count("copy 2") == 2).await;
        handle.drain().await;
    })
    .await;
    // The end of the run has sent what there was; of the three batches one is traced.
    assert_eq!(collector.spans.lock().unwrap().len(), 4);
    let [ticks, trades, history, copy] = ["ticks", "trades", "history", "copy"].map(|actor| {
        let spans = collector.of_actor(actor);
        assert_eq!(spans.len(), 1, "{actor}: {spans:?}");
        spans[0].clone()
    });
    for span in [&ticks, &trades, &history, &copy] {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            (attribute(span, "first_offset"), attribute(span, "outcome")),
            ("1".into(), "settled".into())
        );
    }
    assert_eq!(ticks["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(trades["parentSpanId"], ticks["spanId"]);
    assert_eq!(history["parentSpanId"], trades["spanId"]);
    assert_eq!(copy["parentSpanId"], trades["spanId"]);
    assert_eq!(history["name"], "history kafka_sink");
}

#[tokio::test]
async fn a_batch_that_its_source_offers_again_and_again_has_one_span() {
    let collector = Collector::start();
    let journal = Journal::default();
    let offers = behaviour(|cx| {
        Box::pin(async move {
            // More than the link holds, so some find it full.
            for offset in 0..20 {
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                while cx.outputs.try_push(batch.clone()).is_err() {
                    cx.clock.sleep(Duration::from_millis(1)).await;
                }
            }
            cx.status.caught_up(true);
            cx.status.draining().await;
            Ok(())
        })
    });
    let slow = behaviour(|cx| {
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                cx.clock.sleep(Duration::from_millis(5)).await;
                cx.push(Batch::clone(&lease)).await?;
                lease.settle();
            }
            Ok(())
        })
    });
    let world = World::line(offers, slow, sink(&journal));
    let application = world.builder().settings(traced(collector.address, 1.0)).build().unwrap();
    perform(application, async |handle| {
        until(&handle, "all written", |_| journal.count("history 19") == 1).await;
        handle.drain().await;
    })
    .await;
    for actor in ["ticks", "trades", "history"] {
        assert_eq!(collector.of_actor(actor).len(), 20, "{actor}");
    }
}

#[tokio::test]
async fn a_batch_that_was_delivered_again_has_a_span_for_each_delivery() {
    let collector = Collector::start();
    let journal = Journal::default();
    let failed = Arc::new(AtomicBool::new(false));
    let fails_once = behaviour(move |cx| {
        let failed = failed.clone();
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                if !failed.swap(true, Ordering::SeqCst) {
                    return Err(Error::new(Class::Bug, "once"));
                }
                cx.push(Batch::clone(&lease)).await?;
                lease.settle();
            }
            Ok(())
        })
    });
    let world = World::line(source(1), fails_once, sink(&journal));
    let application = world.builder().settings(traced(collector.address, 1.0)).build().unwrap();
    perform(application, async |handle| {
        until(&handle, "written", |_| journal.count("history 0") == 1).await;
        handle.drain().await;
    })
    .await;
    let mut outcomes: Vec<_> = collector
        .of_actor("trades")
        .iter()
        .map(|span| (attribute(span, "outcome"), attribute(span, "error.type")))
        .collect();
    outcomes.sort();
    let told = |outcome: &str, class: &str| (outcome.to_owned(), class.to_owned());
    assert_eq!(outcomes, [told("redelivered", "bug"), told("settled", "")]);
    let history = collector.of_actor("history");
    let settled =
        collector.of_actor("trades").into_iter().find(|span| attribute(span, "outcome") == "settled");
    assert_eq!(history[0]["parentSpanId"], settled.unwrap()["spanId"]);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_its_spans_and_nothing_else() {
    // Nobody listens there any more.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let journal = Journal::default();
    let records = TRACE_QUEUE_SPANS_MAX as i64;
    let world = World::line(source(records), pass(&journal), sink(&journal));
    let application = world.builder().settings(traced(away, 1.0)).build().unwrap();
    let last = format!("history {}", records - 1);
    let outcome = perform(application, async |handle| {
        until(&handle, "all written", |_| journal.count(&last) == 1).await;
        // Three spans a record; the queue and the request on its way hold no more than that.
        until(&handle, "drops are counted", |handle| spans_total(handle, "dropped") > records as f64).await;
        assert_eq!(spans_total(&handle, "exported"), 0.0);
        handle.drain().await;
    });
    let outcome = tokio::time::timeout(Duration::from_secs(60), outcome).await.expect("it ends");
    assert_eq!(outcome.exit_code, 0);
    for record in [0, records / 2, records - 1] {
        assert_eq!(journal.count(&format!("history {record}")), 1, "record {record} is there, once");
    }
}

#[tokio::test]
async fn a_node_that_does_not_trace_says_nothing_of_spans() {
    let journal = Journal::default();
    let world = World::line(source_with_header("00-1-1-01"), pass(&journal), sink(&journal));
    let application = world.builder().build().unwrap();
    perform(application, async |handle| {
        until(&handle, "all written", |_| journal.count("history 2") == 1).await;
        assert!(
            handle.registry().figures.list().iter().all(|figure| figure.name != "aqueduct_trace_spans_total")
        );
        handle.drain().await;
    })
    .await;
}

/// A sink that calls a server for each batch: the first call is cut, the second refused, the third answered.
fn calls_a_server(journal: &Journal) -> Behaviour {
    let journal = journal.clone();
    behaviour(move |cx| {
        let journal = journal.clone();
        Box::pin(async move {
            cx.status.running();
            while let Some(lease) = cx.lease().await {
                let steps = cx.steps();
                let works: Vec<_> = steps.work(&lease).into_iter().collect();
                let call = || steps.begin("transaction", &works).text("table", "t").number("rows", 1);
                drop(call());
                call().end(Some(Class::Capacity));
                call().end(None);
                cx.settle_written(lease);
                journal.note("written");
            }
            Ok(())
        })
    })
}

#[tokio::test]
async fn a_step_is_a_span_below_the_batchs_that_says_how_it_ended() {
    let collector = Collector::start();
    for ratio in [1.0, 0.0] {
        collector.spans.lock().unwrap().clear();
        let journal = Journal::default();
        let world = World::line(source(1), pass(&journal), calls_a_server(&journal));
        let settings = traced(collector.address, ratio);
        perform(world.builder().settings(settings).build().unwrap(), async |handle| {
            until(&handle, "written", |_| journal.count("written") > 0).await;
            handle.drain().await;
        })
        .await;
        let (steps, whole): (Vec<_>, Vec<_>) =
            collector.of_actor("history").into_iter().partition(|span| span["name"] == "history transaction");
        assert_eq!((steps.len(), whole.len()), if ratio > 0.0 { (3, 1) } else { (0, 0) });
        for step in &steps {
            assert_eq!(step["parentSpanId"], whole[0]["spanId"]);
            assert_eq!(step["traceId"], whole[0]["traceId"]);
            assert_eq!((attribute(step, "table"), attribute(step, "rows")), ("t".into(), "1".into()));
        }
        let mut classes: Vec<String> = steps.iter().map(|step| attribute(step, "error.type")).collect();
        classes.sort();
        assert_eq!(classes, if ratio > 0.0 { &["", "capacity", "transient"][..] } else { &[] });
    }
}
