//! What happens to the engine's own process.

mod clock;
mod freeze;
mod kill;
mod limits;
mod terminate;

use super::scenario::Scenario;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::short("process.kill_at_random_points", kill::at_random_points).recovering_within(2),
    Scenario::short("process.frozen_past_session_timeout", freeze::past_session_timeout),
    Scenario::short("process.sigterm_under_load", terminate::under_load),
    Scenario::short("process.sigterm_twice", terminate::twice),
    Scenario::short(
        "process.sigterm_at_start_with_everything_down",
        terminate::at_start_with_everything_down,
    ),
    Scenario::long("process.file_descriptors_limited_to_64", limits::file_descriptors),
    Scenario::short("process.memory_limited", limits::memory),
    Scenario::short("process.log_disk_full", limits::log_disk_full),
    Scenario::short("process.wall_clock_stepped_an_hour", clock::stepped_an_hour),
];
