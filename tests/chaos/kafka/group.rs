//! The group's view of a member is not its own.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::partitions_at;
use crate::harness::wait;
use crate::harness::world::Sql;
use aqueduct_stack::Part;
use std::time::Duration;

/// How long the broker waits for a silent member.
const SESSION: Duration = Duration::from_secs(10);
/// How long the client lets its user not poll.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);
const MARGIN: Duration = Duration::from_secs(2);

/// While the database stands still nothing can be written, but the group is answered all the time: nobody loses a
/// partition over it.
pub fn database_stalled_past_the_session(trial: &mut Trial<'_>) {
    database_stalled(trial, SESSION + MARGIN);
}

/// The same for as long as the client would throw out a user who does not poll.
pub fn database_stalled_past_max_poll_interval(trial: &mut Trial<'_>) {
    database_stalled(trial, MAX_POLL_INTERVAL + MARGIN);
}

fn database_stalled(trial: &mut Trial<'_>, lasts: Duration) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(1_000);
    let nodes = vec![stage.node("one"), stage.node("two")];
    stage.await_progress(2_000);
    wait::until("both have partitions", Duration::from_secs(30), || {
        (owners(&stage.world.sql(), &stage.topology) == 2).then_some(())
    });
    std::thread::sleep(Duration::from_secs(1));
    let before = partitions_at(&stage, "epoch");
    stage.world.stack().pause(Part::Timescale).expect("the database stands still");
    trial.fault();
    std::thread::sleep(lasts);
    stage.world.stack().resume(Part::Timescale).expect("the database goes on");
    trial.recovered(stage.time_to_progress());
    let after = partitions_at(&stage, "epoch");
    stage.judge(trial, load, nodes);
    assert_eq!(before, after, "partitions changed hands though nobody left");
}

fn owners(sql: &Sql, topology: &str) -> i64 {
    sql.rows("SELECT count(DISTINCT node) FROM aqueduct.offsets WHERE topology = $1", &[&topology])[0].get(0)
}

/// A node that stood still has lost the lease of its name, and a second one took it. The first leaves when it finds out,
/// says why, and takes part again when it is told to.
pub fn duplicate_static_member(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(1_000);
    let first = stage.node("twin");
    stage.await_progress(2_000);
    first.stop();
    let ended = end_sessions(&stage);
    trial.note(format!("{ended} sessions of the first ended"));
    let second = stage.node_with("twin", &[], &[]);
    trial.fault();
    trial.recovered(stage.time_to_progress());
    first.resume();
    let told = wait::until("the first says that it was fenced", Duration::from_secs(60), || {
        first.get("/readyz").map(|(_, body)| body).filter(|body| body.contains("fenced_by_name"))
    });
    trial.note(told);
    stage.judge(trial, load, vec![first, second]);
}

/// Ends every session of the topology's nodes, as a firewall or a failover does.
fn end_sessions(stage: &Stage) -> i64 {
    const END: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
    stage.world.sql().integer(END)
}
