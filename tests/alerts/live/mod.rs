//! Each alert against its fault: a real Prometheus asks real nodes each second and judges by the product's rules, faults
//! are injected, alerts fire within their stated time and clear after the fault ends.
//!
//! A scene is a node with a database, a topic and wires of its own, so that scenes share one stack and one run. Its name
//! is the label `instance` of its series. Only what strikes a server that all share, or Prometheus itself, comes last.
//! The rules are hastened by one factor (30 unless said otherwise): `for: 5m` holds 10 s, `[10m]` looks back 20 s. Where they
//! must hold for half an hour or longer, 20 s are enough here.
//!
//! What a scene waits for in real time (a node's start, a heartbeat, the engine's own beats) does not get faster with the
//! rules: whatever must happen several times within a window is repeated until the alert is there.

mod dashboards;
mod faults;
mod flow;
mod older;
mod report;
mod setting;
mod stage;
mod watch;

use aqueduct_stack::Part;
use report::Report;
use setting::Setting;
use stage::Stage;

#[test]
fn every_alert_fires_in_time_and_clears() {
    let setting = Setting::bring_up();
    let scenes = setting.chosen(faults::SCENES);
    let stages: Vec<Stage> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            scenes.iter().map(|scene| scope.spawn(|| Stage::set(&setting, scene))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    stages.iter().for_each(|stage| stage.start(&setting));
    setting.calm(&stages);
    dashboards::answer(&setting);
    dashboards::page_is_accepted(&stages[0]);
    let report = Report::default();
    std::thread::scope(|scope| {
        for (scene, stage) in scenes.iter().zip(&stages) {
            let (setting, report) = (&setting, &report);
            scope.spawn(move || {
                report.hear(scene.name, || (scene.play)(&faults::Play { setting, stage, report }))
            });
        }
    });
    if !setting.is_partial() {
        report.hear("everybody", || faults::shared(&setting, &stages, &report));
        report.lacks_nothing(&setting);
    }
    report.print_and_save(&setting);
    // Databases that nobody will look at again need not be dropped one by one.
    setting.stack.kill(Part::Timescale).expect("kill TimescaleDB");
    drop(stages);
    assert!(report.is_clean(), "{}", report.failures());
}
