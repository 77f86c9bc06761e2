//! Faults of an actor's own making, sent from outside: they strike in its own call stack, with what it holds.

use aqueduct_engine::port::Watch;
use aqueduct_engine::{Actor, Context, Error, Factory};
use futures::future::LocalBoxFuture;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It panics before it has done anything.
    PanicInStart,
    /// It panics with a batch in its hands; a source, while it is at work.
    PanicInHandle,
    /// It panics while it is dropped.
    PanicInDrop,
    /// It panics as [`Fault::PanicInHandle`], and holds the lock that all actors take for each batch.
    PanicHoldingLock,
    /// It keeps its thread for itself until it is let go.
    NeverYields,
}

#[derive(Default)]
struct State {
    armed: Option<(String, Fault)>,
    struck: u32,
    let_go: bool,
}

/// Sends faults to the actors of one application.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    changed: Condvar,
    /// Taken by every actor for each batch, poisoned or not.
    shared: Mutex<u64>,
}

impl Faults {
    /// `fault` strikes `actor` once, at its next occasion.
    pub fn send(&self, actor: &str, fault: Fault) {
        self.change(|state| (state.armed, state.let_go) = (Some((actor.to_owned(), fault)), false));
    }

    /// How often one has struck.
    pub fn struck(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).struck
    }

    /// Whoever keeps a thread gives it back.
    pub fn let_go(&self) {
        self.change(|state| state.let_go = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Whether `fault` strikes `actor` now.
    fn strikes(&self, actor: &str, fault: Fault) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let strikes = state.armed.as_ref().is_some_and(|(name, armed)| name == actor && *armed == fault);
        if strikes {
            state.armed = None;
            state.struck += 1;
        }
        strikes
    }

    /// The actor is at work.
    fn occasion(&self, actor: &str) {
        if self.strikes(actor, Fault::PanicInHandle) {
            panic!("the test asked {actor} for a panic");
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        *shared += 1;
        if self.strikes(actor, Fault::PanicHoldingLock) {
            panic!("the test asked {actor} for a panic while it holds a lock");
        }
        drop(shared);
        if self.strikes(actor, Fault::NeverYields) {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let waited =
                self.changed.wait_timeout_while(state, Duration::from_secs(60), |state| !state.let_go);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Actors of `inner` that faults can be sent to.
pub fn armed(name: &str, inner: Factory, faults: Arc<Faults>) -> Factory {
    let name: Arc<str> = name.into();
    Arc::new(move || Box::new(Armed { name: name.clone(), inner: inner(), faults: faults.clone() }))
}

struct Armed {
    name: Arc<str>,
    inner: Box<dyn Actor>,
    faults: Arc<Faults>,
}

impl Actor for Armed {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        let (name, faults) = (self.name.clone(), self.faults.clone());
        let is_source = cx.inputs.is_empty();
        if !is_source {
            let (name, faults) = (name.clone(), faults.clone());
            cx.inputs.watched_by(Watch(Arc::new(move |_| faults.occasion(&name))));
        }
        Box::pin(async move {
            if faults.strikes(&name, Fault::PanicInStart) {
                panic!("the test asked {name} for a panic in its start");
            }
            let mut running = self.inner.run(cx);
            poll_fn(move |waker| {
                // A source is given no batches; it is at work whenever it is asked.
                if is_source {
                    faults.occasion(&name);
                }
                running.as_mut().poll(waker)
            })
            .await
        })
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        // A second panic would be the end of the process, whoever hosts it.
        if !std::thread::panicking() && self.faults.strikes(&self.name, Fault::PanicInDrop) {
            panic!("the test asked {} for a panic in its drop", self.name);
        }
    }
}
