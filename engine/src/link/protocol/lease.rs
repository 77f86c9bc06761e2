//! A batch in the hands of a receiver.

use super::{Flow, Link};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The batch has left the link.
    Settled,
    /// It has left the link, judged by nobody.
    Discarded,
    /// It is delivered again.
    PutBack,
}

/// Hears how a lease ended.
struct Witness(Box<dyn FnOnce(Ending) + Send + Sync>);

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// A batch that stays on its link until settled; dropped unsettled, it is delivered again.
#[derive(Debug)]
pub struct Lease<T: Flow> {
    link: Arc<Link<T>>,
    generation: u64,
    id: u64,
    item: Arc<T>,
    settled: bool,
    witness: Option<Witness>,
}

impl<T: Flow> Lease<T> {
    pub(super) fn new(link: &Arc<Link<T>>, generation: u64, id: u64, item: Arc<T>) -> Self {
        Self { link: link.clone(), generation, id, item, settled: false, witness: None }
    }

    /// Lets `witness` hear how it ends.
    pub fn witnessed(&mut self, witness: impl FnOnce(Ending) + Send + Sync + 'static) {
        self.witness = Some(Witness(Box::new(witness)));
    }

    /// The batch leaves the link.
    pub fn settle(mut self) {
        self.settled = true;
        self.link.settle(self.generation, self.id, false);
        self.ended(Ending::Settled);
    }

    /// The batch leaves the link though nobody judged it: its claim is lost, and its records will be read again.
    pub fn discard(mut self) {
        self.settled = true;
        self.link.settle(self.generation, self.id, true);
        self.ended(Ending::Discarded);
    }

    fn ended(&mut self, how: Ending) {
        if let Some(Witness(hear)) = self.witness.take() {
            hear(how);
        }
    }
}

impl<T: Flow> Drop for Lease<T> {
    fn drop(&mut self) {
        if !self.settled {
            self.link.put_back(self.generation, self.id);
            self.ended(Ending::PutBack);
        }
    }
}

impl<T: Flow> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}
