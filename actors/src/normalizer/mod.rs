//! Makes typed rows of messages.
//!
//! [`Decoder`] is the whole of it, and pure; the actor only moves batches. Every batch that comes in goes out as one
//! batch of the same range, also without rows: offsets must advance. Rejects are durable before it goes, and stored only
//! once it can go: stopped in between, it might be judged by other rules the next time.

mod case;
mod coding;
mod column;
mod computed;
mod decoder;
mod event_time;
mod field;
mod judge;
mod message;
mod names;
mod output;
pub mod reject;
mod schemas;
mod short;
#[cfg(test)]
mod tests;
mod texts;
mod wanted;

pub use decoder::{Decoded, Decoder, ROWS_MAX, ROWS_TEXT_BYTES_MAX};

use crate::Services;
use crate::registry::{self, Registry};
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Actor, Batch, Class, Context, Error, Factory, Letter};
use aqueduct_topology::model;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// The factory of one `normalizer`. What is wrong with its expressions is said here, before anything runs.
pub fn factory(
    actor: &model::Actor,
    options: &model::Normalizer,
    services: &Services,
) -> Result<Factory, Error> {
    let named =
        |error: Error| Error::new(error.class, format!("actor `{}`: {}", actor.name.value, error.message));
    let mut decoder = decoder(options).map_err(named)?;
    let registry = match services
        .topology
        .connections
        .registry
        .as_ref()
        .filter(|_| options.coding.needs_registry())
    {
        // What stands in for the world has no registry, and is given what it reads as JSON.
        _ if services.servers.rehearsal => {
            decoder.rehearse();
            None
        }
        Some(connection) => Some(match services.servers.registry.clone() {
            Some(registry) => registry,
            None => Registry::new(connection, &services.topology.name.value, services.clock.clone())
                .map_err(named)?,
        }),
        None if options.coding.needs_registry() => {
            let message = "no schema registry is named; write `connections: { registry: { url: .. } }` or set SCHEMA_REGISTRY_URL";
            return Err(named(Error::new(Class::Config, message)));
        }
        None => None,
    };
    Ok(Arc::new(move || Box::new(Normalizer { decoder: decoder.fresh(), registry: registry.clone() })))
}

/// The decoder of a normalizer; reads the file of its schema, if it names one.
pub(crate) fn decoder(options: &model::Normalizer) -> Result<Decoder, Error> {
    let mut decoder = Decoder::new(options)?;
    let model::Coding::Avro { schema: Some(file) } = &options.coding else { return Ok(decoder) };
    let wrong = |error: &dyn std::fmt::Display| {
        Error::new(Class::Config, format!("schema {}: {error}", file.value.display()))
    };
    let text = std::fs::read_to_string(&file.value).map_err(|error| wrong(&error))?;
    if let Some(schemas) = decoder.schemas() {
        schemas.all_of(&text).map_err(|fault| wrong(&fault))?;
    }
    Ok(decoder)
}

/// The actor.
struct Normalizer {
    decoder: Decoder,
    registry: Option<Registry>,
}

impl Normalizer {
    /// Asks for the schemas of `batch` that the decoder lacks. While the registry is away everything waits, in its order.
    async fn learn(&mut self, batch: &Batch, cx: &mut Context) -> Result<(), Error> {
        let (Some(registry), Some(schemas)) = (&self.registry, self.decoder.schemas()) else { return Ok(()) };
        for id in schemas.unknown(batch) {
            let known = match registry.known(id) {
                Some(known) => known,
                None => cx.until_ok(registry::ANSWER_MAX, async || registry.ask(id).await).await?,
            };
            schemas.know(id, &known);
        }
        Ok(())
    }
}

impl Actor for Normalizer {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            while let Some(lease) = cx.lease().await {
                if let Err(error) = self.learn(&lease, cx).await {
                    return cx.unless_stopping(Err(error));
                }
                let Decoded { rows, rejects, .. } = self.decoder.decode(&lease);
                let batch = lease.with_rows(rows);
                if planted(Bug::SettlesBeforeHandingOn) {
                    let letters = letters(&cx.identity.name, &lease, rejects);
                    lease.settle();
                    cx.room(&batch).await?;
                    cx.reject(letters).await;
                    cx.push(batch).await?;
                    continue;
                }
                cx.room(&batch).await?;
                if planted(Bug::RejectsAfterForwarding) {
                    cx.push(batch.clone()).await?;
                }
                if !rejects.is_empty() {
                    let letters = letters(&cx.identity.id, &lease, rejects);
                    cx.reject(letters).await;
                }
                cx.push(batch).await?;
                cx.status.progressed();
                lease.settle();
            }
            Ok(())
        }
        .boxed_local()
    }
}

fn letters(actor: &Arc<str>, batch: &Batch, rejects: Vec<reject::Reject>) -> Vec<Letter> {
    let letter = |reject: reject::Reject| {
        let (place, why) = ((reject.offset, reject.row), (reject.class, reject.reason));
        Letter::for_record(actor, batch, place, why, reject.detail).of(reject.extent)
    };
    rejects.into_iter().map(letter).collect()
}
