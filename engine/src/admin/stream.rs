//! `/api/events`: a stream (SSE) that resumes after `Last-Event-ID`, or one page of JSON with `?after=ID`.
//!
//! The reason of an exit may quote a value, so beyond loopback this needs the token.

use super::bounds::too_many;
use super::{Desk, door};
use crate::events::{Event, Events};
use crate::limits::ADMIN_KEEP_ALIVE;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// See the module's page.
pub(super) async fn events(
    State(desk): State<Arc<Desk>>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = door::payload(&desk, &headers) {
        return *refusal;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let events = desk.handle.registry().events().clone();
    if !text(header::ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/event-stream")) {
        return Json(events.after(after)).into_response();
    }
    let Ok(place) = desk.streams.clone().try_acquire_owned() else {
        return too_many("as many streams of events are open as may be; ask for pages with ?after=ID\n");
    };
    let after = text("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(after);
    let keep_alive = KeepAlive::new().interval(ADMIN_KEEP_ALIVE);
    Sse::new(lines(events, after, place)).keep_alive(keep_alive).into_response()
}

/// Every event after `id`, then each new one, as long as it has its `place`; a reader slower than the ring misses what
/// has left it.
fn lines(
    events: Events,
    id: u64,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let newest = events.newest();
    let pages = stream::unfold((events, newest, id, place), async |(events, mut newest, id, place)| {
        loop {
            newest.mark_unchanged();
            let page = events.after(id);
            if let Some(last) = page.last() {
                let last = last.id;
                return Some((stream::iter(page), (events, newest, last, place)));
            }
            newest.changed().await.ok()?;
        }
    });
    pages.flatten().map(|event| Ok(line(&event)))
}

fn line(event: &Event) -> sse::Event {
    let data = serde_json::to_string(event).expect("invariant: an event is plain data");
    sse::Event::default().id(event.id.to_string()).event(event.what).data(data)
}
