//! The compare-and-set that lets an offset advance only under the claim it was read under, and what a miss means.

use super::connect::Connection;
use super::limits;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Claim, Error, Owner, PartitionKey};
use std::sync::Arc;
use tokio_postgres::Statement;

/// The offset of one partition, moved by a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Which partition.
    pub key: PartitionKey,
    /// Our claim.
    pub epoch: i64,
    /// Our token.
    pub owner: Owner,
    /// What must stand there.
    pub previous: i64,
    /// What stands there afterwards.
    pub next: i64,
}

impl Advance {
    /// Whether it finds what it expects: the condition of [`ADVANCE`], for a store without SQL.
    pub(crate) fn hits(&self, stored: &Stored) -> bool {
        let expected =
            (stored.epoch, stored.owner, stored.next_offset) == (self.epoch, self.owner, self.previous);
        expected || planted(Bug::RemovesTheFence)
    }
}

/// What the database has of one sink's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The newest claim.
    pub epoch: i64,
    /// Whose.
    pub owner: Owner,
    /// The next offset this sink needs.
    pub next_offset: i64,
}

/// What a row of the database says about our claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ours; everything below is durable.
    Ours(i64),
    /// Ours, but lower than what we know was durable: the database went back in time.
    WentBack,
    /// Somebody newer owns the partition.
    Fenced,
    /// The row is older than our claim, or gone: the claim was lost in a failover.
    ClaimLost,
}

/// Judges what is stored beside our `claim`; `durable` is the highest offset we know was committed.
pub fn judge(stored: Option<&Stored>, claim: &Claim, durable: i64) -> Verdict {
    match stored {
        Some(stored) if planted(Bug::RemovesTheFence) => Verdict::Ours(stored.next_offset),
        None => Verdict::ClaimLost,
        Some(stored) if stored.epoch < claim.epoch => Verdict::ClaimLost,
        Some(stored) if stored.epoch > claim.epoch || stored.owner != claim.owner => Verdict::Fenced,
        Some(stored) if stored.next_offset < durable => Verdict::WentBack,
        Some(stored) => Verdict::Ours(stored.next_offset),
    }
}

/// The statement of [`advance`], to be prepared once per connection.
pub const ADVANCE: &str = "\
    UPDATE aqueduct.offsets AS o \
    SET next_offset = n.next, updated_at = pg_catalog.clock_timestamp() \
    FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::int4[]), \
                    pg_catalog.unnest($6::int8[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::int8[]), \
                    pg_catalog.unnest($9::int8[])) \
         AS n(input, topic, partition, epoch, owner, previous, next) \
    WHERE o.topology = $1 AND o.sink = $2 AND o.input = n.input AND o.topic = n.topic \
      AND o.partition = n.partition AND o.epoch = n.epoch AND o.owner = n.owner::uuid \
      AND o.next_offset = n.previous";

/// Moves the offsets of `sink`; says how many rows it hit. Fewer than `advances` = roll back.
///
/// Deliberately not awaited under a limit here: a writer pipelines it behind its COPY.
pub async fn advance(
    connection: &Connection,
    statement: &Statement,
    (topology, sink): (&str, &str),
    advances: &[Advance],
) -> Result<u64, tokio_postgres::Error> {
    let column = |of: fn(&Advance) -> &str| advances.iter().map(of).collect::<Vec<_>>();
    let number = |of: fn(&Advance) -> i64| advances.iter().map(of).collect::<Vec<_>>();
    let partitions: Vec<i32> = advances.iter().map(|advance| advance.key.partition).collect();
    let owners: Vec<String> = advances.iter().map(|advance| owner_text(advance.owner)).collect();
    let client = connection.client();
    client
        .execute(
            statement,
            &[
                &topology,
                &sink,
                &column(|advance| &advance.key.source),
                &column(|advance| &advance.key.topic),
                &partitions,
                &number(|advance| advance.epoch),
                &owners,
                &number(|advance| advance.previous),
                &number(|advance| advance.next),
            ],
        )
        .await
}

const STORED: &str = "\
    SELECT n.ordinal, o.epoch, o.owner::text, o.next_offset \
    FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::int4[])) \
         WITH ORDINALITY AS n(input, topic, partition, ordinal) \
    JOIN aqueduct.offsets AS o ON o.input = n.input AND o.topic = n.topic AND o.partition = n.partition \
    WHERE o.topology = $1 AND o.sink = $2";

