//! What may be read: probes, metrics, and the registry as JSON. Counts and states, no payloads.

use super::{Desk, door};
use crate::registry::{Phase, PhaseView, Registry};
use crate::secrets::RefusedView;
use crate::telemetry;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `/metrics`.
pub(super) async fn metrics(State(desk): State<Arc<Desk>>) -> Response {
    let text = telemetry::render(desk.handle.registry());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// `/livez`: 200 as long as the root supervisor is at work. An outage is no reason to be killed.
pub(super) async fn livez(State(desk): State<Arc<Desk>>) -> Response {
    if desk.handle.registry().is_alive() {
        return (StatusCode::OK, Json(json!({ "alive": true }))).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "alive": false }))).into_response()
}

/// `/readyz`: 200 when every actor does its work, else who does not, why and since when. A draining node is not ready.
pub(super) async fn readyz(State(desk): State<Arc<Desk>>) -> Response {
    let registry = desk.handle.registry();
    let (PhaseView { phase, since_us, reason }, not_ready) = (registry.phase_view(), registry.not_ready());
    // As `Registry::is_ready` says, of the very answers that are shown.
    let ready = phase == Phase::Running && not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let answer = json!({
        "ready": ready,
        "phase": phase,
        "phase_reason": reason,
        "phase_since_us": since_us,
        "not_ready": not_ready,
        "secrets_refused": secrets_refused(registry),
    });
    (status, Json(answer)).into_response()
}

/// Secrets that are not taken. They make nobody unready: the ones before go on being used.
fn secrets_refused(registry: &Registry) -> Vec<Value> {
    let views = registry.secrets().views().into_iter();
    views
        .filter_map(|view| {
            let RefusedView { since_us, reason, .. } = view.refused?;
            let (connection, secret) = (view.connection, view.secret);
            Some(
                json!({ "connection": connection, "secret": secret, "reason": reason, "since_us": since_us }),
            )
        })
        .collect()
}

/// What is asked of `/api/topology`.
#[derive(Deserialize)]
pub(super) struct Asked {
    form: Option<String>,
}

/// `/api/topology`: the tree and the edges. With `?form=canonical` also the topology as `plan` compares it: only on
/// request, because it is long and the page asks every second; with the token beyond loopback, because it names servers.
pub(super) async fn topology(
    State(desk): State<Arc<Desk>>,
    Query(Asked { form }): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let canonical = form.as_deref() == Some("canonical");
    if canonical && let Err(refusal) = door::payload(&desk, &headers) {
        return *refusal;
    }
    let registry = desk.handle.registry();
    let actors = registry.actors();
    let edges: Vec<_> = actors
        .iter()
        .flat_map(|actor| actor.inputs.iter().map(|link| json!({ "from": link.from, "to": actor.name })))
        .collect();
    let brief: Vec<_> = actors
        .iter()
        .map(|actor| json!({ "name": actor.name, "id": actor.id, "kind": actor.kind, "role": actor.role }))
        .collect();
    let mut answer = json!({
        "topology": registry.topology(),
        "node": registry.node(),
        "version": env!("CARGO_PKG_VERSION"),
        "phase": registry.phase(),
        "started_us": registry.started_us(),
        "generation": registry.generation(),
        "supervisors": registry.supervisors(),
        "actors": brief,
        "edges": edges,
    });
    if canonical {
        answer["canonical"] = registry.canonical();
    }
    Json(answer).into_response()
}

/// `/api/settings`: what the node was started with, and who said it. It names files, so beyond loopback it needs the
/// token.
pub(super) async fn settings(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match door::payload(&desk, &headers) {
        Ok(()) => Json(&desk.settings).into_response(),
        Err(refusal) => *refusal,
    }
}

/// `/api/secrets`: which generation of each secret is in use. It says of a guess whether it is right, so beyond loopback it
/// needs the token.
pub(super) async fn secrets(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match door::payload(&desk, &headers) {
        Ok(()) => Json(desk.handle.registry().secrets().views()).into_response(),
        Err(refusal) => *refusal,
    }
}

/// `/api/actors`.
pub(super) async fn actors(State(desk): State<Arc<Desk>>) -> Response {
    Json(desk.handle.registry().actors()).into_response()
}

/// `/api/ledger`.
pub(super) async fn ledger(State(desk): State<Arc<Desk>>) -> Response {
    Json(desk.handle.registry().ledger().rows()).into_response()
}

/// `/api/history`: the last hour, one value every few seconds.
pub(super) async fn history(State(desk): State<Arc<Desk>>) -> Response {
    let json = (header::CONTENT_TYPE, "application/json");
    ([json], desk.handle.registry().history().json()).into_response()
}

/// `/api/quality`: what the gates say of their worst keys. Which keys they are, and the rows that broke a rule, is payload:
/// beyond loopback it is left out without the token.
pub(super) async fn quality(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let gates = desk.handle.registry().gates().into_iter().map(|(_, view)| view);
    // Whoever does not claim a right to payload is told the rest; whoever claims it wrongly is told so.
    let gates: Vec<_> = if desk.loopback {
        gates.map(|view| (*view).clone()).collect()
    } else if headers.contains_key(header::AUTHORIZATION) {
        if let Err(refusal) = door::payload(&desk, &headers) {
            return *refusal;
        }
        gates.map(|view| (*view).clone()).collect()
    } else {
        gates.map(|view| view.without_payload()).collect()
    };
    Json(json!({ "gates": gates })).into_response()
}
