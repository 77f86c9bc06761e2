//! `/api/live`: what the page shows, a stream (SSE) of one snapshot a second, and the events as they come.
//!
//! A snapshot is made once for all who look, and only while somebody does; each reader's connection is given the same
//! bytes. A reader slower than that skips snapshots and queues none. Events resume after `Last-Event-ID`; its ids tell the
//! lives of a node apart, so who comes back after a restart gets them from the beginning. As the reason of an exit may
//! quote a value, they come with the token only, beyond loopback.

use super::bounds::too_many;
use super::{Desk, door, snapshot};
use crate::clock::{Clock, Instant};
use crate::events::{Event, Events};
use crate::limits::ADMIN_LIVE_EVERY;
use crate::task::{self, Task};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, Stream};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

/// What all readers are given at one moment.
#[derive(Clone, Debug)]
struct Frame {
    made: Instant,
    /// The snapshot, as it goes over the wire.
    snapshot: Bytes,
    /// The events since the frame before: after this id ..
    after: u64,
    /// .. up to this one ..
    newest: u64,
    /// .. as they go over the wire.
    events: Bytes,
}

/// Where readers get their frames.
#[derive(Clone, Debug)]
pub(super) struct Live {
    frames: watch::Sender<Option<Frame>>,
    wanted: Arc<Notify>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { frames: watch::Sender::new(None), wanted: Arc::new(Notify::new()) }
    }

    /// Follows it from the newest frame on, if that is worth showing still.
    fn follow(&self, clock: &Clock) -> watch::Receiver<Option<Frame>> {
        let mut frames = self.frames.subscribe();
        let fresh = |frame: &Frame| clock.now().saturating_duration_since(frame.made) < ADMIN_LIVE_EVERY * 2;
        if frames.borrow_and_update().as_ref().is_some_and(fresh) {
            frames.mark_changed();
        }
        self.wanted.notify_one();
        frames
    }

    /// Makes frames for as long as somebody follows.
    pub(super) fn make(&self, desk: Arc<Desk>) -> Task {
        let live = self.clone();
        task::spawn("live", async move {
            let registry = desk.handle.registry();
            let clock = registry.clock.clone();
            let mut before = snapshot::Before::default();
            let mut after = 0;
            loop {
                while live.frames.receiver_count() == 0 {
                    before = snapshot::Before::default();
                    live.wanted.notified().await;
                }
                let events = registry.events().after(after);
                let newest = events.last().map_or(after, |event| event.id);
                let json = snapshot::make(&desk, &mut before);
                let frame = Frame {
                    made: clock.now(),
                    snapshot: part(None, "snapshot", &json),
                    after,
                    newest,
                    events: lines(registry.started_us(), &events),
                };
                live.frames.send_replace(Some(frame));
                after = newest;
                clock.sleep(ADMIN_LIVE_EVERY).await;
            }
        })
    }
}

/// See the module's page.
pub(super) async fn live(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let Ok(place) = desk.streams.clone().try_acquire_owned() else {
        return too_many("as many people look at this node as may; close a page, or ask for /readyz\n");
    };
    let registry = desk.handle.registry();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let reader = Reader {
        frames: desk.live.follow(&registry.clock),
        events: registry.events().clone(),
        life: registry.started_us(),
        seen: seen(last, registry.started_us()),
        may_see: door::payload(&desk, &headers).is_ok(),
        _place: place,
    };
    let kind = (header::CONTENT_TYPE, "text/event-stream");
    ([kind], Body::from_stream(reader.parts())).into_response()
}

/// Up to where a reader has the events of this life.
fn seen(last: Option<&str>, life: i64) -> u64 {
    let of_this = last.and_then(|id| id.split_once('-')).filter(|(begun, _)| begun.parse() == Ok(life));
    of_this.and_then(|(_, id)| id.parse().ok()).unwrap_or(0)
}

