//! The admin endpoint over a real socket, and the process's signals.

use super::support::*;
use crate::admin::AdminSettings;
use crate::limits::{
    ADMIN_BODY_BYTES_MAX, ADMIN_CONNECTIONS_MAX, ADMIN_GUESSES_BURST, ADMIN_HEAD_MAX, ADMIN_REQUESTS_BURST,
    ADMIN_STREAMS_MAX,
};
use crate::tap::Redaction;
use crate::{Class, Error, Handle, Settings};
use secrecy::SecretString;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Status and body of one request.
pub(super) async fn request(address: SocketAddr, head: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let text = format!("{head} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

pub(super) fn with_admin(token: Option<&str>) -> Settings {
    let token = token.map(|token| SecretString::from(token.to_owned()));
    Settings {
        admin: Some(AdminSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            token,
            settings: serde_json::json!({ "settings": { "arbiters": { "value": "2" } } }),
            redaction: Redaction::default().and("account"),
        }),
        ..Settings::default()
    }
}

fn waiting() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            let away = async || Err::<(), _>(Error::new(Class::Config, "table market.trades is missing"));
            let _ = cx.until_ok(secs(1), away).await;
            Ok(())
        })
    })
}

pub(super) async fn running(handle: &Handle) -> SocketAddr {
    let address = handle.admin_bound().await;
    until(handle, "up", |handle| handle.registry().phase() == crate::registry::Phase::Running).await;
    address
}

