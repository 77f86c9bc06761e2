//! Ends an actor from outside as its own fault would: with an error, or with a panic.
//!
//! What the actor holds is dropped where it stands, leases included, as a fault in its own code would leave it.

use super::chance::{Chance, Unhurried};
use aqueduct_engine::{Actor, Context, Error, Factory};
use futures::future::{Either, LocalBoxFuture, select};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It returns an error.
    Error,
    /// It panics.
    Panic,
}

/// Pulled from outside; one pull ends one life.
#[derive(Debug, Default)]
pub(super) struct Switch {
    pulled: Mutex<Option<Crash>>,
    changed: Notify,
}

impl Switch {
    pub(super) fn pull(&self, crash: Crash) {
        *self.pulled.lock().unwrap_or_else(PoisonError::into_inner) = Some(crash);
        self.changed.notify_one();
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

struct Armed {
    inner: Box<dyn Actor>,
    switch: Arc<Switch>,
    chance: Chance,
}

impl Actor for Armed {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let pulled = Box::pin(self.switch.take());
            let inner = Unhurried { inner: self.inner.run(cx), chance: self.chance.clone() };
            let crash = match select(pulled, inner).await {
                Either::Right((ended, _)) => return ended,
                Either::Left((crash, running)) => {
                    drop(running);
                    crash
                }
            };
            match crash {
                Crash::Error => Err(Error::bug("crashed by the test")),
                Crash::Panic => panic!("the test asked for a panic"),
            }
        })
    }
}