struct Reader {
    frames: watch::Receiver<Option<Frame>>,
    events: Events,
    life: i64,
    seen: u64,
    may_see: bool,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn parts(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut reader| {
            loop {
                reader.frames.changed().await.ok()?;
                let frame = reader.frames.borrow_and_update().clone();
                if let Some(frame) = frame {
                    let part = reader.part(frame);
                    return Some((Ok(part), reader));
                }
            }
        })
    }

    /// The events that this reader has not seen, then the snapshot.
    fn part(&mut self, frame: Frame) -> Bytes {
        if !self.may_see || self.seen >= frame.newest {
            return frame.snapshot;
        }
        let events = if self.seen == frame.after {
            frame.events
        } else {
            let missed = self.events.after(self.seen);
            let until = missed.partition_point(|event| event.id <= frame.newest);
            lines(self.life, &missed[..until])
        };
        self.seen = frame.newest;
        [events, frame.snapshot].concat().into()
    }
}

fn lines(life: i64, events: &[Event]) -> Bytes {
    let parts = events.iter().map(|event| part(Some(format!("{life}-{}", event.id)), "event", event));
    parts.collect::<Vec<_>>().concat().into()
}

/// One part of the stream. JSON holds no line break.
fn part(id: Option<String>, name: &str, data: &impl Serialize) -> Bytes {
    let mut text = BytesMut::new();
    if let Some(id) = id {
        text.put(format!("id: {id}\n").as_bytes());
    }
    text.put(format!("event: {name}\ndata: ").as_bytes());
    let mut text = text.writer();
    serde_json::to_writer(&mut text, data).expect("invariant: what is shown is plain data");
    let mut text = text.into_inner();
    text.put(&b"\n\n"[..]);
    text.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_life_has_seen_nothing_of_this_one() {
        assert_eq!(seen(Some("17-40"), 17), 40);
        for other in [Some("16-40"), Some("40"), Some("17-"), Some("-"), Some("17-x"), None] {
            assert_eq!(seen(other, 17), 0, "{other:?}");
        }
    }

    #[test]
    fn a_part_is_one_line_whatever_it_quotes() {
        let part = part(Some("1-2".into()), "event", &"a\nb\r\n\ndata: c");
        assert_eq!(&part[..], &b"id: 1-2\nevent: event\ndata: \"a\\nb\\r\\n\\ndata: c\"\n\n"[..]);
    }

    fn reader(live: &Live, events: &Events, seen: u64, may_see: bool) -> Reader {
        let semaphore = Arc::new(tokio::sync::Semaphore::new(1));
        Reader {
            frames: live.frames.subscribe(),
            events: events.clone(),
            life: 1,
            seen,
            may_see,
            _place: semaphore.try_acquire_owned().unwrap(),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_skips_snapshots_and_misses_no_event() {
        use futures::StreamExt;
        let (live, events) = (Live::new(), Events::new(Clock::system()));
        let subject = "ticks".into();
        let mut parts = std::pin::pin!(reader(&live, &events, 0, true).parts());
        let mut blind = std::pin::pin!(reader(&live, &events, 0, false).parts());
        for number in 1..=3u64 {
            events.enter(&subject, "started", number.to_string());
            let (after, newest) = (number - 1, number);
            let made = Clock::system().now();
            let snapshot = part(None, "snapshot", &number);
            let events = lines(1, &events.after(after));
            live.frames.send_replace(Some(Frame { made, snapshot, after, newest, events }));
        }
        let text =
            |part: Option<Result<Bytes, Infallible>>| String::from_utf8(part.unwrap().unwrap().to_vec());
        let seen = text(parts.next().await).unwrap();
        let ids: Vec<&str> = seen.lines().filter(|line| line.starts_with("id: ")).collect();
        assert_eq!(ids, ["id: 1-1", "id: 1-2", "id: 1-3"]);
        assert!(seen.ends_with("event: snapshot\ndata: 3\n\n"), "{seen}");
        assert_eq!(text(blind.next().await).unwrap(), "event: snapshot\ndata: 3\n\n");
        assert!(futures::poll!(parts.next()).is_pending(), "the others are gone");
    }
}
