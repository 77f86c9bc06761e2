//! Who may come to the servers of a staging, and what they may do there.
//!
//! Each time it is brought up, whoever the files name is let in with the password they hold: what was rotated stays, and a
//! server that has lost its users gets them again.

use super::NAME;
use super::place::Place;
use crate::stores;
use anyhow::{Context, Result};
use aqueduct_actors::rotation::Admin;
use aqueduct_engine::Clock;
use aqueduct_stack::{Part, Stack};
use aqueduct_topology::model::{KafkaConnection, Kind, RedisConnection, TimescaleConnection, Tls, Topology};
use aqueduct_topology::{Span, Spanned};
use std::fs;

/// The database as the owner of its tables.
pub(super) fn owner(stack: &Stack) -> Result<TimescaleConnection> {
    let url = stack.address(Part::Timescale).context("a staging has a database")?;
    let url = Spanned::new(format!("{url}?sslmode=verify-full").into(), Span::default());
    let tls = Some(believing(stack));
    Ok(TimescaleConnection { url, user_file: None, password_file: None, pool: 1, tls })
}

/// Kafka and Redis, which need no tables to be there.
pub(super) fn admit(stack: &Stack, place: &Place) -> Result<()> {
    let (certificate, key) = stack.certificates().client();
    let tls = Tls { cert_file: Some(certificate), key_file: Some(key), ..believing(stack) };
    let bootstrap = Spanned::new(stack.kafka_bootstrap(), Span::default());
    let_in(place, Part::Kafka, &Admin::Kafka(KafkaConnection { bootstrap, tls: Some(tls), sasl: None }))?;
    // Both: who comes next must be allowed already.
    for turn in ["a", "b"] {
        stack.let_stream_at_kafka(&format!("{NAME}_{turn}"))?;
    }
    // A replica is told of no users; once promoted it is to know them.
    for part in [Part::Redis, Part::Replica] {
        let url = stack.address(part).context("a staging has Redis twice")?;
        let url = Spanned::new(url.into(), Span::default());
        let tls = Some(believing(stack));
        let connection = RedisConnection { url, user_file: None, password_file: None, pool: 1, tls };
        let_in(place, Part::Redis, &Admin::Redis(connection))?;
    }
    Ok(())
}

/// The database, whose roles come with the tables.
pub(super) fn admit_to_tables(stack: &Stack, place: &Place, topology: &Topology) -> Result<()> {
    let admin = Admin::Timescale(owner(stack)?);
    let_in(place, Part::Timescale, &admin)?;
    if topology.actors.iter().any(|actor| matches!(actor.kind, Kind::Schedule(_))) {
        let user = place.user(Part::Timescale)?;
        stores::block_on(async { stores::answered(admin.let_retain(&user, Clock::system()).await) })?;
    }
    Ok(())
}

fn let_in(place: &Place, part: Part, admin: &Admin) -> Result<()> {
    let file = place.password_file(part);
    let password = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let (user, password) = (place.user(part)?, password.trim().to_owned().into());
    stores::block_on(async { stores::answered(admin.admit(&user, &password, Clock::system()).await) })
        .with_context(|| format!("let `{user}` come to {part}"))
}

fn believing(stack: &Stack) -> Tls {
    Tls { ca_file: Some(stack.certificates().authority()), cert_file: None, key_file: None }
}
