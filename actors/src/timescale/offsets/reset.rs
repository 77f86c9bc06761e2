//! Moving what is stored: an operator's decision, in one transaction, under a newer epoch.
//!
//! Invariants: whoever owned the partition owns it no more: its next write hits no row, and it claims anew from what
//! stands there. None happens while a replay of the topology's dead letters is at work, which holds the same advisory lock:
//! it took letters because no claim would judge their records again. Deliberately absent: deleting letters. The next claim
//! forgets those of records that it will judge again.

use super::{BEGIN_CLAIM, LOCK_TOPOLOGY, Stand, execute, stands};
use crate::timescale::Connection;
use aqueduct_engine::Error;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::types::ToSql;

/// Where a partition shall be read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Identity of the source.
    pub input: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub to: i64,
}

/// What is to be done, and what somebody has agreed to in so many words.
#[derive(Clone, Debug)]
pub struct Order {
    /// Every partition that is moved.
    pub targets: Vec<Target>,
    /// The sinks that are moved, by identity; each with whether it writes again what it has.
    pub sinks: BTreeMap<String, bool>,
    /// Although a node owns the partition.
    pub fence: bool,
    /// Although sinks write again what they have.
    pub write_again: bool,
    /// Although records will never be seen.
    pub skip_unread: bool,
    /// Members of the consumer group, by name; they may read though no session of theirs is open.
    pub members: Vec<String>,
}

/// One sink in one partition, moved.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Move {
    /// The sink.
    pub sink: String,
    /// Identity of the source.
    pub input: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where it stood.
    pub from: i64,
    /// Where it stands.
    pub to: i64,
    /// Records that it will see again.
    pub again: i64,
    /// Records that it will never see.
    pub skipped: i64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Each sink in each partition.
    pub moves: Vec<Move>,
    /// Nodes that were fenced.
    pub fenced: Vec<String>,
    /// Letters whose records will be judged again: they go with the next claim.
    pub letters_judged_again: i64,
    /// Letters of the same partitions that stay.
    pub letters_kept: i64,
}

/// Moves what `order` says; with `dry`, undoes it again. The inner error says what somebody would have to agree to.
pub async fn reset(
    connection: &Connection,
    topology: &str,
    order: &Order,
    dry: bool,
) -> Result<Result<Report, String>, Error> {
    execute(connection, "begin a reset", BEGIN_CLAIM).await?;
    let outcome = within(connection, topology, order).await;
    let end = match &outcome {
        Ok(Ok(_)) if !dry => "COMMIT",
        _ => "ROLLBACK",
    };
    if !connection.is_broken() {
        execute(connection, "end a reset", end).await?;
    }
    outcome
}

async fn within(
    connection: &Connection,
    topology: &str,
    order: &Order,
) -> Result<Result<Report, String>, Error> {
    if !connection.row("exclude replays", EXCLUDE_REPLAYS, &[&topology]).await?.get::<_, bool>(0) {
        return Ok(Err(
            "dead letters of the topology are being replayed: wait until that has ended, or end it".into(),
        ));
    }
    connection.rows("serialize claims", LOCK_TOPOLOGY, &[&topology]).await?;
    connection.rows("lock the offsets", LOCK, &[&topology]).await?;
    let stored = stands(connection, topology).await?;
    let moves = match plan(&stored, order) {
        Ok(moves) => moves,
        Err(why) => return Ok(Err(why)),
    };
    let partitions: BTreeSet<(&str, &str, i32)> =
        moves.iter().map(|one| (one.input.as_str(), one.topic.as_str(), one.partition)).collect();
    let mut report = Report { fenced: owners(&stored, &partitions), ..Report::default() };
    for (input, topic, partition) in partitions {
        connection.rows("raise the epoch", FENCE, &[&topology, &input, &topic, &partition]).await?;
    }
    for one in &moves {
        let Move { sink, input, topic, partition, to, skipped, .. } = one;
        connection
            .rows("move an offset", MOVE, &[&topology, sink, input, topic, partition, to, skipped])
            .await?;
    }
    for target in order.targets.iter().filter(|target| moves.iter().any(|one| one.is_of(target))) {
        let params: [&(dyn ToSql + Sync); 4] = [&topology, &target.input, &target.topic, &target.partition];
        let rows = connection.rows("count letters", LETTERS, &params).await?;
        let (again, all): (i64, i64) = (rows[0].get(0), rows[0].get(1));
        report.letters_judged_again += again;
        report.letters_kept += all - again;
    }
    report.moves = moves;
    Ok(Ok(report))
}

