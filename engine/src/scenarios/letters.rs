//! Dead letters and drills over the admin endpoint, with an archive that answers, hangs, or breaks.

use super::admin::{request, running, status_of, with_admin};
use super::support::*;
use crate::archive::{Archive, Drill, LetterChoice, LetterGroup};
use crate::events::Events;
use crate::limits::ADMIN_BODY_BYTES_MAX;
use crate::{Class, Error};
use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Default)]
struct Scripted {
    asked: AtomicU32,
    hangs: bool,
}

impl Archive for Scripted {
    fn letters(&self) -> BoxFuture<'_, Result<Vec<LetterGroup>, Error>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let group = LetterGroup {
            actor: "trades".into(),
            reason: "not_json".into(),
            new: 2,
            failed_again: 0,
            replayed: 0,
            oldest_us: 1,
            newest_us: 2,
            sample: None,
        };
        let hangs = self.hangs;
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(vec![group])
        })
    }

    fn drills(&self) -> BoxFuture<'_, Result<Vec<Drill>, Error>> {
        Box::pin(async { Err(Error::new(Class::Transient, "the database is away")) })
    }

    fn command(&self, choice: &LetterChoice) -> Option<String> {
        Some(format!("replay {}", choice.actor))
    }

    fn replay(&self, choice: LetterChoice, events: Events) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(async move {
            events.enter(&"trades".into(), "replaying", "half");
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            assert_ne!(choice.actor, "cursed", "a bug in the archive");
            Ok("2 written".to_owned())
        })
    }
}

const TOKEN: &str = "Authorization: Bearer s3cret\r\n";

async fn replay(address: SocketAddr, headers: &str, body: &str) -> u16 {
    let head = format!(
        "POST /api/letters/replay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    status_of(address, head.as_bytes()).await
}

fn told(handle: &crate::Handle, what: &str) -> usize {
    handle.registry().events().after(0).iter().filter(|event| event.what == what).count()
}

#[tokio::test]
async fn replays_need_the_token_run_one_at_a_time_and_tell_how_they_end() {
    let world = World::new().source("ticks", idle());
    let builder = world.builder().settings(with_admin(Some("s3cret"))).archive(Arc::new(Scripted::default()));
    perform(builder.build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let body = r#"{"actor": "trades", "reason": "not_json"}"#;
        assert_eq!(replay(address, "", body).await, 401);
        for malformed in ["", "{", "[]", r#"{"actor": 3}"#, r#"{"actor": "a", "where": "1=1"}"#] {
            assert_eq!(replay(address, TOKEN, malformed).await, 400, "{malformed}");
        }
        assert_eq!(told(&handle, "replay"), 0);
        assert_eq!(replay(address, TOKEN, body).await, 202);
        assert_eq!(replay(address, TOKEN, body).await, 409, "one is under way");
        let (_, letters) = request(address, "GET /api/letters", "").await;
        assert!(
            letters.contains(r#""replaying":{"actor":"trades","reason":"not_json","again":false}"#),
            "{letters}"
        );
        assert!(letters.contains(r#""command":"replay trades""#), "{letters}");
        until(&handle, "replayed", |handle| told(handle, "replayed") == 1).await;
        assert_eq!(told(&handle, "replaying"), 1);
        // One that panics ends as a failure, and the next one runs.
        let again = async |body: &str| {
            while replay(address, TOKEN, body).await != 202 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        again(r#"{"actor": "cursed"}"#).await;
        until(&handle, "failed", |handle| told(handle, "replay_failed") == 1).await;
        again(body).await;
        until(&handle, "replayed again", |handle| told(handle, "replayed") == 2).await;
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_all_the_same() {
    let world = World::new().source("ticks", idle());
    let builder = world.builder().settings(with_admin(Some("s3cret"))).archive(Arc::new(Scripted::default()));
    perform(builder.build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let size = ADMIN_BODY_BYTES_MAX as usize + 1;
        let head = format!(
            "POST /api/letters/replay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{TOKEN}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
            " ".repeat(size)
        );
        assert_eq!(status_of(address, head.as_bytes()).await, 413);
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_read_once_for_all_and_one_that_does_not_come_is_said_to_be_away() {
    let archive = Arc::new(Scripted::default());
    let builder = World::new().source("ticks", idle()).builder().settings(with_admin(None));
    perform(builder.archive(archive.clone()).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let ask = || request(address, "GET /api/letters", "");
        let answers = futures::future::join_all((0..20).map(|_| ask())).await;
        assert!(answers.iter().all(|(status, body)| *status == 200 && body.contains("not_json")));
        assert_eq!(archive.asked.load(Ordering::Relaxed), 1);
        let (_, drills) = request(address, "GET /api/drills", "").await;
        assert_eq!(drills, r#"{"drills":[],"away":"the database is away"}"#);
        handle.stop().await;
    })
    .await;
    let builder = World::new().source("ticks", idle()).builder().settings(with_admin(None));
    let hanging = Arc::new(Scripted { hangs: true, ..Scripted::default() });
    perform(builder.archive(hanging).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let asking = request(address, "GET /api/letters", "");
        let probing = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            request(address, "GET /readyz", "").await
        };
        let ((_, letters), (ready, _)) = futures::join!(asking, probing);
        assert!(letters.contains("gave no answer within 3 s"), "{letters}");
        assert_eq!(ready, 200, "nobody else waits for it");
        handle.stop().await;
    })
    .await;
}

#[tokio::test]
async fn without_an_archive_letters_say_so_and_nothing_is_replayed() {
    let world = World::new().source("ticks", idle());
    perform(world.builder().settings(with_admin(Some("s3cret"))).build().unwrap(), async |handle| {
        let address = running(&handle).await;
        let (status, letters) = request(address, "GET /api/letters", "").await;
        assert!(status == 200 && letters.contains("nothing can be read there"), "{letters}");
        assert_eq!(replay(address, TOKEN, r#"{"actor": "trades"}"#).await, 409);
        handle.stop().await;
    })
    .await;
}
