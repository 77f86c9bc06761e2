//! The one way to start a task: it ends with its owner and its panic is reported, never lost.

use crate::telemetry::event_ids;
use futures::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

/// A task on this thread. Dropping it ends the task.
#[derive(Debug)]
pub struct Task {
    inner: tokio::task::JoinHandle<()>,
}

impl Task {
    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.inner.abort();
    }
}

/// Starts `future` on this thread's arbiter, owned by the caller.
#[expect(clippy::disallowed_methods, reason = "this is the supervised way to start a task")]
pub fn spawn(name: &'static str, future: impl Future<Output = ()> + 'static) -> Task {
    let guarded = async move {
        if AssertUnwindSafe(future).catch_unwind().await.is_err() {
            tracing::error!(event = event_ids::TASK_PANICKED, task = name, "task panicked");
        }
    };
    Task { inner: tokio::task::spawn_local(guarded) }
}
