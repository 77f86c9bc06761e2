//! The primary goes, and its standby takes over.
//!
//! Nodes know both servers: `postgres://user@first,second/database?target_session_attrs=read-write`. So does whoever
//! judges: what counts is what the primary of the end holds.

use super::super::stage::Stage;
use super::super::trial::{Kit, Trial};
use super::{FIRST, RATE, STARTED_WITHIN, none_rejected};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::wire::server_of;
use crate::harness::world::Sql;
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};
use std::time::{Duration, Instant};

/// A database and its standby.
const PAIR: Kit = Kit { name: "pair", up: pair };

fn pair() -> Stack {
    let options = Options::from_env("chaos", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    let options = options.parts(&[Part::Kafka, Part::Timescale, Part::Redis, Part::Standby]);
    Stack::up(&options, &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}

/// From the promotion to the first new rows; what is promised is 10 s.
const RECOVERED_WITHIN: Duration = Duration::from_secs(10);
/// How long a standby may take to see what its primary has.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);
/// So many records are lost with the primary.
const LOST: i64 = 2_000;

/// The two servers, each by a url to the stage's database.
struct Pair {
    primary: String,
    standby: String,
}

impl Pair {
    /// From here on the stage's nodes, and its judge, know both.
    fn of(stage: &mut Stage) -> Self {
        let primary = stage.world.database_url().to_owned();
        let standby = stage.world.stack().address(Part::Standby).expect("a standby");
        let hosts = [server_of(&primary), server_of(&standby)];
        stage.world.lead_to(format!(
            "{}?target_session_attrs=read-write",
            primary.replace(&hosts[0], &hosts.join(","))
        ));
        let standby = primary.replace(&hosts[0], &hosts[1]);
        wait::until("the standby has the database", CAUGHT_UP_WITHIN, || Sql::try_connect(&standby).ok());
        Self { primary, standby }
    }

    /// No commit is answered before the standby has it.
    fn synchronize(&self) {
        let sql = Sql::connect(&self.primary);
        set(&sql, "synchronous_standby_names = '*'");
        wait::until("replication is synchronous", CAUGHT_UP_WITHIN, || {
            let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            (sql.integer(synchronous) == 1).then_some(())
        });
    }

    /// The standby is the primary from this moment on.
    fn promote(&self) -> Instant {
        let sql = Sql::connect(&self.standby);
        sql.batch("SELECT pg_promote(true, 30)");
        Instant::now()
    }

    /// Both as they were before: the former primary leads, the standby begins as its copy.
    fn restore(&self, stack: &Stack) {
        stack.stop(Part::Standby).expect("stop the standby");
        stack.start(Part::Timescale).expect("start PostgreSQL");
        set(&Sql::connect(&self.primary), "synchronous_standby_names = ''");
        set(&Sql::connect(&self.primary), "default_transaction_read_only = off");
        stack.start(Part::Standby).expect("start the standby");
    }
}

/// Changes a setting of the server, for good.
fn set(sql: &Sql, setting: &str) {
    sql.batch(&sql.format("ALTER SYSTEM SET %s", &[setting]));
    sql.batch("SELECT pg_reload_conf()");
}

/// Until the first new rows on the new primary, which had `before` of them.
fn recovery(stage: &Stage, pair: &Pair, promoted: Instant, before: i64) -> Duration {
    let sql = Sql::connect(&pair.standby);
    wait::until("new rows on the new primary", STARTED_WITHIN, || {
        (stage.progress(&sql)? > before).then(|| promoted.elapsed())
    })
}

fn report(trial: &mut Trial<'_>, recovery: Duration) {
    trial.recovered(recovery);
    assert!(recovery <= RECOVERED_WITHIN, "new rows came {recovery:?} after the promotion");
}

/// Replicated synchronously: what was answered is there, and the node finds its way by itself.
pub fn to_the_standby(trial: &mut Trial<'_>) {
    let mut stage = Stage::set(trial, PAIR);
    let pair = Pair::of(&mut stage);
    pair.synchronize();
    let load = stage.load(RATE);
    let node = stage.node("failover");
    stage.await_progress(FIRST);
    let answered = stage.progress(&Sql::connect(&pair.primary)).expect("the primary answers");
    stage.world.stack().kill(Part::Timescale).expect("kill the primary");
    trial.fault();
    let promoted = pair.promote();
    let kept = stage.progress(&Sql::connect(&pair.standby)).expect("the new primary answers");
    assert!(kept >= answered, "{answered} records were written, the new primary has {kept}");
    report(trial, recovery(&stage, &pair, promoted, kept));
    std::thread::sleep(trial.seconds(1, 10));
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
    pair.restore(stage.world.stack());
}

/// Replicated asynchronously, and the standby had not heard of the last commits: rows, offsets and perhaps claims are
/// those of before. Whether records still come or not, what is missing is read and written again.
pub fn that_lost_commits(trial: &mut Trial<'_>) {
    let mut stage = Stage::set(trial, PAIR);
    let pair = Pair::of(&mut stage);
    let load = stage.load(RATE);
    let node = stage.node("failover");
    stage.await_progress(FIRST);
    let (primary, standby) = (Sql::connect(&pair.primary), Sql::connect(&pair.standby));
    wait::until("the standby follows", CAUGHT_UP_WITHIN, || {
        stage.progress(&standby).filter(|progress| *progress >= FIRST)
    });
    set(&standby, "primary_conninfo = ''");
    wait::until("the standby hears nothing", CAUGHT_UP_WITHIN, || {
        (standby.integer("SELECT count(*) FROM pg_stat_wal_receiver") == 0).then_some(())
    });
    let kept = stage.progress(&standby).expect("the standby answers");
    wait::until("commits the standby has not", CAUGHT_UP_WITHIN, || {
        (stage.progress(&primary)? >= kept + LOST).then_some(())
    });
    // Where nothing is sent any more, no record comes to show that others are missing.
    let either = trial.random.u32(0..2);
    let idle = trial.times(1, either) == 1;
    if idle {
        load.pause();
        await_quiet(&node, load.sent());
    }
    let written = stage.progress(&primary).expect("the primary answers");
    stage.world.stack().kill(Part::Timescale).expect("kill the primary");
    trial.fault();
    let promoted = pair.promote();
    let kept = stage.progress(&Sql::connect(&pair.standby)).expect("the new primary answers");
    assert!(kept + LOST <= written, "the new primary has {kept} of {written}: nothing was lost");
    trial.note(format!("{} written records were lost with the primary and written again", written - kept));
    report(trial, recovery(&stage, &pair, promoted, kept));
    if idle {
        stage.await_progress(written);
        load.go_on();
    }
    std::thread::sleep(trial.seconds(1, 10));
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
    pair.restore(stage.world.stack());
}

fn await_quiet(node: &Node, sent: u64) {
    wait::until("everything is written", STARTED_WITHIN, || {
        (node.ledger("in_flight") == 0 && node.ledger("read") as u64 >= sent).then_some(())
    });
}

/// A switch-over in which the old primary lives on and takes no writes (25006): open sessions leave it, and when it comes
/// back, first in the list of hosts as ever, nobody stays with it and no row is written there.
pub fn old_primary_back_read_only(trial: &mut Trial<'_>) {
    let mut stage = Stage::set(trial, PAIR);
    let pair = Pair::of(&mut stage);
    pair.synchronize();
    let load = stage.load(RATE);
    let node = stage.node("failover");
    stage.await_progress(FIRST);
    set(&Sql::connect(&pair.primary), "default_transaction_read_only = on");
    trial.fault();
    let old = wait::until("the old primary has come to rest", CAUGHT_UP_WITHIN, || {
        let before = held(&pair.primary);
        std::thread::sleep(Duration::from_millis(500));
        Some(before).filter(|before| *before == held(&pair.primary))
    });
    wait::until("the standby has it all", CAUGHT_UP_WITHIN, || {
        (stage.progress(&Sql::connect(&pair.standby)) == Some(old.1)).then_some(())
    });
    let promoted = pair.promote();
    report(trial, recovery(&stage, &pair, promoted, old.1));
    let stack = stage.world.stack();
    stack.kill(Part::Timescale).expect("kill the old primary");
    stack.start(Part::Timescale).expect("it comes back");
    for _ in 0..trial.times(2, 20) {
        let before = stage.progress(&Sql::connect(&pair.standby)).expect("the new primary answers");
        Sql::connect(&pair.standby).batch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'aqueduct/%'",
        );
        trial.fault();
        report(trial, recovery(&stage, &pair, Instant::now(), before));
    }
    assert_eq!(held(&pair.primary), old, "rows or offsets were written to the old primary");
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
    pair.restore(stage.world.stack());
}

/// Rows and the sum of offsets of that server.
fn held(url: &str) -> (i64, i64) {
    let sql = Sql::connect(url);
    let offsets = "SELECT coalesce(sum(next_offset), 0)::bigint FROM aqueduct.offsets WHERE sink = 'history'";
    (sql.integer("SELECT count(*) FROM market.trades"), sql.integer(offsets))
}
