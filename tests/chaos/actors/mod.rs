//! What actors do to themselves and to each other.

mod fault;
mod inside;
mod own_fault;
mod slow;

use super::scenario::Scenario;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::short("actors.panic_in_start", own_fault::panic_in_start),
    Scenario::short("actors.panic_in_handle", own_fault::panic_in_handle),
    Scenario::short("actors.panic_in_drop", own_fault::panic_in_drop),
    Scenario::short("actors.panic_while_holding_a_lock", own_fault::panic_while_holding_a_lock),
    Scenario::short("actors.handler_that_never_yields", own_fault::handler_that_never_yields),
    Scenario::long(
        "actors.neighbour_of_the_source_that_never_yields",
        own_fault::neighbour_of_the_source_that_never_yields,
    ),
    Scenario::short("actors.slow_sink", slow::slow_sink),
    Scenario::short("actors.partitions_taken_while_held_up", slow::partitions_taken_while_held_up),
    Scenario::short("actors.dead_branch_beside_healthy_ones", slow::dead_branch_beside_healthy_ones),
];
