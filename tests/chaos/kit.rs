//! Kinds of stacks that several groups ask for.

use super::trial::Kit;
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};

/// One broker, one database, one cache.
pub const PLAIN: Kit = Kit { name: "plain", up: plain };

/// Three brokers, which are the controllers too, every topic on all of them.
pub const CLUSTER: Kit = Kit { name: "cluster", up: cluster };

fn plain() -> Stack {
    up(&Part::DEFAULT)
}

fn cluster() -> Stack {
    up(&[&Part::BROKERS[..], &[Part::Timescale, Part::Redis]].concat())
}

fn up(parts: &[Part]) -> Stack {
    let options = Options::from_env("chaos", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options.parts(parts), &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}
