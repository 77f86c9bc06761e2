//! `/api/tap/{actor}`: a stream (SSE) of a few of the rows that an actor hands on, or with `?input=true` is handed.
//!
//! `?rate=10` rows a second, `?where=field=value`, `?fields=a,b`, `?redact=c,d`. It shows rows, so beyond loopback it needs
//! the token. It goes by the actor's name: a reload or a restart does not end it, and an actor that is gone is waited for.

use super::bounds::too_many;
use super::{Desk, door};
use crate::application::Handle;
use crate::limits::{ADMIN_KEEP_ALIVE, TAP_LOOK, TAP_ROWS_PER_SECOND_MAX};
use crate::tap::{Reader, Redaction, Sample, Wanted, find};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

const RATE: u32 = 10;

/// What is asked of a tap.
#[derive(Deserialize)]
pub(super) struct Asked {
    rate: Option<u32>,
    #[serde(default)]
    input: bool,
    #[serde(rename = "where")]
    condition: Option<String>,
    fields: Option<String>,
    #[serde(default)]
    redact: String,
}

/// See the module's page.
pub(super) async fn tap(
    State(desk): State<Arc<Desk>>,
    Path(actor): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = door::payload(&desk, &headers) {
        return *refusal;
    }
    let redaction = desk.redaction.and(&asked.redact);
    let wanted = match wanted(&asked, &redaction) {
        Ok(wanted) => wanted,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let registry = desk.handle.registry();
    if registry.tap_points(&actor, asked.input).is_none() {
        return refused(StatusCode::NOT_FOUND, format!("no actor named `{actor}`"));
    }
    let Ok(place) = desk.taps.clone().try_acquire_owned() else {
        return too_many("as many taps are open as may be; end one of them\n");
    };
    let mut open = Open {
        handle: desk.handle.clone(),
        reader: registry.taps.reader(wanted),
        actor,
        input: asked.input,
        fields: asked.fields.map(|fields| fields.split(',').map(|field| field.trim().to_owned()).collect()),
        redaction,
        there: true,
        _place: place,
    };
    open.attach();
    Sse::new(events(open)).keep_alive(KeepAlive::new().interval(ADMIN_KEEP_ALIVE)).into_response()
}

fn refused(status: StatusCode, why: String) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

fn wanted(asked: &Asked, redaction: &Redaction) -> Result<Wanted, String> {
    let per_second = asked.rate.unwrap_or(RATE);
    if !(1..=TAP_ROWS_PER_SECOND_MAX).contains(&per_second) {
        return Err(format!("`rate` is 1 to {TAP_ROWS_PER_SECOND_MAX} rows a second"));
    }
    let condition = match &asked.condition {
        None => None,
        Some(text) => {
            let (field, value) =
                text.split_once('=').ok_or_else(|| format!("`{text}` is no condition; write field=value"))?;
            if field.split('.').any(|name| redaction.hides(name)) {
                return Err(format!("`{field}` is not shown here, so it cannot be asked for either"));
            }
            Some((field.trim().to_owned(), value.to_owned()))
        }
    };
    Ok(Wanted { per_second, condition })
}

/// One tap. Dropped with the connection, and the actor is not looked at any more.
struct Open {
    handle: Handle,
    reader: Reader,
    actor: String,
    input: bool,
    fields: Option<Vec<String>>,
    redaction: Redaction,
    /// Whether there was such an actor when last seen.
    there: bool,
    _place: OwnedSemaphorePermit,
}

impl Open {
    /// Looks at those who now go by that name; says what changed, if that matters.
    fn attach(&mut self) -> Option<sse::Event> {
        let points = self.handle.registry().tap_points(&self.actor, self.input);
        let (before, there) = (std::mem::replace(&mut self.there, points.is_some()), points.is_some());
        self.reader.follow(points.unwrap_or_default());
        match (before, there) {
            (true, false) => {
                Some(note(format!("actor `{}` is gone; this waits until there is one again", self.actor)))
            }
            (false, true) => Some(note(format!("actor `{}` is there again", self.actor))),
            _ => None,
        }
    }

    fn record(&self, mut shown: Value) -> Option<sse::Event> {
        let record = shown.get_mut("record")?;
        if !self.reader.wanted().takes(record) {
            return None;
        }
        if let Some(fields) = &self.fields {
            *record = only(record, fields);
        }
        Some(sse::Event::default().event("record").data(shown.to_string()))
    }

    fn records(&self, sample: &Sample) -> Vec<sse::Event> {
        sample.shown(&self.redaction).into_iter().filter_map(|shown| self.record(shown)).collect()
    }
}

/// Those fields alone, in the order in which they were asked for; one that is not there is null.
fn only(record: &Value, fields: &[String]) -> Value {
    let field = |name: &String| (name.clone(), find(record, name).cloned().unwrap_or_default());
    Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
}

fn note(text: String) -> sse::Event {
    // A line break would end the datum.
    sse::Event::default().event("note").data(text.replace(['\r', '\n'], " "))
}

fn events(open: Open) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let pages = stream::unfold(open, async |mut open| {
        loop {
            let mut events: Vec<sse::Event> = open.attach().into_iter().collect();
            let page = open.reader.page();
            events.extend(page.note.map(note));
            events.extend(page.samples.iter().flat_map(|sample| open.records(sample)));
            if page.missed > 0 {
                events.push(sse::Event::default().event("missed").data(page.missed.to_string()));
            }
            if !events.is_empty() {
                return Some((stream::iter(events), open));
            }
            let clock = open.handle.registry().clock.clone();
            tokio::select! {
                () = open.reader.news() => {}
                () = clock.sleep(TAP_LOOK) => {}
            }
        }
    });
    pages.flatten().map(Ok)
}
