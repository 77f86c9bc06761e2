//! A batch in the hands of a receiver.

use super::{Flow, Link};
use std::ops::Deref;
use std::sync::Arc;

/// A batch that stays on its link until settled; dropped unsettled, it is delivered again.
#[derive(Debug)]
pub struct Lease<T: Flow> {
    link: Arc<Link<T>>,
    generation: u64,
    id: u64,
    item: Arc<T>,
    settled: bool,
}

impl<T: Flow> Lease<T> {
    pub(super) fn new(link: &Arc<Link<T>>, generation: u64, id: u64, item: Arc<T>) -> Self {
        Self { link: link.clone(), generation, id, item, settled: false }
    }

    /// The batch leaves the link.
    pub fn settle(mut self) {
        self.settled = true;
        self.link.settle(self.generation, self.id, false);
    }

    /// The batch leaves the link though nobody judged it: its claim is lost, and its records will be read again.
    pub fn discard(mut self) {
        self.settled = true;
        self.link.settle(self.generation, self.id, true);
    }
}

impl<T: Flow> Drop for Lease<T> {
    fn drop(&mut self) {
        if !self.settled {
            self.link.put_back(self.generation, self.id);
        }
    }
}

impl<T: Flow> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}
