//! Kinds of stacks that several groups ask for.

use super::trial::Kit;
use aqueduct_stack::{Lifetime, Options, Stack, progress};

/// One broker, one database, one cache.
pub const PLAIN: Kit = Kit { name: "plain", up: plain };

fn plain() -> Stack {
    let options = Options::from_env("chaos", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options, &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}
