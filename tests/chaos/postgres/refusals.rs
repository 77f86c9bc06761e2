//! The server refuses transactions that would be fine a moment later.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, restarts};
use crate::harness::wait;
use crate::harness::world::Sql;
use std::time::Duration;

/// A third of all updates of offsets, be it a writer's, a cache's or a claim's. The sequence counts: it does not go
/// back with the transaction.
const REFUSE_SOME: &str = "\
    CREATE SEQUENCE public.refusals; \
    CREATE FUNCTION public.refuse_some() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN \
        IF random() < 0.33 THEN \
            PERFORM nextval('public.refusals'); \
            RAISE EXCEPTION 'injected' USING ERRCODE = (ARRAY['40001', '40P01', '55P03'])[1 + floor(random() * 3)::int]; \
        END IF; \
        RETURN NULL; \
    END $$; \
    CREATE TRIGGER refuse_some BEFORE UPDATE ON aqueduct.offsets \
        FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_some()";
/// How long it may take until enough have been.
const REFUSED_WITHIN: Duration = Duration::from_secs(180);
const REFUSALS: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM public.refusals";

/// Raised by a trigger, then real ones: a session that takes the locks in the other order.
pub fn deadlocks_and_serialization(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("refused");
    stage.await_progress(FIRST);
    let sql = stage.world.sql();
    sql.batch(REFUSE_SOME);
    let wanted = i64::from(trial.times(8, 200));
    let refusals = wait::until("updates are refused", REFUSED_WITHIN, || {
        Some(sql.integer(REFUSALS)).filter(|refusals| *refusals >= wanted)
    });
    sql.batch("DROP TRIGGER refuse_some ON aqueduct.offsets");
    (0..refusals).for_each(|_| trial.fault());
    trial.recovered(stage.time_to_progress());
    for _ in 0..trial.times(2, 30) {
        deadlock(&sql);
        trial.fault();
        trial.recovered(stage.time_to_progress());
    }
    assert_eq!(restarts(&node), 0, "a refusal burns no restart");
    stage.judge(trial, load, vec![node]);
    super::none_rejected(trial);
}

/// Waits for the writer while the writer waits for us. Its patience is the shorter, so it is the one to be refused.
fn deadlock(sql: &Sql) {
    sql.batch("BEGIN; SET LOCAL deadlock_timeout = '20s'; SELECT FROM aqueduct.offsets FOR UPDATE");
    // Meanwhile its next transaction has copied rows and comes to the offsets.
    std::thread::sleep(Duration::from_millis(200));
    sql.batch("LOCK TABLE market.trades IN SHARE ROW EXCLUSIVE MODE; COMMIT");
}
