//! A node that is stopped in mid-air, held for dead, and wakes up.

use super::super::kit::PLAIN;
use super::super::stage::{BOUND, Stage};
use super::super::trial::Trial;
use crate::harness::wait;
use std::time::Duration;

/// How long a zombie is watched with nothing new to do.
const WATCHED: Duration = Duration::from_secs(3);

/// SIGSTOP, another node takes over, SIGCONT: what the zombie held is written already, and it writes none of it.
pub fn past_session_timeout(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(2_000);
    let zombie = stage.node("zombie");
    stage.await_progress(1_000);
    let heir = stage.node("heir");
    for _ in 0..trial.times(1, 20) {
        zombie.await_ready(200, BOUND);
        heir.await_ready(200, BOUND);
        std::thread::sleep(Duration::from_millis(trial.random.u64(0..500)));
        zombie.stop();
        trial.fault();
        // Partitions of the zombie stand still until the group has given it up; then the heir writes all of them.
        std::thread::sleep(Duration::from_secs(1));
        let sent = i64::try_from(load.paused()).expect("a count");
        let taken_over = stage.await_progress(sent);
        trial.recovered(taken_over);
        let rows = stage.rows().expect("the database answers");
        zombie.resume();
        std::thread::sleep(WATCHED);
        assert_eq!(stage.rows(), Some(rows), "the zombie wrote rows that its heir had written");
        load.go_on();
        wait::until("new rows", BOUND, || stage.rows().filter(|now| *now > rows));
    }
    stage.judge(trial, load, vec![zombie, heir]);
}
