//! Letters that are rejected again: marked, with their attempts and the reason, or moved to who rejects them now.
//!
//! - The rules reject it: the letter itself is marked. Of a record that was rejected whole nothing is written then, even
//!   if only one of its rows is at fault: it stays whole, for a better set of rules.
//! - A sink refuses a row: it becomes a letter of that sink, in the place where the record came from; what other sinks
//!   made of it stands. The sink's own letter is marked instead. A record that kills the sink becomes a letter of all that
//!   the sink was given of it.
//!
//! Invariant: a letter is counted once a claim, however often its batch is delivered, and never under a claim that is not
//! the newest any more.

use super::run::{Run, Taken, held};
use crate::timescale::{Connection, LetterStore, limits};
use aqueduct_engine::{Error, Letter};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// Where the letters of a replay go.
pub(super) struct AgainLetters {
    pub(super) run: Arc<Run>,
}

impl LetterStore for AgainLetters {
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let connection = self.run.timescale.checkout().await?;
            let begun = connection.client().batch_execute("BEGIN");
            connection.within("begin to mark letters", limits::STATEMENT_WAIT_MAX, begun).await?;
            let marked = async {
                keep(&self.run, &connection, letters).await?;
                let commit = connection.client().batch_execute("COMMIT");
                connection.within("commit letters", limits::COMMIT_WAIT_MAX, commit).await
            }
            .await;
            match &marked {
                Ok(()) => self.note(letters),
                // Its own failure shows as a broken connection.
                Err(_) if !connection.is_broken() => {
                    let undone = connection.client().batch_execute("ROLLBACK");
                    let _ = connection.within("roll letters back", limits::STATEMENT_WAIT_MAX, undone).await;
                }
                Err(_) => {}
            }
            marked
        })
    }
}

impl AgainLetters {
    /// The rows of a letter that the rules reject do not pass, whatever of them the rules let pass.
    fn note(&self, letters: &[Letter]) {
        for letter in letters.iter().filter(|letter| is_of_rules(&self.run, letter)) {
            if concerned(&self.run, letter).is_some() {
                self.run.fail(letter.epoch, letter.offset);
            }
        }
    }
}

fn is_of_rules(run: &Run, letter: &Letter) -> bool {
    letter.actor == run.lane.normalizer || &*letter.actor == super::lane::ROWS
}

/// What is replayed, if the letter speaks of it.
fn concerned(run: &Run, letter: &Letter) -> Option<Taken> {
    run.get(letter.offset).filter(|taken| taken.concerns(letter.row, letter.extent))
}

/// Marks `letters` within the transaction that `connection` is in.
pub(super) async fn keep(run: &Run, connection: &Connection, letters: &[Letter]) -> Result<(), Error> {
    for letter in letters {
        let Some(taken) = concerned(run, letter) else { continue };
        let actor = &*letter.actor;
        let (row, extent) = taken.refused(letter.row, letter.extent);
        let extent = extent.as_str();
        let (reason, detail) = (without_nul(&letter.reason), without_nul(&letter.detail));
        let source = &*run.lane.source;
        let (node, class) = (&*run.node, letter.class.as_str());
        let params: [&(dyn ToSql + Sync); 11] = [
            &&*run.topology,
            &letter.offset,
            &letter.epoch,
            &source,
            &actor,
            &reason,
            &detail,
            &row,
            &node,
            &class,
            &extent,
        ];
        let (statement, params) = match is_of_rules(run, letter) {
            true => (MARK_AGAIN, &params[..7]),
            false => (REFUSED_AGAIN, &params[..]),
        };
        connection.hits("mark a letter", statement, params).await?;
    }
    Ok(())
}

/// PostgreSQL's text holds no NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

const MARK_AGAIN: &str = concat!(
    held!("$4"),
    "UPDATE aqueduct.dead_letter AS l \
     SET attempts = l.attempts + 1, attempted_at = pg_catalog.clock_timestamp(), attempted_epoch = $3, \
         again_actor = $5, again_reason = $6, again_detail = $7 \
     FROM ours \
     WHERE ours.ours AND l.topology = $1 AND l.id = $2 AND l.replayed_at IS NULL \
       AND l.attempted_epoch IS DISTINCT FROM $3"
);

/// A letter of that sink at the same place is that letter, tried again; of the whole record it becomes one of the row.
const REFUSED_AGAIN: &str = concat!(
    held!("$4"),
    "INSERT INTO aqueduct.dead_letter AS k \
        (topology, actor, source, topic, partition, \"offset\", row_index, epoch, class, reason, detail, key, payload, \
         headers, record_time, extent, node, attempts, attempted_at, attempted_epoch, again_actor, again_reason, again_detail) \
     SELECT l.topology, $5, l.source, l.topic, l.partition, l.\"offset\", $8::int4, l.epoch, $10, $6, $7, l.key, l.payload, \
            l.headers, l.record_time, $11, $9, 1, pg_catalog.clock_timestamp(), $3::int8, $5, $6, $7 \
     FROM aqueduct.dead_letter AS l, ours WHERE ours.ours AND l.topology = $1 AND l.id = $2 \
     ON CONFLICT (topology, actor, topic, partition, \"offset\", row_index) DO UPDATE \
        SET extent = excluded.extent, attempts = k.attempts + 1, attempted_at = pg_catalog.clock_timestamp(), \
            attempted_epoch = excluded.attempted_epoch, again_actor = excluded.again_actor, \
            again_reason = excluded.again_reason, again_detail = excluded.again_detail \
        WHERE k.replayed_at IS NULL AND k.attempted_epoch IS DISTINCT FROM excluded.attempted_epoch"
);
