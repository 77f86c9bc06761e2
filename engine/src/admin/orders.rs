//! Orders: restart, stop and start an actor; drain the node.

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
        return refusal.into_response();
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
        return refusal.into_response();
    }
    desk.handle.drain().await;
    (StatusCode::ACCEPTED, Json(json!({ "order": "drain" }))).into_response()
}

fn status(error: &OrderError) -> StatusCode {
    match error {
        OrderError::Unknown(_) => StatusCode::NOT_FOUND,
        OrderError::Finished(_) => StatusCode::CONFLICT,
        OrderError::Ended => StatusCode::SERVICE_UNAVAILABLE,
    }
}
