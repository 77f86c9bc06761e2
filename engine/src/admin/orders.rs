//! Orders: restart, stop and start an actor; drain or reload the node.

use super::{Desk, door};
use crate::application::OrderError;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// `POST /api/actors/{name}/restart|stop|start`.
pub(super) async fn actor(
    State(desk): State<Arc<Desk>>,
    Path((name, order)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = door::order(&desk, &headers) {
        return *refusal;
    }
    let taken = match order.as_str() {
        "restart" => desk.handle.restart_actor(&name).await,
        "stop" => desk.handle.stop_actor(&name).await,
        "start" => desk.handle.start_actor(&name).await,
        _ => return (StatusCode::NOT_FOUND, "an actor takes restart, stop or start\n").into_response(),
    };
    match taken {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({ "actor": name, "order": order }))).into_response(),
        Err(error) => (status(&error), Json(json!({ "error": error.to_string() }))).into_response(),
    }
}

/// `POST /api/drain`.
pub(super) async fn drain(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = door::order(&desk, &headers) {
        return *refusal;
    }
    desk.handle.drain().await;
    (StatusCode::ACCEPTED, Json(json!({ "order": "drain" }))).into_response()
}

/// `POST /api/reload`: the node reads its topology again and applies what changed. Answers when that is done or undone.
pub(super) async fn reload(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = door::order(&desk, &headers) {
        return *refusal;
    }
    match desk.handle.request_reload().await {
        Some(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(answer.body)).into_response()
        }
        None => (StatusCode::CONFLICT, Json(json!({ "applied": false, "error": NO_FILE }))).into_response(),
    }
}

/// `GET /api/plan`: what a reload would do, by the file as it is now. It shows what the file says, so beyond loopback it
/// needs the token.
pub(super) async fn plan(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = door::payload(&desk, &headers) {
        return *refusal;
    }
    let none = || json!({ "plan": null, "error": NO_FILE });
    Json(desk.handle.request_plan().await.map_or_else(none, |answer| answer.body)).into_response()
}

const NO_FILE: &str = "this node's topology does not come from a file that could be read again";

fn status(error: &OrderError) -> StatusCode {
    match error {
        OrderError::Unknown(_) => StatusCode::NOT_FOUND,
        OrderError::Finished(_) => StatusCode::CONFLICT,
        OrderError::Ended => StatusCode::SERVICE_UNAVAILABLE,
    }
}
