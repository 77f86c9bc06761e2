//! Makes typed rows of JSON messages.
//!
//! [`Decoder`] is the whole of it, and pure; the actor only moves batches. Every batch that comes in goes out as one
//! batch of the same range, also without rows: offsets must advance. Rejects are durable before it goes, and stored only
//! once it can go: stopped in between, it might be judged by other rules the next time.

mod case;
mod column;
mod decoder;
mod event_time;
mod field;
mod judge;
mod names;
pub mod reject;
#[cfg(test)]
mod tests;

pub use decoder::{Decoded, Decoder, ROWS_MAX, ROWS_TEXT_BYTES_MAX};

use crate::Services;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Actor, Batch, Context, Error, Factory, Letter};
use aqueduct_topology::model;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// The factory of one `normalizer`. What is wrong with its expressions is said here, before anything runs.
pub fn factory(
    actor: &model::Actor,
    options: &model::Normalizer,
    _services: &Services,
) -> Result<Factory, Error> {
    let name = &actor.name.value;
    let compiled = Decoder::new(options)
        .map_err(|error| Error::new(error.class, format!("actor `{name}`: {}", error.message)))?;
    let compiled = Arc::new(compiled);
    Ok(Arc::new(move || Box::new(Normalizer { decoder: compiled.fresh() })))
}

/// The actor.
struct Normalizer {
    decoder: Decoder,
}

impl Actor for Normalizer {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            while let Some(lease) = cx.lease().await {
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
