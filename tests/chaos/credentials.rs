//! Credentials and rights that are withdrawn while records flow, and given back: everybody waits, is named, and goes on.

use super::scenario::Scenario;
use super::stage::{BOUND, CHAOS, Stage};
use super::trial::{Kit, Trial};
use crate::harness::secured::{Login, await_waiting, bring_up, naming};
use aqueduct_stack::{Part, Stack};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::short("credentials.kafka_password_withdrawn", kafka_password_withdrawn),
    Scenario::short("credentials.kafka_password_changed", kafka_password_changed),
    Scenario::short("credentials.kafka_acl_revoked", kafka_acl_revoked),
    Scenario::short("credentials.timescale_password_changed", timescale_password_changed),
    Scenario::short("credentials.redis_password_changed", redis_password_changed),
];

/// Parts that speak TLS and ask for passwords.
const SECURED: Kit = Kit { name: "secured", up: secured };

fn secured() -> Stack {
    bring_up(&Part::DEFAULT)
}

/// A stage whose node comes by encrypted connections, as a user of its own.
fn set(trial: &mut Trial<'_>) -> (Stage, Login) {
    let stage = Stage::set(trial, SECURED);
    let login = Login::new(&stage.world);
    stage.world.write_topology(&naming(CHAOS, &login.connections(&stage.world)));
    (stage, login)
}

/// Records flow; `withdraw` takes something away that `actor` needs, which `/readyz` tells with `words`; `restore` gives it
/// back, and nothing is told to the node.
fn withdrawn(
    trial: &mut Trial<'_>,
    (actor, words): (&str, &[&str]),
    withdraw: impl Fn(&Stage, &Login),
    restore: impl Fn(&Stage, &Login),
) {
    let (stage, login) = set(trial);
    let load = stage.load(2_000);
    let node = stage.node("secured");
    stage.await_progress(2_000);
    withdraw(&stage, &login);
    trial.fault();
    await_waiting(&node, actor, words);
    std::thread::sleep(trial.seconds(1, 30));
    restore(&stage, &login);
    trial.recovered(stage.time_to_progress());
    node.await_ready(200, BOUND);
    stage.judge(trial, load, vec![node]);
}

fn kafka_password_withdrawn(trial: &mut Trial<'_>) {
    let withdraw = |stage: &Stage, login: &Login| {
        stage.world.stack().set_kafka_password(&login.user, None).expect("taken away");
    };
    let restore = |stage: &Stage, login: &Login| login.set_password(&stage.world, Part::Kafka, "first");
    withdrawn(trial, ("ticks", &["refused user or password"]), withdraw, restore);
}

fn kafka_password_changed(trial: &mut Trial<'_>) {
    let withdraw = |stage: &Stage, login: &Login| login.set_password(&stage.world, Part::Kafka, "second");
    let restore = |stage: &Stage, login: &Login| login.write_password(&stage.world, Part::Kafka, "second");
    withdrawn(trial, ("ticks", &["refused user or password"]), withdraw, restore);
}

fn kafka_acl_revoked(trial: &mut Trial<'_>) {
    let allow = |allowed: bool| {
        move |stage: &Stage, login: &Login| {
            stage.world.stack().allow_at_kafka(&login.user, allowed).expect("the broker agrees");
        }
    };
    withdrawn(trial, ("ticks", &["not allowed", "grant"]), allow(false), allow(true));
}

/// Sessions that are open stay open when a password changes, so they are ended, as a failover would.
fn timescale_password_changed(trial: &mut Trial<'_>) {
    let withdraw = |stage: &Stage, login: &Login| {
        login.set_password(&stage.world, Part::Timescale, "second");
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
        stage.world.sql().rows(end, &[&login.user]);
    };
    let restore =
        |stage: &Stage, login: &Login| login.write_password(&stage.world, Part::Timescale, "second");
    withdrawn(trial, ("history", &["password authentication failed"]), withdraw, restore);
}

/// Redis too asks only those who come anew. The history flows on meanwhile.
fn redis_password_changed(trial: &mut Trial<'_>) {
    let (stage, login) = set(trial);
    let load = stage.load(2_000);
    let node = stage.node("secured");
    stage.await_progress(2_000);
    login.set_password(&stage.world, Part::Redis, "second");
    let mut kill = bb8_redis::redis::cmd("CLIENT");
    kill.arg("KILL").arg("USER").arg(&login.user).query::<i64>(&mut stage.world.redis()).expect("killed");
    trial.fault();
    await_waiting(&node, "cache", &["redis", "assword"]);
    stage.time_to_progress();
    login.write_password(&stage.world, Part::Redis, "second");
    node.await_ready(200, BOUND);
    stage.judge(trial, load, vec![node]);
}
