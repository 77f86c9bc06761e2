//! Which of a node's names a member takes: `<node>/<slot>`.
//!
//! Two members of one name fence each other, so a slot is leased before the client is made and held as long as it lives.

use aqueduct_engine::Error;
use aqueduct_engine::planted::{Bug, planted};
use futures::future::LocalBoxFuture;
use std::any::Any;

/// A slot that is ours until dropped.
pub struct Slot {
    /// From 0.
    pub number: u32,
    /// What holds it: a connection with its lock, or nothing.
    pub lease: Option<Box<dyn Any>>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slot {}", self.number)
    }
}

/// Gives each member of a node its own slot; the lowest free one, so that a restart finds its predecessor's.
pub trait MemberSlots: Send + Sync {
    /// Leases a slot for this topology and node.
    fn acquire<'a>(&'a self, topology: &'a str, node: &'a str) -> LocalBoxFuture<'a, Result<Slot, Error>>;
}

/// The lowest of `slots` names that `lease` can have, if there is one.
pub async fn lowest_free(
    slots: u32,
    mut lease: impl AsyncFnMut(u32) -> Result<bool, Error>,
) -> Result<Option<u32>, Error> {
    for place in 0..slots {
        let number = if planted(Bug::TakesAnySlot) { slots - 1 - place } else { place };
        if lease(number).await? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// For topologies with nothing to lock: the slot is given by the place of the source in the file. A second process of
/// the same node name fences the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedSlot(pub u32);

impl MemberSlots for FixedSlot {
    fn acquire<'a>(&'a self, _topology: &'a str, _node: &'a str) -> LocalBoxFuture<'a, Result<Slot, Error>> {
        Box::pin(async { Ok(Slot { number: self.0, lease: None }) })
    }
}
