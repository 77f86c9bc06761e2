//! Every test that needs more than one crate: end to end on the real stack, and the rules of the repository itself.

mod e2e;
mod tidy;
