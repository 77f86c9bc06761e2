//! What the link's core is built from outside the model: the standard library and crossbeam's queue.
//!
//! [`super::model`] builds the same core from loom's types; see there.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize};
pub(super) use std::sync::{Mutex, MutexGuard};

/// The queue between the two ends.
pub(super) type Queue<T> = crossbeam::queue::ArrayQueue<T>;

impl<T> super::protocol::Ring<T> for Queue<T> {
    fn with_capacity(capacity: usize) -> Self {
        Self::new(capacity)
    }

    fn push(&self, item: T) -> Result<(), T> {
        Self::push(self, item)
    }

    fn pop(&self) -> Option<T> {
        Self::pop(self)
    }
}
