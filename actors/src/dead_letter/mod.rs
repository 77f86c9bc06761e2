//! Keeps what was rejected.
//!
//! What is too old it deletes, and it counts what waits, both now and then and in bounded steps.
//!
//! Whoever rejects a record waits until its letter is durable; the requests that wait together share a transaction.
//! Deliberately absent: an input link. Letters come through the runtime's port, which outlives this actor: what it had
//! not answered when it crashed is asked again.

use crate::Services;
use crate::kafka::letters::KafkaLetters;
use crate::timescale::tending::Tended;
use crate::timescale::{LetterStore, TimescaleLetters, limits};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::telemetry::names;
use aqueduct_engine::{Actor, Answer, Class, Context, Error, Factory, Letter, LetterRequest};
use aqueduct_topology::model::{self, DeadLetter};
use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How often old letters are looked for and waiting ones counted.
const TEND_EVERY: Duration = Duration::from_secs(15);
/// The same while a step found as many old ones as it may delete.
const TEND_AGAIN: Duration = Duration::from_millis(200);

/// The factory of one `dead_letter`: letters lie beside the rows, or in a topic where there is no database.
pub fn factory(actor: &model::Actor, options: &DeadLetter, services: &Services) -> Result<Factory, Error> {
    let topology: Arc<str> = services.topology.name.value.as_str().into();
    let store: Arc<dyn LetterStore> = match (&services.timescale, services.cluster()) {
        (Some(timescale), _) => {
            let guarded = services.offsets.exactly_once();
            let letters = TimescaleLetters::new(timescale.clone(), topology, services.node.clone(), guarded);
            Arc::new(letters.kept_for(options.retention))
        }
        (None, Some(kafka)) => {
            let named = options.topic.as_ref().map(|topic| topic.value.clone());
            let topic = named.unwrap_or_else(|| format!("{topology}.dead_letter"));
            Arc::new(KafkaLetters::new(kafka, topic, services.clock.clone()))
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
        let mut tend_at = cx.clock.now();
        loop {
            let first = match self.next_until(cx, tend_at).await {
                Ok(Some(first)) => first,
                Ok(None) => return Ok(()),
                Err(_) => {
                    tend_at = cx.clock.now() + self.tend(cx).await;
                    continue;
                }
            };
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
            answers.into_iter().for_each(Answer::give);
        }
    }

    /// The next request, or none where it is to end; an error where it is time to tend.
    async fn next_until(&self, cx: &Context, due: Instant) -> Result<Option<LetterRequest>, ()> {
        if self.store.tend().is_none() {
            return Ok(next(cx).await);
        }
        let left = due.saturating_duration_since(cx.clock.now());
        cx.clock.timeout(left, next(cx)).await.map_err(|_| ())
    }

    /// Deletes what is too old and counts what waits, a step of each; says when the next one is due. What fails is tried
    /// again then: no record waits for it, nor does the end of the node.
    async fn tend(&self, cx: &Context) -> Duration {
        let Some(tending) = self.store.tend() else { return TEND_EVERY };
        let tending = pin!(cx.clock.timeout(limits::STATEMENT_WAIT_MAX * 2, tending));
        let tended = match select(tending, pin!(cx.status.stopped())).await {
            Either::Left((tended, _)) => tended,
            Either::Right(_) => return TEND_EVERY,
        };
        match tended {
            Ok(Ok(tended)) => {
                show(cx, &tended);
                if tended.has_more() { TEND_AGAIN } else { TEND_EVERY }
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "cannot tend dead letters");
                TEND_EVERY
            }
            Err(_) => TEND_EVERY,
        }
    }

    async fn keep(&self, cx: &mut Context, letters: &[Letter]) -> Result<(), Error> {
        cx.until_ok(limits::ATTEMPT_WAIT_MAX, async || self.store.store(letters).await).await
    }
}

fn show(cx: &Context, tended: &Tended) {
    let figures = cx.status.figures();
    figures.set(names::DEAD_LETTERS, &[("state", "new")], tended.new as f64);
    figures.set(names::DEAD_LETTERS, &[("state", "failed-again")], tended.failed_again as f64);
    figures.set(names::DEAD_LETTER_AGE_SECONDS, &[], tended.oldest_age_seconds as f64);
    figures.add(names::DEAD_LETTERS_DELETED_TOTAL, &[], tended.deleted as f64);
    if tended.deleted > 0 {
        tracing::info!(event = event_ids::LETTERS_DELETED, actor = %cx.identity.name, letters = tended.deleted, "deleted dead letters older than the retention");
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
