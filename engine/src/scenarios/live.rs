//! What the page lives on, over a real socket: many who look, one who is slow, one who comes back.

use super::admin::{request, running, with_admin};
use super::support::*;
use crate::limits::ADMIN_STREAMS_MAX;
use crate::quality::{EvidenceView, GateView, KeyView};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that follows `/api/live`.
async fn look(address: SocketAddr, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head =
        format!("GET /api/live HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads until `count` snapshots have come whole; gives everything.
async fn read(stream: &mut TcpStream, count: usize) -> String {
    let mut text = String::new();
    let is_enough = |text: &str| {
        let (found, last) =
            (text.matches("event: snapshot\n").count(), text.rsplit("event: snapshot\n").next());
        found > count || (found == count && last.is_some_and(|last| last.contains("}\n\n")))
    };
    while !is_enough(&text) {
        let mut buffer = [0; 64 * 1024];
        let length =
            tokio::time::timeout(secs(10), stream.read(&mut buffer)).await.expect("in time").unwrap();
        assert_ne!(length, 0, "the stream ended after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

/// The newest snapshot in what was read.
fn snapshot(text: &str) -> serde_json::Value {
    let line = text.lines().rfind(|line| line.starts_with("data: {\"at_us\":") && line.ends_with('}'));
    let line = line.and_then(|line| line.strip_prefix("data: "));
    serde_json::from_str(line.expect("a snapshot")).expect("JSON")
}

fn ids(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

#[tokio::test]
async fn a_snapshot_tells_what_a_page_needs_at_first_glance() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), sink(&journal));
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        until(&handle, "written", |_| journal.count("history 2") == 1).await;
        let text = read(&mut look(address, "").await, 2).await;
        let snapshot = snapshot(&text);
        assert_eq!(snapshot["ready"], true);
        assert_eq!(snapshot["actors"].as_array().unwrap().len(), 4);
        let edge = &snapshot["edges"][0];
        assert_eq!(
            (&edge["from"], &edge["to"], &edge["records"]),
            (&"ticks".into(), &"trades".into(), &3.into())
        );
        assert_eq!(edge["records_per_second"], 0.0, "all of them came before the first snapshot");
        assert_eq!((&snapshot["ledger"]["read"], &snapshot["ledger"]["unaccounted"]), (&3.into(), &0.into()));
        assert_eq!(snapshot["door"], serde_json::json!({ "orders": true, "payloads_need_token": false }));
        let newest = handle.registry().events().after(0).last().unwrap().id;
        assert_eq!(snapshot["event_id"], newest);
        assert_eq!(ids(&text).len() as u64, newest, "events come before the snapshot that knows of them");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_hundred_look_at_once_and_probes_and_scrapes_are_answered() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let mut viewers = Vec::new();
        for _ in 0..100 {
            viewers.push(look(address, "").await);
        }
        for viewer in &mut viewers {
            let text = read(viewer, 2).await;
            assert_eq!(snapshot(&text)["actors"].as_array().unwrap().len(), 2);
        }
        for path in ["/livez", "/readyz", "/metrics", "/", "/page.js", "/api/history"] {
            assert_eq!(request(address, &format!("GET {path}"), "").await.0, 200, "{path}");
        }
        for _ in viewers.len()..ADMIN_STREAMS_MAX {
            viewers.push(look(address, "").await);
            read(viewers.last_mut().unwrap(), 1).await;
        }
        let (status, words) = request(address, "GET /api/live", "").await;
        assert_eq!(status, 429, "{words}");
        drop(viewers);
        tokio::time::sleep(secs(2)).await;
        read(&mut look(address, "").await, 1).await;
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn one_who_does_not_read_holds_up_nobody() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let _silent = look(address, "").await;
        let mut reader = look(address, "").await;
        read(&mut reader, 3).await;
        assert_eq!(request(address, "GET /readyz", "").await.0, 200);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_gets_the_events_it_missed_and_those_alone() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let first = read(&mut look(address, "").await, 1).await;
        let last = ids(&first).last().unwrap().to_string();
        handle.restart_actor("ticks").await.unwrap();
        until(&handle, "restarted", |handle| handle.observe("ticks").unwrap().restarts == 1).await;
        let back = read(&mut look(address, &format!("Last-Event-ID: {last}\r\n")).await, 2).await;
        assert!(back.contains("restart_ordered"), "{back}");
        assert!(ids(&back).iter().all(|id| !ids(&first).contains(id)), "{back}");
        // The id of another life of the node: everything is new.
        let other = read(&mut look(address, "Last-Event-ID: 12345-9999\r\n").await, 1).await;
        assert_eq!(ids(&other).first(), ids(&first).first());
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn beyond_this_machine_events_come_with_the_token_only() {
    let world = World::new().source("ticks", idle());
    let mut settings = with_admin(Some("s3cret"));
    settings.admin.as_mut().unwrap().listen = "0.0.0.0:0".parse().unwrap();
    perform(world.builder().settings(settings).build().unwrap(), async |handle| {
        let address = ([127, 0, 0, 1], running(&handle).await.port()).into();
        let text = read(&mut look(address, "").await, 1).await;
        assert_eq!(ids(&text), [""; 0]);
        assert_eq!(snapshot(&text)["door"]["payloads_need_token"], true);
        let text = read(&mut look(address, "Authorization: Bearer s3cret\r\n").await, 1).await;
        assert!(!ids(&text).is_empty());
        for path in ["/api/letters", "/api/drills", "/api/plan", "/api/events"] {
            assert_eq!(request(address, &format!("GET {path}"), "").await.0, 401, "{path}");
        }
        handle.stop().await;
    })
    .await;
}

/// Shows what a gate would that knows one key.
fn judges_one_key() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            let evidence =
                EvidenceView { at_us: 1, rule: "gap", row: serde_json::json!({ "id": "shown-row" }) };
            let key = KeyView {
                key: [("symbol".into(), "shown-key".into())].into(),
                label: "shown-key".to_owned(),
                limits: Some("narrow".into()),
                verdict: "halt",
                score: 0.0,
                reason: "gap: 1 numbers left out".to_owned(),
                since_us: 1,
                at_us: 1,
                rules: Vec::new(),
                evidence: vec![evidence],
            };
            cx.status.quality().show(GateView {
                gate: "gate".into(),
                mode: "enforce",
                at_us: 1,
                keys_total: 1,
                halted: 1,
                watched: 0,
                keys_forgotten: 0,
                records_missed: 0,
                violations: [("gap", 1)].into(),
                keys: vec![key],
            });
            cx.status.running();
            cx.status.stopped().await;
            Ok(())
        })
    })
}

