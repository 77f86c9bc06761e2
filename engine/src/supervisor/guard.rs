//! Catches the panics of hosted futures, with message and location, and tells who is being polled.
//!
//! A panic inside a guarded poll is an exit, not a line on stderr: the hook keeps it for the guard. Any other panic goes
//! on to the hook that was there before.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::task::Poll;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// What a panic said and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) location: String,
}

/// Whom an arbiter is polling now, so that the watchdog can name the one that never yields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Polled(Arc<AtomicUsize>);

impl Polled {
    /// The actor being polled.
    pub(crate) fn actor(&self) -> Option<usize> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// Installs the hook; once per process, however often it is asked.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                return before(info);
            }
            let message = message_of(info.payload());
            let location = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
            CAUGHT.set(Some(Panic { message, location }));
        }));
    });
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    }
}

/// Runs `future` for the `actor`th actor; a panic in it is the error.
pub(crate) async fn catch<T>(
    actor: usize,
    polled: Polled,
    future: impl Future<Output = T>,
) -> Result<T, Panic> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |cx| {
        let outer = (GUARDED.replace(true), polled.0.swap(actor + 1, Ordering::Relaxed));
        let result = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        GUARDED.set(outer.0);
        polled.0.store(outer.1, Ordering::Relaxed);
        match result {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(CAUGHT.take().unwrap_or_else(|| Panic {
                message: message_of(&*payload),
                location: "an unknown place".to_owned(),
            }))),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_comes_back_with_message_and_place() {
        install_hook();
        let polled = Polled::default();
        let seen = polled.clone();
        let caught = catch(4, polled.clone(), async move {
            assert_eq!(seen.actor(), Some(4));
            panic!("price of {} is gone", "A");
        });
        let panic: Panic = caught.await.unwrap_err();
        assert_eq!(panic.message, "price of A is gone");
        assert!(panic.location.contains("guard.rs:"), "{}", panic.location);
        assert_eq!(polled.actor(), None);
    }
}
