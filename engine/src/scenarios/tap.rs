//! Taps over the admin endpoint, beside applications that restart and reload.

use super::support::*;
use crate::admin::AdminSettings;
use crate::limits::TAPS_MAX;
use crate::registry::Phase;
use crate::tap::{Redaction, TapPoint};
use crate::{Handle, Settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

fn settings() -> Settings {
    let listen = "127.0.0.1:0".parse().unwrap();
    let redaction = Redaction::default().and("key");
    let admin = AdminSettings { listen, token: None, settings: serde_json::Value::Null, redaction };
    Settings { admin: Some(admin), ..Settings::default() }
}

/// A record every few milliseconds, until it is to go.
fn busy() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            for offset in 0.. {
                if cx.status.is_draining() || cx.status.leaving() {
                    break;
                }
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
                cx.clock.sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        })
    })
}

fn world(journal: &Journal) -> World {
    World::line(busy(), pass(journal), sink(journal))
}

async fn up(handle: &Handle) -> SocketAddr {
    let address = handle.admin_bound().await;
    until(handle, "up", |handle| handle.registry().phase() == Phase::Running).await;
    address
}

async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /api/tap/{path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn refusal(address: SocketAddr, path: &str) -> (u16, String) {
    let mut answer = String::new();
    ask(address, path).await.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

/// An open tap.
struct Tapped(BufReader<TcpStream>);

impl Tapped {
    async fn open(address: SocketAddr, path: &str) -> Self {
        Self(BufReader::new(ask(address, path).await))
    }

    /// The datum of the next event of that name.
    async fn next(&mut self, name: &str) -> String {
        let mut wanted = false;
        loop {
            let mut line = String::new();
            let read =
                tokio::time::timeout(secs(20), self.0.read_line(&mut line)).await.expect("an event in time");
            assert_ne!(read.unwrap(), 0, "the stream ended");
            match line.trim_end().split_once(": ") {
                Some(("event", event)) => wanted = event == name,
                Some(("data", data)) if wanted => return data.to_owned(),
                _ => {}
            }
        }
    }

    async fn record(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.next("record").await).unwrap()
    }
}

fn point(handle: &Handle, actor: &str) -> Arc<TapPoint> {
    handle.registry().tap_points(actor, false).unwrap().remove(0)
}

#[tokio::test]
async fn rows_are_seen_until_the_reader_goes_and_then_nobody_looks() {
    let journal = Journal::default();
    perform(world(&journal).builder().settings(settings()).build().unwrap(), async |handle| {
        let address = up(&handle).await;
        let trades = point(&handle, "trades");
        assert!(!trades.is_attached());
        let mut tap = Tapped::open(address, "trades?rate=100").await;
        let first = tap.record().await;
        assert_eq!((&first["actor"], &first["record"]["value"]), (&"trades".into(), &serde_json::json!({})));
        assert!(tap.record().await["offset"].as_i64() > first["offset"].as_i64());
        assert!(trades.is_attached());
        drop(tap);
        until(&handle, "nobody looks", |_| !trades.is_attached()).await;
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_sink_is_seen_by_what_it_is_handed() {
    let journal = Journal::default();
    perform(world(&journal).builder().settings(settings()).build().unwrap(), async |handle| {
        let address = up(&handle).await;
        assert_eq!(Tapped::open(address, "history").await.record().await["actor"], "trades");
        assert_eq!(Tapped::open(address, "trades?input=true").await.record().await["actor"], "ticks");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_tap_outlives_restarts_and_reloads_and_waits_for_an_actor_that_is_gone() {
    let journal = Journal::default();
    perform(world(&journal).builder().settings(settings()).build().unwrap(), async |handle| {
        let address = up(&handle).await;
        let mut tap = Tapped::open(address, "trades?rate=100").await;
        tap.record().await;
        handle.restart_actor("trades").await.unwrap();
        until(&handle, "restarted", |handle| handle.observe("trades").is_some_and(|seen| seen.restarts == 1))
            .await;
        tap.record().await;
        let other = World::new().source("ticks", busy()).sink("history", "ticks", sink(&journal));
        handle.reload(other.next(&[], 1)).await.unwrap();
        assert!(tap.next("note").await.contains("is gone"));
        handle.reload(world(&journal).next(&[], 2)).await.unwrap();
        assert!(tap.next("note").await.contains("there again"));
        assert_eq!(tap.record().await["actor"], "trades");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_does_not_hold_up_the_actor() {
    let journal = Journal::default();
    perform(world(&journal).builder().settings(settings()).build().unwrap(), async |handle| {
        let address = up(&handle).await;
        let _silent = Tapped::open(address, "trades?rate=100").await;
        let trades = point(&handle, "trades");
        until(&handle, "attached", |_| trades.is_attached()).await;
        let written = |journal: &Journal| journal.lines().len();
        let before = written(&journal);
        until(&handle, "rows go on", |_| written(&journal) > before + 200).await;
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_tapped_is_refused_with_a_sentence() {
    let journal = Journal::default();
    perform(world(&journal).builder().settings(settings()).build().unwrap(), async |handle| {
        let address = up(&handle).await;
        let (status, text) = refusal(address, "nobody").await;
        assert!(status == 404 && text.contains("no actor named `nobody`"), "{text}");
        let (status, text) = refusal(address, "trades?where=value.password%3Dx").await;
        assert!(
            status == 400 && text.contains("cannot be asked for"),
            "a secret is not to be guessed: {text}"
        );
        let (status, text) = refusal(address, "trades?where=key%3DBTC").await;
        assert!(status == 400, "nor what the settings hide: {text}");
        assert_eq!(refusal(address, "trades?rate=0").await.0, 400);
        let mut open = Vec::new();
        for _ in 0..TAPS_MAX {
            let mut tap = Tapped::open(address, "trades?rate=100").await;
            tap.record().await;
            open.push(tap);
        }
        assert_eq!(refusal(address, "trades").await.0, 429);
        drop(open.pop());
        // The node learns that a reader is gone when it next writes to it.
        let mut opened = false;
        for _ in 0..200 {
            let mut status = [0; 12];
            ask(address, "trades?rate=100").await.read_exact(&mut status).await.unwrap();
            opened = status.ends_with(b"200");
            if opened {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(opened, "the place of one that left is free again");
        handle.stop().await;
    })
    .await;
}
