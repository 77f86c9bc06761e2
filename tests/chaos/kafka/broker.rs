//! The only broker goes away and comes back.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use aqueduct_stack::Part;
use std::time::Duration;

/// At a low rate: most of the time nothing is in flight that would show at once that the broker is gone.
pub fn restarted(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(100);
    let node = stage.node("steady");
    stage.await_progress(100);
    for _ in 0..trial.times(3, 20) {
        stage.world.stack().restart(Part::Kafka).expect("the broker restarts");
        trial.fault();
        trial.recovered(stage.time_to_progress());
        std::thread::sleep(Duration::from_millis(trial.random.u64(0..500)));
    }
    trial.note("recovery: from the broker's first answer to the next row");
    stage.judge(trial, load, vec![node]);
}