#[tokio::test]
async fn beyond_this_machine_keys_and_rows_of_a_gate_come_with_the_token_only() {
    for (listen, open) in [("127.0.0.1:0", true), ("0.0.0.0:0", false)] {
        let world = World::new().source("ticks", judges_one_key());
        let mut settings = with_admin(Some("s3cret"));
        settings.admin.as_mut().unwrap().listen = listen.parse().unwrap();
        perform(world.builder().settings(settings).build().unwrap(), async |handle| {
            let address = ([127, 0, 0, 1], running(&handle).await.port()).into();
            until(&handle, "a verdict", |handle| !handle.registry().gates().is_empty()).await;
            let ask = async |headers| request(address, "GET /api/quality", headers).await;
            let (status, without) = ask("").await;
            assert_eq!(status, 200);
            assert!(without.contains("\"halted\":1") && without.contains("\"gap\":1"), "{without}");
            let shown = |text: &str| text.contains("shown-key") && text.contains("shown-row");
            let hidden = |text: &str| !text.contains("shown-key") && !text.contains("shown-row");
            assert!(if open { shown(&without) } else { hidden(&without) }, "{listen}: {without}");
            let (status, with) = ask("Authorization: Bearer s3cret\r\n").await;
            assert_eq!(status, 200);
            assert!(shown(&with) && with.contains("\"override\":\"narrow\""), "{with}");
            if !open {
                let (status, wrong) = ask("Authorization: Bearer guess\r\n").await;
                assert_eq!(status, 401);
                assert!(hidden(&wrong), "{wrong}");
            }
            handle.stop().await;
        })
        .await;
    }
}
