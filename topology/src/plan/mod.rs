//! What a change of the file would do to the running system, before it does it.
//!
//! [`Form`] is a topology without spans, with every default and everything derived written out, comparable and
//! serialisable: a node serves it, `plan --save` keeps it. [`Diff`] is what differs between two forms, key by key, and
//! can be flipped and applied. [`Plan`] is what follows from it for actors, offsets, order, duplicates and state.
//!
//! Invariants: a form never shows a secret; `Diff::between(a, b).flip() == Diff::between(b, a)`; the plan of a file
//! against itself is empty. Deliberately absent: files (the caller digests them), networks, and any carrying out.

mod connections;
mod consequence;
mod diff;
mod form;
mod notes;
mod resolved;
mod specs;
mod supervision;
mod text;
pub(crate) mod write;

#[cfg(test)]
mod tests;

pub use consequence::{ActorPlan, Fate, Plan, Summary};
pub use diff::{Change, Diff, Part, Verdict};
pub use form::{Form, Keys, VERSION};
pub use notes::{Aspect, Note};
pub use supervision::SupervisorPlan;

/// Digests a referenced file; `None` = it cannot be read, which is compared as such.
pub type Files<'a> = dyn Fn(&std::path::Path) -> Option<String> + 'a;