#[tokio::test]
async fn a_waiting_actor_makes_the_node_unready_but_not_dead() {
    let journal = Journal::default();
    let world = World::line(source(0), pass(&journal), waiting());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        until(&handle, "waiting", |handle| state(handle, "history") == "waiting").await;
        let (status, body) = request(address, "GET /readyz", "").await;
        assert_eq!(status, 503);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["not_ready"][0]["actor"], "history");
        assert_eq!(body["not_ready"][0]["reason"], "table market.trades is missing");
        assert!(body["not_ready"][0]["since_us"].is_i64());
        assert_eq!(request(address, "GET /livez", "").await.0, 200);
        let (_, metrics) = request(address, "GET /metrics", "").await;
        let line =
            r#"aqueduct_actor_state{topology="test",actor="history",kind="kafka_sink",state="waiting"} 1"#;
        assert!(metrics.contains(line), "{metrics}");
        for line in [
            r#"aqueduct_ready{topology="test"} 0"#,
            r#"aqueduct_phase{topology="test",phase="running"} 1"#,
            r#"aqueduct_actor_waiting{topology="test",actor="history",kind="kafka_sink",class="config"} 1"#,
            r#"aqueduct_actor_waiting{topology="test",actor="history",kind="kafka_sink",class="transient"} 0"#,
            r#"aqueduct_reload_applied{topology="test"} 1"#,
        ] {
            assert!(metrics.contains(line), "{line} is not in {metrics}");
        }
        assert!(
            metrics
                .contains(r#"aqueduct_restarts_total{topology="test",actor="history",kind="kafka_sink"} 0"#)
        );
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_served_tells_of_the_tree_and_the_records() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), sink(&journal));
    let form = serde_json::json!({ "version": 1 });
    let builder = world.builder().settings(with_admin(None)).canonical(form.clone());
    perform(builder.build().unwrap(), async |handle| {
        let address = running(&handle).await;
        until(&handle, "written", |_| journal.count("history 2") == 1).await;
        assert_eq!(request(address, "GET /readyz", "").await.0, 200);
        let json = async |path: &str| -> serde_json::Value {
            serde_json::from_str(&request(address, &format!("GET {path}"), "").await.1).unwrap()
        };
        let topology = json("/api/topology").await;
        assert_eq!(topology["edges"][0], serde_json::json!({ "from": "ticks", "to": "trades" }));
        assert_eq!(topology["supervisors"][0]["name"], "root");
        assert!(topology.get("canonical").is_none(), "the long form only on request");
        assert_eq!(json("/api/topology?form=canonical").await["canonical"], form);
        let ledger = json("/api/ledger").await;
        assert_eq!((&ledger[0]["read"], &ledger[0]["unaccounted"]), (&3.into(), &0.into()));
        assert_eq!(json("/api/actors").await.as_array().unwrap().len(), 4);
        assert_eq!(json("/api/settings").await["settings"]["arbiters"]["value"], "2");
        let events = json("/api/events").await;
        let after = events[1]["id"].as_u64().unwrap();
        let later = json(&format!("/api/events?after={after}")).await;
        assert_eq!(later.as_array().unwrap().len(), events.as_array().unwrap().len() - 2);
        for (path, begins) in [
            ("/", "<!doctype html>"),
            ("/page.css", "/*"),
            ("/page.js", "\"use strict\""),
            ("/page.svg", "<svg"),
        ] {
            let (status, page) = request(address, &format!("GET {path}"), "").await;
            assert!(status == 200 && page.starts_with(begins), "{path}: {status}");
        }
        let history = json("/api/history").await;
        assert_eq!(history["step_seconds"], 5);
        assert!(history["series"]["lag_records"].is_array());
        let plan = json("/api/plan").await;
        assert!(plan["error"].as_str().unwrap().contains("does not come from a file"), "{plan}");
        let (_, metrics) = request(address, "GET /metrics", "").await;
        let read = r#"kind="replay_source",topic="md",partition="0",fate="read"} 3"#;
        assert!(metrics.contains(read), "{metrics}");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_stream_resumes_where_its_reader_left() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let seen = handle.registry().events().after(0);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET /api/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: {}\r\n\r\n",
            seen[seen.len() - 2].id
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        handle.restart_actor("ticks").await.unwrap();
        let mut text = String::new();
        while !text.contains("event: restart_ordered") {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "the stream ended after {text}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        assert!(text.contains(&format!("id: {}\n", seen.last().unwrap().id)), "the one missed: {text}");
        assert!(!text.contains(&format!("id: {}\n", seen[0].id)), "not what was seen: {text}");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn orders_need_the_token() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let restart = "POST /api/actors/ticks/restart";
        assert_eq!(request(address, restart, "").await.0, 401);
        assert_eq!(request(address, restart, "Authorization: Bearer s3cre\r\n").await.0, 401);
        assert_eq!(handle.observe("ticks").unwrap().restarts, 0);
        assert_eq!(request(address, restart, "Authorization: Bearer s3cret\r\n").await.0, 202);
        until(&handle, "restarted", |handle| handle.observe("ticks").unwrap().restarts == 1).await;
        let nobody =
            request(address, "POST /api/actors/nobody/stop", "Authorization: Bearer s3cret\r\n").await;
        assert_eq!(nobody, (404, r#"{"error":"no actor named `nobody`"}"#.to_owned()));
        assert_eq!(request(address, "POST /api/drain", "").await.0, 401);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn guesses_at_the_token_are_few_and_then_none_is_looked_at() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let order = async |token: &str| {
            let header = format!("Authorization: Bearer {token}\r\n");
            request(address, "POST /api/actors/ticks/restart", &header).await.0
        };
        let mut guesses = 0;
        while order("wrong").await == 401 {
            guesses += 1;
            assert!(guesses < 50, "nobody minds");
        }
        assert!(guesses >= ADMIN_GUESSES_BURST as usize);
        assert_eq!(order("s3cret").await, 429, "the answer would tell");
        assert_eq!(request(address, "GET /api/actors", "").await.0, 200, "readers are not concerned");
        tokio::time::sleep(secs(2)).await;
        assert_eq!(order("s3cret").await, 202);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_flood_is_turned_away_and_probes_are_answered_all_the_same() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let mut asked = 0;
        while request(address, "GET /api/ledger", "").await.0 == 200 {
            asked += 1;
            assert!(asked < 20_000, "nobody minds");
        }
        assert!(asked >= ADMIN_REQUESTS_BURST as usize);
        assert_eq!(request(address, "GET /livez", "").await.0, 200);
        assert_eq!(request(address, "GET /readyz", "").await.0, 200);
        let large = format!("Content-Length: {}\r\n", ADMIN_BODY_BYTES_MAX + 1);
        tokio::time::sleep(secs(1)).await;
        assert_eq!(request(address, "POST /api/drain", &large).await.0, 413);
        handle.stop().await;
    })
    .await;
}

/// The status of the answer to exactly these bytes; 0 = hung up without one.
pub(super) async fn status_of(address: SocketAddr, sent: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may hang up before it has read all of it.
    let _ = stream.write_all(sent).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(secs(10), stream.read_to_end(&mut answer)).await.expect("it lets go");
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn requests_out_of_all_proportion_are_refused() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let close = "Host: localhost\r\nConnection: close\r\n";
        let head = |rest: &str| format!("POST /api/drain HTTP/1.1\r\n{close}{rest}\r\n");
        let large = head(&format!("X: {}\r\n", "x".repeat(1 << 20)));
        let many: String = (0..1_000).map(|n| format!("X{n}: y\r\n")).collect();
        let long = format!("GET /{} HTTP/1.1\r\n{close}\r\n", "x".repeat(100_000));
        let token = "Authorization: Bearer s3cret\r\n";
        let body = head(&format!("{token}Content-Length: {}\r\n", ADMIN_BODY_BYTES_MAX + 1));
        for (sent, statuses) in [
            (large, &[0, 431][..]),
            (head(&many), &[0, 431]),
            (long, &[0, 414]),
            (body, &[413]),
            (head(&format!("Authorization: Bearer {}\r\n", "s".repeat(8_000))), &[401]),
        ] {
            let status = status_of(address, sent.as_bytes()).await;
            assert!(statuses.contains(&status), "{status}: {:.80}", sent);
        }
        let phase = handle.registry().phase();
        assert_eq!(phase, crate::registry::Phase::Running, "nothing was done");
        assert_eq!(request(address, "GET /livez", "").await.0, 200);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn no_method_but_an_order_with_the_token_changes_anything() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let orders = ["/api/drain", "/api/reload", "/api/actors/ticks/restart", "/api/actors/ticks/stop"];
        let tokens = ["", "Authorization: Bearer s3cret\r\n"];
        for path in orders {
            for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
                let answer = request(address, &format!("{method} {path}"), tokens[1]).await;
                assert!((400..500).contains(&answer.0), "{method} {path}: {answer:?}");
            }
            for token in
                ["", "Authorization: s3cret\r\n", "Authorization: Basic s3cret\r\n", "Cookie: s3cret\r\n"]
            {
                assert_eq!(request(address, &format!("POST {path}"), token).await.0, 401, "{path} {token}");
            }
            assert_eq!(request(address, &format!("POST {path}?token=s3cret"), "").await.0, 401);
        }
        for path in ["/readyz", "/metrics", "/api/ledger", "/api/actors", "/"] {
            assert_eq!(request(address, &format!("POST {path}"), tokens[1]).await.0, 405, "{path}");
        }
        assert_eq!(handle.registry().phase(), crate::registry::Phase::Running);
        assert_eq!((handle.observe("ticks").unwrap().restarts, state(&handle, "ticks")), (0, "running"));
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn streams_of_events_leave_places_for_probes() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let stream = "GET /api/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
        let mut open = Vec::new();
        for _ in 0..ADMIN_STREAMS_MAX {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(stream.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            connection.read_exact(&mut status).await.unwrap();
            assert_eq!(&status, b"HTTP/1.1 200");
            open.push(connection);
        }
        assert_eq!(
            status_of(address, stream.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await,
            429
        );
        assert_eq!(request(address, "GET /livez", "").await.0, 200);
        // Silent ones take the rest of the places, for a while only.
        for _ in ADMIN_STREAMS_MAX..ADMIN_CONNECTIONS_MAX {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        let begin = tokio::time::Instant::now();
        assert_eq!(request(address, "GET /livez", "").await.0, 200);
        assert!(begin.elapsed() <= ADMIN_HEAD_MAX * 2, "{:?}", begin.elapsed());
        handle.stop().await;
    })
    .await;
}

/// Whatever bytes come: no panic, no state change, and the next request is answered.
#[tokio::test]
async fn nothing_that_is_sent_brings_the_endpoint_down() {
    use proptest::strategy::{Strategy, ValueTree};
    let word = "[ -~]{0,40}|[a-z/?=%.&]{0,60}|\\PC{0,20}";
    let line = (proptest::sample::select(vec!["GET", "POST", "PUT", "\0", ""]), word, word).prop_map(
        |(method, path, header)| {
            format!("{method} /{path} HTTP/1.1\r\nHost: localhost\r\n{header}: {path}\r\n\r\n")
        },
    );
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..200);
    let input = proptest::prop_oneof![line.prop_map(String::into_bytes), bytes];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        for _ in 0..300 {
            let sent = input.new_tree(&mut runner).unwrap().current();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            // A reset is an answer too.
            let _ = tokio::time::timeout(secs(5), stream.read_to_end(&mut answer)).await.expect("it lets go");
            assert!(!answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&sent));
        }
        assert_eq!(request(address, "GET /livez", "").await.0, 200);
        assert_eq!(handle.observe("ticks").unwrap().restarts, 0);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_token_orders_are_off_and_say_so() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        for order in ["POST /api/drain", "POST /api/actors/ticks/stop"] {
            let (status, body) = request(address, order, "Authorization: Bearer \r\n").await;
            assert_eq!(status, 403);
            assert!(body.contains("AQUEDUCT_ADMIN_TOKEN"), "{body}");
        }
        assert_eq!(state(&handle, "ticks"), "running");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_names_another_host_is_turned_away() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(None)).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        assert_eq!(request(address, "GET /api/actors", "Host: rebound.example\r\n").await.0, 421);
        let two = "Host: localhost\r\nHost: rebound.example\r\n";
        assert_eq!(request(address, "GET /api/actors", two).await.0, 421);
        assert_eq!(request(address, "GET /api/actors", "Host: localhost:1\r\n").await.0, 200);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_a_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = with_admin(None);
    settings.admin.as_mut().unwrap().listen = taken.local_addr().unwrap();
    let world = World::new().source("ticks", idle());
    let outcome = perform(world.builder().settings(settings).build().unwrap(), async |_| {}).await;
    assert_eq!(outcome.exit_code, 78);
    assert!(outcome.reasons[0].contains("choose another admin address"), "{:?}", outcome.reasons);
}
