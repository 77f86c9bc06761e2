//! The admin endpoint: probes, metrics, JSON, a page for people, and orders for those who hold the token.
//!
//! It is served on the main thread from the registry alone, so it answers while actors are busy or stuck. Deliberately
//! absent: TLS and accounts; beyond loopback, put a proxy in front.

mod api;
mod bounds;
mod door;
mod letters;
mod listener;
mod live;
mod orders;
mod page;
mod snapshot;
mod stream;
mod tap;

use crate::application::Handle;
use crate::archive::Archive;
use crate::class::{Class, Error};
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_STREAMS_MAX, TAPS_MAX};
use crate::tap::Redaction;
use crate::task::{self, Task};
use crate::telemetry::event_ids;
use axum::Router;
use axum::extract::DefaultBodyLimit;
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
    /// Places for connections.
    places: Arc<Semaphore>,
    live: live::Live,
    archive: letters::Desks,
    /// Places for taps.
    taps: Arc<Semaphore>,
    redaction: Redaction,
    /// Only this machine can reach it.
    loopback: bool,
}

/// Binds and serves; the task ends with its owner.
pub(crate) async fn serve(
    settings: AdminSettings,
    handle: Handle,
    archive: Option<Arc<dyn Archive>>,
) -> Result<(SocketAddr, Task), Error> {
    let listen = settings.listen;
    let refused = |error: std::io::Error| {
        Error::new(Class::Config, format!("cannot listen on {listen}: {error}; choose another admin address"))
    };
    let listener = BoundedListener::bind(listen).await.map_err(refused)?;
    let address = listener.address().map_err(refused)?;
    let AdminSettings { token, settings, redaction, .. } = settings;
    let allowances = bounds::Allowances::new(handle.registry().clock.clone());
    let streams = Arc::new(Semaphore::new(ADMIN_STREAMS_MAX));
    let (archive, wants) = letters::Desks::new(archive, handle.registry().clock.clone());
    let (places, loopback) = (listener.places(), address.ip().is_loopback());
    let live = live::Live::new();
    let taps = Arc::new(Semaphore::new(TAPS_MAX));
    let desk = Arc::new(Desk {
        handle,
        token,
        settings,
        allowances,
        streams,
        places,
        live,
        archive,
        taps,
        redaction,
        loopback,
    });
    let beside = [desk.live.make(desk.clone()), letters::replays(desk.clone(), wants)];
    let server = axum::serve(listener, router(desk));
    let task = task::spawn("admin", async move {
        let _beside = beside;
        if let Err(error) = server.into_future().await {
            tracing::error!(event = event_ids::ADMIN_ENDED, %error, "the admin endpoint ended");
        }
    });
    Ok((address, task))
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/page.svg", get(page::icon))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/metrics", get(api::metrics))
        .route("/livez", get(api::livez))
        .route("/readyz", get(api::readyz))
        .route("/api/topology", get(api::topology))
        .route("/api/settings", get(api::settings))
        .route("/api/actors", get(api::actors))
        .route("/api/ledger", get(api::ledger))
        .route("/api/secrets", get(api::secrets))
        .route("/api/quality", get(api::quality))
        .route("/api/events", get(stream::events))
        .route("/api/live", get(live::live))
        .route("/api/history", get(api::history))
        .route("/api/plan", get(orders::plan))
        .route("/api/letters", get(letters::letters))
        .route("/api/letters/replay", post(letters::replay))
        .route("/api/drills", get(letters::drills))
        .route("/api/tap/{actor}", get(tap::tap))
        .route("/api/actors/{name}/{order}", post(orders::actor))
        .route("/api/drain", post(orders::drain))
        .route("/api/reload", post(orders::reload))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX as usize))
        .layer(from_fn_with_state(desk.clone(), door::admit))
        .layer(from_fn_with_state(desk.clone(), bounds::bound))
        .with_state(desk)
}
