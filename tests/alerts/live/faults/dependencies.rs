//! Servers that are away, slow, full, or refuse.

use super::super::stage::RATE;
use super::{OLD, Play};
use crate::harness::topologies::TRADES;
use crate::harness::world::{Sql, World};
use aqueduct_stack::SMALL_DISK;
use std::path::PathBuf;
use std::time::Duration;

/// Nothing answers where the database was, while much that is old comes in.
pub fn database(play: &Play<'_>) {
    let stage = play.stage;
    let alerts = [
        "AqueductTimescaleUnavailable",
        "AqueductLagOld",
        "AqueductNothingFlows",
        "AqueductNodeNotReady",
        "AqueductLagGrowing",
        "AqueductLagUnknown",
    ];
    // Until the first record that is owed is an old one too.
    stage.flow.age(OLD);
    std::thread::sleep(Duration::from_secs(3));
    let inject = || {
        stage.cut_off(&stage.database);
        stage.flow.rate(1_500);
    };
    let end = || {
        stage.flow.age(Duration::ZERO);
        stage.flow.rate(RATE);
        stage.join_database();
    };
    play.strikes("TimescaleDB refuses connections", &alerts, inject, end);
}

pub fn redis(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (|| stage.cut_off(&stage.redis), || stage.join_redis());
    play.strikes("Redis refuses connections", &["AqueductRedisUnavailable"], inject, end);
    stage.await_ready();
    let (inject, end) = (|| stage.flow.age(OLD), || stage.flow.age(Duration::ZERO));
    play.strikes("records of a quarter of an hour ago come in", &["AqueductCacheOld"], inject, end);
}

/// Somebody takes the table away.
pub fn refused(play: &Play<'_>) {
    let sql = play.stage.sql();
    let inject = || sql.batch("ALTER TABLE market.trades RENAME TO moved");
    let end = || sql.batch("ALTER TABLE market.moved RENAME TO trades");
    play.strikes("the table is renamed", &["AqueductServerRefuses"], inject, end);
    // Once more, for what nobody waits for.
    let inject = || sql.batch("ALTER TABLE market.trades RENAME TO moved");
    let end = || sql.batch("ALTER TABLE market.moved RENAME TO trades");
    play.strikes_all("the table of a retention is renamed", &["AqueductScheduleFailed"], inject, end);
}

pub fn on_the_small_disk(world: &World) {
    let sql = world.sql();
    sql.batch(&sql.format("CREATE TABLESPACE small LOCATION %L", &[SMALL_DISK]));
    sql.batch("ALTER TABLE market.trades SET TABLESPACE small");
}

/// A file of so many kilobytes beside the table's, which is more than the small disk holds.
pub fn full(play: &Play<'_>) {
    let sql = play.stage.sql();
    let ballast = |sql: &Sql, rows: &str| {
        const FILL: &str = "COPY (SELECT repeat('x', 1023) FROM generate_series(1, %1$s)) TO %2$L";
        sql.format(FILL, &[rows, &format!("{SMALL_DISK}/ballast")])
    };
    let inject = || assert!(sql.try_batch(&ballast(&sql, "200000")).is_err(), "the disk holds it");
    let end = || sql.batch(&ballast(&sql, "0"));
    play.strikes("the disk of the table is full", &["AqueductServerFull"], inject, end);
}

fn password_file(world: &World) -> PathBuf {
    world.folder().join("database.password")
}

/// The right one, as its address has it.
fn write_password(world: &World) {
    let (_, login) = world.database_url().split_once("://").expect("an address");
    let (login, _) = login.split_once('@').expect("a user in the address");
    let (_, password) = login.split_once(':').expect("a password in the address");
    std::fs::write(password_file(world), password).expect("write the password");
}

pub fn login_in_a_file(world: &World) {
    let url = "url: \"${TIMESCALE_URL}\"";
    assert!(TRADES.contains(url));
    let followed = format!("{url}, password_file: {}", password_file(world).display());
    write_password(world);
    world.write_topology(&TRADES.replace(url, &followed));
}

/// Somebody puts another password into the file than the server has.
pub fn secret(play: &Play<'_>) {
    let world = &play.stage.world;
    let inject = || std::fs::write(password_file(world), "another").expect("write the password");
    let fault = "a password file holds what the server refuses";
    play.strikes(fault, &["AqueductSecretRefused"], inject, || write_password(world));
}

/// Each message to the database waits.
pub fn slow(play: &Play<'_>) {
    let stage = play.stage;
    let inject = || {
        stage.flow.rate(4_000);
        stage.database.delay(Duration::from_millis(500));
    };
    let end = || {
        stage.flow.rate(RATE);
        stage.database.delay(Duration::ZERO);
    };
    let alerts = ["AqueductFlushSlow", "AqueductLinkFull", "AqueductBottleneck"];
    play.strikes("each message to TimescaleDB waits for 0.5 s", &alerts, inject, end);
    let (inject, end) = (|| stage.database.hold(), || stage.database.cut());
    play.strikes("TimescaleDB falls silent in the middle of it", &["AqueductActorStalled"], inject, end);
}
