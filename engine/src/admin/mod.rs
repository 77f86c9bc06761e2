//! The admin endpoint: probes, metrics, JSON, a page for people, and orders for those who hold the token.
//!
//! It is served on the main thread from the registry alone, so it answers while actors are busy or stuck. Deliberately
//! absent: TLS and accounts; beyond loopback, put a proxy in front.

mod api;
mod bounds;
mod door;
mod listener;
mod orders;
mod page;
mod stream;
mod tap;

use crate::application::Handle;
use crate::class::{Class, Error};
use crate::limits::{ADMIN_STREAMS_MAX, TAPS_MAX};
use crate::tap::Redaction;
use crate::task::{self, Task};
use crate::telemetry::event_ids;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use listener::BoundedListener;
use secrecy::SecretString;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Where it listens and who may give orders.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Port 0 = any.
    pub listen: SocketAddr,
    /// Orders need it; without it they are refused.
    pub token: Option<SecretString>,
    /// The node's settings as `/api/settings` shows them, without secrets; opaque here.
    pub settings: serde_json::Value,
    /// Whose values taps never show.
    pub redaction: Redaction,
}

/// What every request sees.
struct Desk {
    handle: Handle,
    token: Option<SecretString>,
    settings: serde_json::Value,
    allowances: bounds::Allowances,
    /// Places for streams of events.
    streams: Arc<Semaphore>,
    /// Places for taps.
    taps: Arc<Semaphore>,
    redaction: Redaction,
    /// Only this machine can reach it.
    loopback: bool,
}

/// Binds and serves; the task ends with its owner.
pub(crate) async fn serve(settings: AdminSettings, handle: Handle) -> Result<(SocketAddr, Task), Error> {
    let listen = settings.listen;
    let refused = |error: std::io::Error| {
        Error::new(Class::Config, format!("cannot listen on {listen}: {error}; choose another admin address"))
    };
    let listener = BoundedListener::bind(listen).await.map_err(refused)?;
    let address = listener.address().map_err(refused)?;
    let AdminSettings { token, settings, redaction, .. } = settings;
    let allowances = bounds::Allowances::new(handle.registry().clock.clone());
    let streams = Arc::new(Semaphore::new(ADMIN_STREAMS_MAX));
    let taps = Arc::new(Semaphore::new(TAPS_MAX));
    let loopback = address.ip().is_loopback();
    let desk = Desk { handle, token, settings, allowances, streams, taps, redaction, loopback };
    let server = axum::serve(listener, router(Arc::new(desk)));
    let task = task::spawn("admin", async move {
        if let Err(error) = server.into_future().await {
            tracing::error!(event = event_ids::ADMIN_ENDED, %error, "the admin endpoint ended");
        }
    });
    Ok((address, task))
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/metrics", get(api::metrics))
        .route("/livez", get(api::livez))
        .route("/readyz", get(api::readyz))
        .route("/api/topology", get(api::topology))
        .route("/api/settings", get(api::settings))
        .route("/api/actors", get(api::actors))
        .route("/api/ledger", get(api::ledger))
        .route("/api/events", get(stream::events))
        .route("/api/tap/{actor}", get(tap::tap))
        .route("/api/actors/{name}/{order}", post(orders::actor))
        .route("/api/drain", post(orders::drain))
        .route("/api/reload", post(orders::reload))
        .layer(from_fn_with_state(desk.clone(), door::admit))
        .layer(from_fn_with_state(desk.clone(), bounds::bound))
        .with_state(desk)
}
