//! The registry of schemas: whether it answers, and lets us in.

use super::{ANSWER_MAX, Inquiry, Server};
use crate::registry::Registry;
use aqueduct_topology::model::Kind;

const SERVER: Server =
    Server { name: "registry", key: "connections.registry.url", variable: "SCHEMA_REGISTRY_URL", also: "" };

/// Asks the registry of the topology, if it has one.
pub(super) async fn ask(inquiry: &Inquiry<'_>) {
    let Some(connection) = &inquiry.topology.connections.registry else { return };
    let needs =
        |kind: &Kind| matches!(kind, Kind::Normalizer(normalizer) if normalizer.coding.needs_registry());
    let place = inquiry.place(connection.url.span, needs);
    let asking = async {
        Registry::new(connection, &inquiry.topology.name.value, inquiry.clock.clone())?.greet().await
    };
    inquiry.within(SERVER, place, ANSWER_MAX, asking).await;
}