/// What is stored for each of `keys`, in their order.
pub async fn read_stored(
    connection: &Connection,
    (topology, sink): (&str, &str),
    keys: &[&PartitionKey],
) -> Result<Vec<Option<Stored>>, Error> {
    let inputs: Vec<&str> = keys.iter().map(|key| &*key.source).collect();
    let topics: Vec<&str> = keys.iter().map(|key| &*key.topic).collect();
    let partitions: Vec<i32> = keys.iter().map(|key| key.partition).collect();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&topology, &sink, &inputs, &topics, &partitions];
    let rows = connection
        .within("read stored offsets", limits::STATEMENT_WAIT_MAX, connection.client().query(STORED, &params))
        .await?;
    let mut stored = vec![None; keys.len()];
    for row in rows {
        let ordinal: i64 = row.get(0);
        stored[ordinal as usize - 1] =
            Some(Stored { epoch: row.get(1), owner: owner_of_text(row.get(2)), next_offset: row.get(3) });
    }
    Ok(stored)
}

const REJECTED: &str = "\
    SELECT \"offset\", reason FROM aqueduct.dead_letter \
    WHERE topology = $1 AND actor = $2 AND source = $3 AND topic = $4 AND partition = $5 \
      AND \"offset\" >= $6 AND \"offset\" < $7";

/// The records of `range` that `sink` itself rejected, with the reason: stored beside rows whose commit was not seen.
pub async fn rejected_offsets(
    connection: &Connection,
    (topology, sink): (&str, &str),
    key: &PartitionKey,
    range: std::ops::Range<i64>,
) -> Result<Vec<(i64, Arc<str>)>, Error> {
    let (source, topic) = (&*key.source, &*key.topic);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&topology, &sink, &source, &topic, &key.partition, &range.start, &range.end];
    let rows = connection
        .within("read dead letters", limits::STATEMENT_WAIT_MAX, connection.client().query(REJECTED, &params))
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())).collect())
}

/// A token as PostgreSQL reads a uuid.
pub fn owner_text(owner: Owner) -> String {
    format!("{:032x}", owner.0)
}

/// The token in PostgreSQL's text of a uuid.
pub fn owner_of_text(text: &str) -> Owner {
    let digits = text.chars().filter_map(|c| c.to_digit(16));
    Owner(digits.fold(0, |value, digit| value << 4 | u128::from(digit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn claim() -> Claim {
        let key = PartitionKey { source: "s".into(), topic: "t".into(), partition: 0 };
        let (sinks, skipped) = (BTreeMap::new(), BTreeMap::new());
        Claim { key, epoch: 5, owner: Owner(7), start: 0, sinks, skipped }
    }

    fn stored(epoch: i64, owner: u128, next_offset: i64) -> Stored {
        Stored { epoch, owner: Owner(owner), next_offset }
    }

    #[test]
    fn a_miss_is_judged_by_epoch_then_owner_then_offset() {
        let judge = |row: Option<Stored>| judge(row.as_ref(), &claim(), 100);
        assert_eq!(judge(Some(stored(5, 7, 100))), Verdict::Ours(100));
        assert_eq!(judge(Some(stored(5, 7, 140))), Verdict::Ours(140), "an ambiguous commit had succeeded");
        assert_eq!(judge(Some(stored(5, 7, 99))), Verdict::WentBack);
        assert_eq!(judge(Some(stored(6, 7, 100))), Verdict::Fenced);
        assert_eq!(
            judge(Some(stored(5, 8, 100))),
            Verdict::Fenced,
            "same epoch, claimed on the other side of a failover"
        );
        assert_eq!(judge(Some(stored(4, 7, 100))), Verdict::ClaimLost);
        assert_eq!(judge(None), Verdict::ClaimLost);
    }

    #[test]
    fn a_token_survives_postgresqls_text_form() {
        let owner = Owner(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(owner_of_text("01234567-89ab-cdef-0011-223344556677"), owner);
        assert_eq!(owner_of_text(&owner_text(owner)), owner);
    }
}