impl Move {
    fn is_of(&self, target: &Target) -> bool {
        (&self.input, &self.topic, self.partition) == (&target.input, &target.topic, target.partition)
    }
}

/// The nodes whose sessions are open, of those partitions.
fn owners(stored: &[Stand], partitions: &BTreeSet<(&str, &str, i32)>) -> Vec<String> {
    let of = |stand: &&Stand| {
        stand.owned && partitions.contains(&(stand.input.as_str(), stand.topic.as_str(), stand.partition))
    };
    let nodes: BTreeSet<&str> = stored.iter().filter(of).map(|stand| stand.node.as_str()).collect();
    nodes.into_iter().map(str::to_owned).collect()
}

/// What moves; or what somebody would have to agree to first. Pure.
fn plan(stored: &[Stand], order: &Order) -> Result<Vec<Move>, String> {
    let mut moves = Vec::new();
    for target in &order.targets {
        let here: Vec<&Stand> = stored
            .iter()
            .filter(|stand| {
                (&stand.input, &stand.topic, stand.partition)
                    == (&target.input, &target.topic, target.partition)
            })
            .collect();
        refuse_owned(target, &here, order)?;
        for stand in here.into_iter().filter(|stand| order.sinks.contains_key(&stand.sink)) {
            let (from, to) = (stand.next_offset, target.to);
            moves.push(Move {
                sink: stand.sink.clone(),
                input: target.input.clone(),
                topic: target.topic.clone(),
                partition: target.partition,
                from,
                to,
                again: (from - to).max(0),
                skipped: (to - from).max(0),
            });
        }
    }
    if moves.is_empty() {
        let sinks: Vec<&str> = order.sinks.keys().map(String::as_str).collect();
        return Err(format!(
            "no offset is stored for {} there: nothing has run yet, so `start` of the source says where it begins",
            sinks.join(", ")
        ));
    }
    agreed(&moves, order)?;
    Ok(moves)
}

fn refuse_owned(target: &Target, here: &[&Stand], order: &Order) -> Result<(), String> {
    if order.fence {
        return Ok(());
    }
    let place = format!("{}/{}", target.topic, target.partition);
    if let Some(owner) = here.iter().find(|stand| stand.owned) {
        return Err(format!(
            "{place} is owned by node `{}`, whose sessions are open: stop it, or --fence it: it then reads on from the \
             new offset",
            owner.node
        ));
    }
    if !order.members.is_empty() {
        return Err(format!(
            "{place}: the consumer group has members ({}): stop them (one that was killed leaves after its session of 10 s), \
             or --fence whoever owns it",
            order.members.join(", ")
        ));
    }
    Ok(())
}

/// Refuses what was not agreed to in so many words.
fn agreed(moves: &[Move], order: &Order) -> Result<(), String> {
    let doubles = |one: &&Move| one.again > 0 && order.sinks.get(&one.sink) == Some(&true);
    let doubled: i64 = moves.iter().filter(doubles).map(|one| one.again).sum();
    if doubled > 0 && !order.write_again {
        let sinks: BTreeSet<&str> = moves.iter().filter(doubles).map(|one| one.sink.as_str()).collect();
        let sinks: Vec<&str> = sinks.into_iter().collect();
        return Err(format!(
            "{doubled} records before the stored offsets would be written again by {}, which does not know them apart: \
             their rows would be doubled. Delete those rows first, or say --write-again",
            sinks.join(", ")
        ));
    }
    let skipped: i64 = moves.iter().map(|one| one.skipped).sum();
    if skipped > 0 && !order.skip_unread {
        return Err(format!(
            "{skipped} records after the stored offsets would never be read: say --skip-unread, and they are counted as skipped"
        ));
    }
    Ok(())
}

/// Forgets a sink that the topology does not have any more, so that another may feed its table; how many offsets it was.
pub async fn forget(connection: &Connection, topology: &str, sink: &str) -> Result<u64, Error> {
    const FORGET: &str = "DELETE FROM aqueduct.offsets WHERE topology = $1 AND sink = $2";
    connection.hits("forget a sink's offsets", FORGET, &[&topology, &sink]).await
}

/// Until the transaction ends; shared with retention, which is at work for a moment now and then.
const EXCLUDE_REPLAYS: &str = "\
    SELECT pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended('aqueduct replay ' || $1::text, 0))";

/// Ordered as every other transaction locks them.
const LOCK: &str = "\
    SELECT FROM aqueduct.offsets WHERE topology = $1 ORDER BY sink, input, topic, partition FOR UPDATE";

