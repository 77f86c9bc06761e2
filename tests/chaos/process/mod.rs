//! What happens to the engine's own process.

mod kill;

use super::scenario::Scenario;
use super::trial::Kit;
use aqueduct_stack::{Lifetime, Options, Stack, progress};

pub const SCENARIOS: &[Scenario] =
    &[Scenario::short("process.kill_at_random_points", kill::at_random_points)];

/// One broker, one database, one cache.
const PLAIN: Kit = Kit { name: "plain", up: plain };

fn plain() -> Stack {
    let options = Options::from_env("chaos", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options, &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}
