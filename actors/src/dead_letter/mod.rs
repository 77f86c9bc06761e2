//! Keeps what was rejected.
//!
//! Whoever rejects a record waits until its letter is durable; the requests that wait together share a transaction.
//! Deliberately absent: an input link. Letters come through the runtime's port, which outlives this actor: what it had
//! not answered when it crashed is asked again.

use crate::Services;
use crate::kafka::letters::KafkaLetters;
use crate::timescale::{LetterStore, TimescaleLetters, limits};
use aqueduct_engine::{Actor, Class, Context, Error, Factory, Letter, LetterRequest};
use aqueduct_topology::model::{self, DeadLetter};
use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use std::pin::pin;
use std::sync::Arc;

/// The factory of one `dead_letter`: letters lie beside the rows, or in a topic where there is no database.
pub fn factory(actor: &model::Actor, options: &DeadLetter, services: &Services) -> Result<Factory, Error> {
    let topology: Arc<str> = services.topology.name.value.as_str().into();
    let store: Arc<dyn LetterStore> = match (&services.timescale, &services.topology.connections.kafka) {
        (Some(timescale), _) => {
            let guarded = services.offsets.exactly_once();
            Arc::new(TimescaleLetters::new(timescale.clone(), topology, services.node.clone(), guarded))
        }
        (None, Some(kafka)) => {
            let named = options.topic.as_ref().map(|topic| topic.value.clone());
            let topic = named.unwrap_or_else(|| format!("{topology}.dead_letter"));
            Arc::new(KafkaLetters::new(kafka.clone(), topic, services.clock.clone()))
        }
        (None, None) => {
            let message = format!(
                "actor `{}` has no place for letters: give the topology a timescale or a kafka connection",
                actor.name.value
            );
            return Err(Error::new(Class::Config, message));
        }
    };
    Ok(keeper(store))
}

/// A `dead_letter` that keeps its letters in `store`.
pub fn keeper(store: Arc<dyn LetterStore>) -> Factory {
    Arc::new(move || Box::new(Keeper { store: store.clone() }))
}

struct Keeper {
    store: Arc<dyn LetterStore>,
}

impl Actor for Keeper {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            // Who asked will ask again.
            let ended = self.work(cx).await;
            cx.unless_stopping(ended)
        }
        .boxed_local()
    }
}

impl Keeper {
    async fn work(&mut self, cx: &mut Context) -> Result<(), Error> {
        // Whether the place for letters is there shows before the first one comes.
        self.keep(cx, &[]).await?;
        while let Some(first) = next(cx).await {
            let mut letters = first.letters;
            let mut answers = vec![first.stored];
            while letters.len() < limits::LETTERS_PER_TRANSACTION_MAX
                && let Some(further) = cx.letters.try_next()
            {
                letters.extend(further.letters);
                answers.push(further.stored);
            }
            self.keep(cx, &letters).await?;
            cx.status.progressed();
            for answer in answers {
                // Whoever asked may have been stopped meanwhile.
                let _ = answer.send(());
            }
        }
        Ok(())
    }

    async fn keep(&self, cx: &mut Context, letters: &[Letter]) -> Result<(), Error> {
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || self.store.store(letters).await).await
    }
}

/// The next request; those that wait already are served even after a stop was asked.
async fn next(cx: &Context) -> Option<LetterRequest> {
    let (request, stopped) = (pin!(cx.letters.next()), pin!(cx.status.stopped()));
    match select(request, stopped).await {
        Either::Left((request, _)) => Some(request),
        Either::Right(_) => None,
    }
}
