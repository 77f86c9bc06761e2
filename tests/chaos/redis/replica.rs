//! A second server that follows the first: it takes over, or gives the first everything back.

use super::super::stage::{Stage, connect};
use super::super::trial::Trial;
use super::super::wire::Wire;
use super::away::{await_waiting, set};
use super::{WITH_REPLICA, time_to_catch_up};
use crate::harness::wait;
use aqueduct_stack::Part;
use bb8_redis::redis::{self, Connection};
use std::time::Duration;

/// How long a server may take to have everything of another.
const SYNC_MAX: Duration = Duration::from_secs(60);

/// A server and its address.
struct Server {
    url: String,
    connection: Connection,
}

impl Server {
    fn at(url: String) -> Self {
        Self { connection: connect(&url), url }
    }

    /// `REPLICAOF`; of nobody, it is a primary.
    fn follow(&mut self, primary: Option<&Self>) {
        let address = primary.map(|primary| {
            let place = primary.url.rsplit_once('@').map_or(&*primary.url, |(_, place)| place);
            let place = place.trim_start_matches("redis://").split('/').next().expect("a place");
            place.rsplit_once(':').expect("a port")
        });
        let (host, port) = address.unwrap_or(("NO", "ONE"));
        redis::cmd("REPLICAOF").arg(host).arg(port).exec(&mut self.connection).expect("REPLICAOF");
    }

    /// Waits until it has everything of its primary.
    fn await_sync(&mut self) {
        wait::until("the replica to have everything", SYNC_MAX, || {
            let info: String = redis::cmd("INFO").arg("replication").query(&mut self.connection).ok()?;
            info.contains("master_link_status:up").then_some(())
        });
    }
}

fn pair(stage: &Stage) -> [Server; 2] {
    let replica = stage.world.stack().address(Part::Replica).expect("a replica");
    [Server::at(stage.redis_url.clone()), Server::at(replica)]
}

/// The replica becomes the primary and the primary its replica, which answers READONLY on connections that are still
/// open; the name leads to the new one.
pub fn failed_over_readonly(trial: &mut Trial<'_>) {
    let mut stage = Stage::set(trial, WITH_REPLICA);
    let [mut primary, mut replica] = pair(&stage);
    let name = Wire::to(&primary.url);
    let url = name.url(&primary.url);
    let load = stage.load(2_000);
    let node = stage.node_with("followed", &[], &[("REDIS_URL", &url)]);
    stage.await_progress(1_000);
    for _ in 0..trial.times(2, 20) {
        replica.await_sync();
        replica.follow(None);
        name.lead_to(&replica.url);
        primary.follow(Some(&replica));
        trial.fault();
        std::mem::swap(&mut primary, &mut replica);
        stage.redis_url.clone_from(&primary.url);
        trial.recovered(time_to_catch_up(&stage));
    }
    stage.judge(trial, load, vec![node]);
    // As the next scenario expects them.
    let first = stage.world.stack().redis_url();
    if primary.url != first {
        replica.await_sync();
        replica.follow(None);
        primary.follow(Some(&replica));
    }
}

/// The server reads its data and answers LOADING meanwhile.
pub fn loading(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, WITH_REPLICA);
    let [mut primary, mut replica] = pair(&stage);
    // So that a few keys take seconds, and questions are answered within.
    redis::cmd("FLUSHALL").exec(&mut primary.connection).expect("FLUSHALL");
    set(&mut primary.connection, "key-load-delay", "60000");
    set(&mut primary.connection, "loading-process-events-interval-bytes", "1024");
    let load = stage.load(2_000);
    let node = stage.node("loaded");
    stage.await_progress(1_000);
    time_to_catch_up(&stage);
    for _ in 0..trial.times(1, 20) {
        replica.await_sync();
        replica.follow(None);
        // What its new primary does not know of: it has to begin anew, and cannot go on where it is.
        redis::cmd("SET").arg("diverged").arg(1).exec(&mut primary.connection).expect("SET");
        primary.follow(Some(&replica));
        trial.fault();
        let why = await_waiting(&node, "LOADING");
        trial.note(why);
        primary.await_sync();
        primary.follow(None);
        trial.recovered(time_to_catch_up(&stage));
        replica.follow(Some(&primary));
    }
    set(&mut primary.connection, "key-load-delay", "0");
    stage.judge(trial, load, vec![node]);
}
