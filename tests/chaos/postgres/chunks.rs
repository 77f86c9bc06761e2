//! Old chunks are dropped beside writes, as a retention job does.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, none_rejected, restarts};
use crate::harness::world::Sql;
use std::time::{Duration, Instant};

/// What is dropped on purpose is kept aside with its chunk locked, so that the oracle can count it; a chunk that comes to
/// life again is dropped, and kept aside, again.
const SET_ASIDE: &str = "\
    SELECT set_chunk_time_interval('market.trades', interval '1 second'); \
    CREATE TABLE public.dropped (LIKE market.trades); \
    CREATE PROCEDURE public.drop_old(kept interval) LANGUAGE plpgsql AS $$ \
    DECLARE \
        bound timestamptz := (SELECT max(ts) - kept FROM market.trades); \
        chunk regclass; \
    BEGIN \
        FOR chunk IN SELECT show_chunks('market.trades', older_than => bound) LOOP \
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk); \
            EXECUTE format('INSERT INTO public.dropped SELECT * FROM %s', chunk); \
        END LOOP; \
        PERFORM drop_chunks('market.trades', older_than => bound); \
    END $$";
const CHUNKS: &str = "SELECT count(*) FROM show_chunks('market.trades')";

/// Down to a fraction of a second behind the writer: it often loses the chunk it was about to write to.
pub fn dropped_each_second(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let sql = stage.world.sql();
    sql.batch(SET_ASIDE);
    let load = stage.load(RATE);
    let node = stage.node("chunks");
    stage.await_progress(FIRST);
    let (began, lasts) = (Instant::now(), trial.seconds(6, 120));
    while began.elapsed() < lasts {
        std::thread::sleep(Duration::from_secs(1));
        let before = sql.integer(CHUNKS);
        if drop_old(&sql, trial.random.u64(0..2_000)) && sql.integer(CHUNKS) < before {
            trial.fault();
        }
    }
    trial.recovered(stage.time_to_progress());
    assert_eq!(restarts(&node), 0, "a chunk that is gone burns no restart");
    sql.batch("INSERT INTO market.trades SELECT * FROM public.dropped");
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
}

/// False where the writer stood in the way and the server chose us: the next one will do.
fn drop_old(sql: &Sql, kept_ms: u64) -> bool {
    let call = format!("CALL public.drop_old(interval '{kept_ms} milliseconds')");
    sql.try_batch(&call).is_ok()
}