/// Of every sink: the partition has one epoch.
const FENCE: &str = "\
    UPDATE aqueduct.offsets AS o \
    SET epoch = (SELECT max(p.epoch) + 1 FROM aqueduct.offsets AS p \
                 WHERE p.topology = $1 AND p.input = $2 AND p.topic = $3 AND p.partition = $4), \
        owner = pg_catalog.gen_random_uuid(), updated_at = pg_catalog.clock_timestamp() \
    WHERE o.topology = $1 AND o.input = $2 AND o.topic = $3 AND o.partition = $4";

const MOVE: &str = "\
    UPDATE aqueduct.offsets SET next_offset = $6, skipped = skipped + $7 \
    WHERE topology = $1 AND sink = $2 AND input = $3 AND topic = $4 AND partition = $5";

/// Those that the next claim forgets, by the same rule, and all.
const LETTERS: &str = "\
    SELECT count(*) FILTER (WHERE l.\"offset\" >= COALESCE( \
               (SELECT o.next_offset FROM aqueduct.offsets AS o \
                WHERE o.topology = l.topology AND o.sink = l.actor AND o.input = l.source AND o.topic = l.topic \
                  AND o.partition = l.partition), \
               (SELECT max(o.next_offset) FROM aqueduct.offsets AS o \
                WHERE o.topology = l.topology AND o.input = l.source AND o.topic = l.topic \
                  AND o.partition = l.partition AND o.required))), \
           count(*) \
    FROM aqueduct.dead_letter AS l \
    WHERE l.topology = $1 AND l.source = $2 AND l.topic = $3 AND l.partition = $4";

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(sink: &str, partition: i32, next_offset: i64, owned: bool) -> Stand {
        Stand {
            sink: sink.into(),
            input: "ticks".into(),
            topic: "md".into(),
            partition,
            epoch: 3,
            node: "a".into(),
            owned,
            next_offset,
            required: true,
            target: sink.into(),
            skipped: 0,
            updated_us: 0,
        }
    }

    fn order(to: i64) -> Order {
        let target = Target { input: "ticks".into(), topic: "md".into(), partition: 0, to };
        Order {
            targets: vec![target],
            sinks: [("history".to_owned(), true), ("cache".to_owned(), false)].into(),
            fence: false,
            write_again: false,
            skip_unread: false,
            members: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_moved_under_an_owner_that_lives_unless_it_is_fenced() {
        let stored = [stand("history", 0, 50, true)];
        let error = plan(&stored, &order(50)).unwrap_err();
        assert!(error.starts_with("md/0 is owned by node `a`, whose sessions are open"), "{error}");
        assert!(plan(&stored, &Order { fence: true, ..order(50) }).is_ok());
        let members = Order { members: vec!["aqueduct-t".into()], ..order(50) };
        assert!(
            plan(&[stand("history", 0, 50, false)], &members)
                .unwrap_err()
                .contains("has members (aqueduct-t)")
        );
        assert!(plan(&[stand("history", 0, 50, false), stand("history", 1, 9, true)], &order(50)).is_ok());
    }

    #[test]
    fn back_needs_a_word_only_where_rows_would_be_doubled() {
        let stored = [stand("history", 0, 50, false), stand("cache", 0, 50, false)];
        let error = plan(&stored, &order(20)).unwrap_err();
        assert!(
            error.starts_with("30 records before the stored offsets would be written again by history"),
            "{error}"
        );
        let moves = plan(&stored, &Order { write_again: true, ..order(20) }).unwrap();
        assert_eq!(moves.iter().map(|one| (one.again, one.skipped)).collect::<Vec<_>>(), [(30, 0), (30, 0)]);
        let only_cache = Order { sinks: [("cache".to_owned(), false)].into(), ..order(20) };
        assert_eq!(plan(&stored, &only_cache).unwrap().len(), 1, "a cache is guarded by order");
    }

    #[test]
    fn forward_needs_a_word_and_is_counted() {
        let stored = [stand("history", 0, 50, false)];
        let error = plan(&stored, &order(80)).unwrap_err();
        assert!(error.starts_with("30 records after the stored offsets would never be read"), "{error}");
        let moves = plan(&stored, &Order { skip_unread: true, ..order(80) }).unwrap();
        assert_eq!((moves[0].from, moves[0].to, moves[0].skipped), (50, 80, 30));
    }

    #[test]
    fn what_never_ran_is_moved_by_the_file() {
        let error = plan(&[], &order(0)).unwrap_err();
        assert!(error.contains("`start` of the source"), "{error}");
    }
}
