//! Wakes the one task that waits at an end of a link.
//!
//! Invariant: whoever changes something first makes the change, then rings; whoever waits first listens, then looks
//! again. Both pass through one lock, so either the ring finds the listener or the listener's second look finds the
//! change: no wake-up is lost. A cut-off generation cannot take the place of the current one.

use super::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
use std::task::Waker;

pub(super) struct Bell {
    listener: Mutex<Listener>,
}

struct Listener {
    /// Whose turn it is to listen.
    generation: u64,
    waker: Option<Waker>,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { listener: Mutex::new(Listener { generation: 0, waker: None }) }
    }

    /// Wakes `waker` at the next ring; in vain, if a newer generation has taken over.
    pub(super) fn listen(&self, generation: u64, waker: &Waker) {
        let mut listener = self.lock();
        if listener.generation != generation {
            return;
        }
        match &mut listener.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Wakes whoever listens.
    pub(super) fn ring(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Hands the bell to a newer generation; wakes the old one, which will find itself cut off.
    pub(super) fn hand_over(&self, generation: u64) {
        let mut listener = self.lock();
        if listener.generation >= generation {
            return;
        }
        listener.generation = generation;
        let waker = listener.waker.take();
        drop(listener);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
