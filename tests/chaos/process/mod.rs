//! What happens to the engine's own process.

mod kill;

use super::scenario::Scenario;

pub const SCENARIOS: &[Scenario] =
    &[Scenario::short("process.kill_at_random_points", kill::at_random_points)];
