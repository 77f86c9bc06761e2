//! `kill -9`, again and again, whatever the engine is in the middle of.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use std::time::Duration;

/// The kill comes at a random moment of the cycle of COPY, offset update, COMMIT and Redis.
pub fn at_random_points(trial: &mut Trial<'_>) {
    let mut stage = Stage::set(trial, PLAIN);
    let load = stage.load(5_000);
    let mut node = stage.node("killed");
    stage.await_progress(1_000);
    for _ in 0..trial.times(6, 200) {
        std::thread::sleep(Duration::from_millis(trial.random.u64(0..400)));
        node.kill();
        trial.fault();
        node = stage.node("killed");
        let recovery = stage.time_to_progress();
        trial.recovered(recovery);
    }
    stage.judge(trial, load, vec![node]);
}
