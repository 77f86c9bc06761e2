//! What is sent: bad records, none at all; and a node of another version.

use super::super::older::Older;
use super::super::stage::RATE;
use super::{Play, strike};
use crate::harness::topologies::TRADES;
use std::time::Duration;

pub fn letters(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (|| stage.flow.bad_every(4), || stage.flow.bad_every(0));
    let alerts = ["AqueductDeadLetters", "AqueductDeadLetterShareHigh"];
    play.strikes("one record in four has a price below zero", &alerts, inject, end);
}

/// Whoever needs the database waits for whoever has it.
pub fn one_connection() -> String {
    TRADES.replace("url: \"${TIMESCALE_URL}\"", "url: \"${TIMESCALE_URL}\", pool: 1")
}

/// Each letter takes longer to be stored than others wait for the connection.
const SLOW: &str = "CREATE FUNCTION aqueduct.slow() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(8); RETURN NULL; END $$; \
    CREATE TRIGGER slow AFTER INSERT ON aqueduct.dead_letter FOR EACH STATEMENT EXECUTE FUNCTION aqueduct.slow()";

/// Where rejects are kept: for a long time, slowly, and not at all.
pub fn kept(play: &Play<'_>) {
    let stage = play.stage;
    stage.flow.bad_every(50);
    std::thread::sleep(Duration::from_secs(2));
    stage.flow.bad_every(0);
    let sql = stage.sql();
    let inject = || sql.batch("UPDATE aqueduct.dead_letter SET at = now() - interval '2 days'");
    let end = || sql.batch("DELETE FROM aqueduct.dead_letter");
    play.strikes("nobody replays a letter for two days", &["AqueductDeadLetterOld"], inject, end);
    let inject = || {
        sql.batch(SLOW);
        stage.flow.bad_every(20);
    };
    let end = || {
        stage.flow.bad_every(0);
        sql.batch("DROP FUNCTION aqueduct.slow() CASCADE");
    };
    let fault = "letters are stored slowly, over the only connection";
    play.strikes(fault, &["AqueductPoolExhausted"], inject, end);
    stage.await_ready();
    let inject = || {
        stage.flow.bad_every(2);
        stage.cut_off(&stage.database);
    };
    let end = || {
        stage.flow.bad_every(0);
        stage.join_database();
    };
    let alerts = ["AqueductDeadLetterUnavailable"];
    play.strikes("rejects while TimescaleDB refuses connections", &alerts, inject, end);
}

/// Nobody sends anything. Beside it, for there is but one build, the node's page is shown once more as one of another version.
pub fn silent(play: &Play<'_>) {
    const OLDER: &str = "older";
    let (setting, stage) = (play.setting, play.stage);
    let older = Older::of(stage.with_node(|node| node.admin));
    let differ = ("a node of another version beside the others", &["AqueductVersionsDiffer"][..]);
    let (come, go) = (|| setting.ask_at(OLDER, older.address()), || setting.ask_no_more(OLDER));
    let (inject, end) = (|| stage.flow.rate(0), || stage.flow.rate(RATE));
    std::thread::scope(|scope| {
        scope.spawn(|| strike(setting, play.report, "", differ, come, go));
        play.strikes("the sender falls silent", &["AqueductSourceSilent"], inject, end);
    });
}
