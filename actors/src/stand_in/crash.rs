//! Ends an actor from outside as its own fault would: with an error, or with a panic.
//!
//! What the actor holds is dropped where it stands, leases included, as a fault in its own code would leave it.

use super::chance::{Chance, Unhurried};
use aqueduct_engine::port::Watch;
use aqueduct_engine::{Actor, Batch, Context, Error, Factory, State, Status};
use futures::future::{Either, FutureExt, LocalBoxFuture, select};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use tokio::sync::Notify;

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It returns an error.
    Error,
    /// It panics.
    Panic,
    /// It does nothing any more, and keeps what it holds, until somebody ends it. While it waits for what it depends on the
    /// engine holds it to time limits, and it cannot hang; it does once it is at work again.
    Freeze,
}

/// Pulled from outside; one pull ends one life.
#[derive(Debug, Default)]
pub(super) struct Switch {
    pulled: Mutex<Option<Crash>>,
    changed: Notify,
    /// Records that are the end of whoever is given them: partition and offset.
    deadly: Mutex<BTreeSet<(i32, i64)>>,
}

impl Switch {
    pub(super) fn pull(&self, crash: Crash) {
        *self.pulled.lock().unwrap_or_else(PoisonError::into_inner) = Some(crash);
        self.changed.notify_one();
    }

    /// From now on the record at that offset of `partition` makes whoever is given it panic.
    pub(super) fn poison(&self, partition: i32, offset: i64) {
        self.deadly.lock().unwrap_or_else(PoisonError::into_inner).insert((partition, offset));
    }

    fn refuse_to_live_with(&self, batch: &Batch) {
        let deadly = self.deadly.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let origin = &batch.origin;
        let found = deadly.into_iter().find(|(partition, offset)| {
            *partition == origin.key.partition && batch.raw.position(*offset).is_some()
        });
        if let Some((_, offset)) = found {
            panic!("the test asked for a panic at offset {offset}");
        }
    }

    async fn take(&self) -> Crash {
        loop {
            if let Some(crash) = self.pulled.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return crash;
            }
            self.changed.notified().await;
        }
    }
}

/// Actors of `inner`, each of which ends when `switch` is pulled, and runs when `chance` lets it.
pub(super) fn armed(inner: Factory, switch: Arc<Switch>, chance: Chance) -> Factory {
    Arc::new(move || Box::new(Armed { inner: inner(), switch: switch.clone(), chance: chance.clone() }))
}

/// Lets `running` go on while it waits; how it ended, if it does.
async fn until_at_work<F: Future + Unpin>(running: &mut F, status: &Status) -> Option<F::Output> {
    poll_fn(|cx| match status.state().0 {
        State::Waiting { .. } | State::Fenced { .. } => running.poll_unpin(cx).map(Some),
        _ => Poll::Ready(None),
    })
    .await
}

struct Armed {
    inner: Box<dyn Actor>,
    switch: Arc<Switch>,
    chance: Chance,
}

impl Actor for Armed {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        let (switch, claims, status) = (self.switch.clone(), cx.claims.clone(), cx.status.clone());
        cx.inputs.watched_by(Watch(Arc::new(move |batch: &Batch| {
            let (key, epoch) = (&batch.origin.key, batch.origin.epoch);
            assert!(
                !claims.is_stale(key, epoch),
                "given a batch of {key:?} under a claim that is not the newest: {epoch}"
            );
            switch.refuse_to_live_with(batch);
        })));
        Box::pin(async move {
            let pulled = Box::pin(self.switch.take());
            let inner = Unhurried { inner: self.inner.run(cx), chance: self.chance.clone() };
            let crash = match select(pulled, inner).await {
                Either::Right((ended, _)) => return ended,
                Either::Left((Crash::Freeze, mut running)) => {
                    if let Some(ended) = until_at_work(&mut running, &status).await {
                        return ended;
                    }
                    std::future::pending().await
                }
                Either::Left((crash, running)) => {
                    drop(running);
                    crash
                }
            };
            match crash {
                Crash::Error => Err(Error::bug("crashed by the test")),
                Crash::Panic => panic!("the test asked for a panic"),
                Crash::Freeze => unreachable!("it waits above"),
            }
        })
    }
}
