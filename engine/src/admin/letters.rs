//! `/api/letters` and `/api/drills`: what the stores remember, read for who asks and kept for a moment for the others;
//! `POST /api/letters/replay`: one replay at a time, which tells of itself as events.
//!
//! Deliberately absent: the registry's promise. These answers wait for a database, though not for long, and say so when it
//! is away.

use super::{Desk, door};
use crate::archive::{Archive, LetterChoice};
use crate::class::Error;
use crate::clock::{Clock, Instant};
use crate::limits::{ADMIN_ARCHIVE_FRESH, ADMIN_ARCHIVE_WAIT_MAX};
use crate::task::{self, Task};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use tokio::sync::{Mutex, mpsc};

/// The archive's answers and the replay that is on.
pub(super) struct Desks {
    archive: Option<Arc<dyn Archive>>,
    clock: Clock,
    letters: Mutex<Option<(Instant, Value)>>,
    drills: Mutex<Option<(Instant, Value)>>,
    replaying: Arc<SyncMutex<Option<LetterChoice>>>,
    wanted: mpsc::Sender<LetterChoice>,
}

impl Desks {
    /// Also gives who asks for replays to whoever carries them out.
    pub(super) fn new(
        archive: Option<Arc<dyn Archive>>,
        clock: Clock,
    ) -> (Self, mpsc::Receiver<LetterChoice>) {
        let (wanted, wants) = mpsc::channel(1);
        let (letters, drills, replaying) = Default::default();
        (Self { archive, clock, letters, drills, replaying, wanted }, wants)
    }

    fn replaying(&self) -> Option<LetterChoice> {
        self.replaying.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer under `name`, asked of the archive by one for all.
    async fn answer<T: Serialize, F: Future<Output = Result<Vec<T>, Error>>>(
        &self,
        name: &str,
        kept: &Mutex<Option<(Instant, Value)>>,
        asking: impl FnOnce() -> F,
    ) -> Value {
        let mut kept = kept.lock().await;
        if let Some((at, answer)) = &*kept
            && self.clock.now().saturating_duration_since(*at) < ADMIN_ARCHIVE_FRESH
        {
            return answer.clone();
        }
        let answer = match self.clock.timeout(ADMIN_ARCHIVE_WAIT_MAX, asking()).await {
            Ok(Ok(rows)) => json!({ name: rows, "away": null }),
            Ok(Err(error)) => json!({ name: [], "away": error.message }),
            Err(_) => {
                let seconds = ADMIN_ARCHIVE_WAIT_MAX.as_secs();
                json!({ name: [], "away": format!("the database gave no answer within {seconds} s") })
            }
        };
        *kept = Some((self.clock.now(), answer.clone()));
        answer
    }
}

const NO_ARCHIVE: &str =
    "this node keeps its stores in memory, or its topology has no database: nothing can be read there";

/// `/api/letters`.
pub(super) async fn letters(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = door::payload(&desk, &headers) {
        return *refusal;
    }
    let desks = &desk.archive;
    let mut answer = match &desks.archive {
        Some(archive) => desks.answer("groups", &desks.letters, || archive.letters()).await,
        None => json!({ "groups": [], "away": NO_ARCHIVE }),
    };
    if let (Some(archive), Some(groups)) = (&desks.archive, answer["groups"].as_array_mut()) {
        for group in groups {
            let text = |key: &str| group[key].as_str().unwrap_or_default().to_owned();
            let again = group["new"] == 0;
            let choice = LetterChoice { actor: text("actor"), reason: Some(text("reason")), again };
            group["command"] = archive.command(&choice).into();
        }
    }
    answer["replaying"] = json!(desks.replaying());
    Json(answer).into_response()
}

/// `/api/drills`.
pub(super) async fn drills(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = door::payload(&desk, &headers) {
        return *refusal;
    }
    let desks = &desk.archive;
    let answer = match &desks.archive {
        Some(archive) => desks.answer("drills", &desks.drills, || archive.drills()).await,
        None => json!({ "drills": [], "away": NO_ARCHIVE }),
    };
    Json(answer).into_response()
}

/// `POST /api/letters/replay`, with a [`LetterChoice`] as its body.
pub(super) async fn replay(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = door::order(&desk, &headers) {
        return *refusal;
    }
    let refuse =
        |status: StatusCode, error: String| (status, Json(json!({ "error": error }))).into_response();
    let choice: LetterChoice = match serde_json::from_slice(&body) {
        Ok(choice) => choice,
        Err(error) => {
            let form = r#"{"actor": "trades", "reason": "not_json", "again": false}"#;
            return refuse(StatusCode::BAD_REQUEST, format!("{error}; send a body such as {form}"));
        }
    };
    let desks = &desk.archive;
    let Some(archive) = &desks.archive else { return refuse(StatusCode::CONFLICT, NO_ARCHIVE.to_owned()) };
    if archive.command(&choice).is_none() {
        let error = "this node's topology does not come from a file, so its letters are replayed elsewhere";
        return refuse(StatusCode::CONFLICT, error.to_owned());
    }
    let mut replaying = desks.replaying.lock().unwrap_or_else(PoisonError::into_inner);
    if replaying.is_some() || desks.wanted.try_send(choice.clone()).is_err() {
        let error = "a replay is under way; its events tell how far it has come";
        return refuse(StatusCode::CONFLICT, error.to_owned());
    }
    *replaying = Some(choice.clone());
    (StatusCode::ACCEPTED, Json(json!({ "replaying": choice }))).into_response()
}

/// Carries out what is asked for, one after the other. What a replay dies of ends that replay.
pub(super) fn replays(desk: Arc<Desk>, mut wants: mpsc::Receiver<LetterChoice>) -> Task {
    task::spawn("replays", async move {
        let desks = &desk.archive;
        let Some(archive) = &desks.archive else { return };
        let events = desk.handle.registry().events();
        while let Some(choice) = wants.recv().await {
            let subject: Arc<str> = choice.actor.as_str().into();
            let which = choice.reason.as_deref().map_or_else(String::new, |reason| format!(" for {reason}"));
            events.enter(&subject, "replay", format!("its letters{which} go through the topology again"));
            let run = AssertUnwindSafe(archive.replay(choice, events.clone())).catch_unwind().await;
            match run {
                Ok(Ok(words)) => events.enter(&subject, "replayed", words),
                Ok(Err(error)) => events.enter(&subject, "replay_failed", error.message),
                Err(_) => events.enter(&subject, "replay_failed", "it panicked; the log has the place"),
            }
            *desks.letters.lock().await = None;
            *desks.replaying.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    })
}
