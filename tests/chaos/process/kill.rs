//! `kill -9`, again and again, whatever the engine is in the middle of.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::super::wire::{Point, Wire};
use crate::harness::node::Node;
use std::time::{Duration, Instant};

/// How long the writer may take to come to a point.
const POINT_MAX: Duration = Duration::from_secs(30);

/// The wires of the node that is killed.
struct Wires {
    timescale: Wire,
    redis: Wire,
}

impl Wires {
    fn of(stage: &Stage) -> Self {
        Self {
            timescale: Wire::to(stage.world.database_url()),
            redis: Wire::to(&stage.world.stack().redis_url()),
        }
    }

    fn node(&self, stage: &Stage) -> Node {
        let timescale = self.timescale.url(stage.world.database_url());
        let redis = self.redis.url(&stage.world.stack().redis_url());
        stage.node_with("killed", &[], &[("TIMESCALE_URL", &timescale), ("REDIS_URL", &redis)])
    }

    /// Kills `node` when it is at `point`; what was on its way gets no further.
    fn kill_at(&self, point: Point, node: Node) {
        if point == Point::AfterCommit {
            self.redis.hold();
        }
        self.timescale.arm(point);
        assert!(self.timescale.is_hit_within(POINT_MAX), "the writer never was {}", point.name());
        node.kill();
        self.timescale.cut();
        self.redis.cut();
    }
}

/// At each point of the writer's transaction by turns, and between these at random moments.
pub fn at_random_points(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wires = Wires::of(&stage);
    let load = stage.load(5_000);
    let mut node = wires.node(&stage);
    stage.await_progress(1_000);
    let mut hits = [0; Point::ALL.len()];
    let mut anywhere = 0;
    for kill in 0..trial.times(8, 200) as usize {
        std::thread::sleep(Duration::from_millis(trial.random.u64(0..300)));
        if kill % 2 == 0 {
            let point = kill / 2 % Point::ALL.len();
            wires.kill_at(Point::ALL[point], node);
            hits[point] += 1;
        } else {
            node.kill();
            anywhere += 1;
        }
        trial.fault();
        let killed = Instant::now();
        node = wires.node(&stage);
        stage.time_to_progress();
        trial.recovered(killed.elapsed());
    }
    let at = |(point, count): (Point, u32)| format!("{count} {}", point.name());
    let hits: Vec<String> = Point::ALL.into_iter().zip(hits).map(at).collect();
    trial.note(format!("killed: {}, {anywhere} anywhere", hits.join(", ")));
    stage.judge(trial, load, vec![node]);
}
