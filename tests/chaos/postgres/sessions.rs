//! The server ends sessions, or has none to give.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, STRIKES_WITHIN, await_waiting, restarts};
use crate::harness::wait;
use crate::harness::world::Sql;
use std::time::{Duration, Instant};

const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                         WHERE datname = current_database() AND application_name LIKE 'aqueduct/%'";

/// An administrator, or a pooler, ends every session of ours again and again.
pub fn terminated_in_a_loop(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("terminated");
    stage.await_progress(FIRST);
    let sql = stage.world.sql();
    let (began, lasts) = (Instant::now(), trial.seconds(4, 60));
    while began.elapsed() < lasts {
        for _ in 0..sql.integer(TERMINATE) {
            trial.fault();
        }
        std::thread::sleep(Duration::from_millis(trial.random.u64(20..400)));
    }
    trial.recovered(stage.time_to_progress());
    assert_eq!(restarts(&node), 0, "a session that ends burns no restart");
    stage.judge(trial, load, vec![node]);
    super::none_rejected(trial);
}

/// Somebody else takes every slot of the server, ours too.
pub fn too_many_connections(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("crowded");
    stage.await_progress(FIRST);
    let url = stage.world.database_url().to_owned();
    for _ in 0..trial.times(1, 10) {
        let admin = stage.world.sql();
        let mut crowd = Vec::new();
        wait::until("no slot is left for the node", STRIKES_WITHIN, || {
            while let Ok(one) = Sql::try_connect(&url) {
                crowd.push(one);
            }
            (admin.integer(TERMINATE) == 0).then_some(())
        });
        trial.fault();
        await_waiting(&node, &["53300"]);
        assert!(crowd.len() > 50, "the crowd itself is {} sessions", crowd.len());
        drop(crowd);
        trial.recovered(stage.time_to_progress());
    }
    assert_eq!(restarts(&node), 0, "a full server burns no restart");
    stage.judge(trial, load, vec![node]);
    super::none_rejected(trial);
}
