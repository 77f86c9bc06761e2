//! Dead letters in the database.
//!
//! Invariant: a letter judged under a claim that is no longer the newest is not stored: its record will be judged again.
//! The claim rows are held `FOR KEY SHARE` meanwhile, which a claim's `FOR UPDATE` waits for (and the other way round),
//! but not a writer that moves its offset: rejects never hold up commits, and cannot deadlock with them.

use super::connect::Connection;
use super::limits;
use super::pool::Timescale;
use super::tending::{Tended, tend};
use crate::base64;
use aqueduct_engine::{Class, Error, Headers, Letter, PartitionKey};
use futures::future::LocalBoxFuture;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// Where letters are kept.
pub trait LetterStore: Send + Sync {
    /// Makes `letters` durable: all of them or none. What is there already, or was judged under a claim that is no
    /// longer the newest, counts as stored.
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>>;

    /// One step of what is done about letters again and again; `None` where nothing is.
    fn tend(&self) -> Option<LocalBoxFuture<'_, Result<Tended, Error>>> {
        None
    }
}

/// Letters in `aqueduct.dead_letter`.
#[derive(Clone, Debug)]
pub struct TimescaleLetters {
    timescale: Timescale,
    topology: Arc<str>,
    node: Arc<str>,
    guarded: bool,
    retention: Option<Duration>,
}

impl TimescaleLetters {
    /// `guarded`: the topology's offsets live in the same database, so letters are held against their claims.
    pub fn new(timescale: Timescale, topology: Arc<str>, node: Arc<str>, guarded: bool) -> Self {
        Self { timescale, topology, node, guarded, retention: None }
    }

    /// The same, with letters kept only so long.
    pub fn kept_for(self, retention: Option<Duration>) -> Self {
        Self { retention, ..self }
    }

    async fn store_all(&self, letters: &[Letter]) -> Result<(), Error> {
        let connection = self.timescale.checkout().await?;
        let run = async |doing: &str, statement: &str| {
            let executed = connection.client().batch_execute(statement);
            connection.within(doing, limits::STATEMENT_WAIT_MAX, executed).await
        };
        run("begin to store letters", "BEGIN").await?;
        let stored = async {
            let current = self.current(&connection, letters).await?;
            let identity = (&*self.topology, &*self.node);
            insert(&connection, identity, &current).await?;
            let commit = connection.client().batch_execute("COMMIT");
            connection.within("commit letters", limits::COMMIT_WAIT_MAX, commit).await
        }
        .await;
        if stored.is_err() && !connection.is_broken() {
            // Its own failure shows as a broken connection.
            let _ = run("roll letters back", "ROLLBACK").await;
        }
        stored
    }

    /// The letters whose claim is the newest, with the claim rows held until the transaction ends.
    async fn current<'a>(
        &self,
        connection: &Connection,
        letters: &'a [Letter],
    ) -> Result<Vec<&'a Letter>, Error> {
        if !self.guarded {
            return Ok(letters.iter().collect());
        }
        let partitions: BTreeSet<_> = letters.iter().map(|letter| &letter.key).collect();
        let inputs: Vec<&str> = partitions.iter().map(|key| &*key.source).collect();
        let topics: Vec<&str> = partitions.iter().map(|key| &*key.topic).collect();
        let numbers: Vec<i32> = partitions.iter().map(|key| key.partition).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &inputs, &topics, &numbers];
        let doing = "hold the claims of letters";
        let rows = connection
            .within(doing, limits::STATEMENT_WAIT_MAX, connection.client().query(HOLD_CLAIMS, &params))
            .await?;
        let partitions: Vec<_> = partitions.into_iter().collect();
        let mut newest = vec![None; partitions.len()];
        for row in &rows {
            let ordinal: i64 = row.get(0);
            let epoch: i64 = row.get(1);
            let slot = &mut newest[ordinal as usize - 1];
            *slot = (*slot).max(Some(epoch));
        }
        let is_current = |letter: &&Letter| {
            partitions.binary_search(&&letter.key).is_ok_and(|index| newest[index] == Some(letter.epoch))
        };
        Ok(letters.iter().filter(is_current).collect())
    }
}

impl LetterStore for TimescaleLetters {
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(self.store_all(letters))
    }

    fn tend(&self) -> Option<LocalBoxFuture<'_, Result<Tended, Error>>> {
        Some(Box::pin(async {
            let connection = self.timescale.checkout().await?;
            tend(&connection, &self.topology, self.retention).await
        }))
    }
}

/// Ordered, so that two transactions take the rows' locks in one order.
const HOLD_CLAIMS: &str = "\
    SELECT n.ordinal, o.epoch \
    FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int4[])) \
         WITH ORDINALITY AS n(input, topic, partition, ordinal) \
    JOIN aqueduct.offsets AS o ON o.input = n.input AND o.topic = n.topic AND o.partition = n.partition \
    WHERE o.topology = $1 \
    ORDER BY o.sink, o.input, o.topic, o.partition \
    FOR KEY SHARE OF o";

const INSERT: &str = "\
    INSERT INTO aqueduct.dead_letter \
        (topology, actor, source, topic, partition, \"offset\", row_index, epoch, class, reason, detail, key, payload, \
         headers, record_time, extent, node) \
    SELECT $1, l.actor, l.source, l.topic, l.partition, l.\"offset\", l.row_index, l.epoch, l.class, l.reason, \
           l.detail, l.key, l.payload, l.headers, \
           'epoch'::timestamptz + l.record_time_ms * interval '1 millisecond', l.extent, $2 \
    FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), \
                    pg_catalog.unnest($6::int4[]), pg_catalog.unnest($7::int8[]), pg_catalog.unnest($8::int4[]), \
                    pg_catalog.unnest($9::int8[]), pg_catalog.unnest($10::text[]), pg_catalog.unnest($11::text[]), \
                    pg_catalog.unnest($12::text[]), pg_catalog.unnest($13::bytea[]), pg_catalog.unnest($14::bytea[]), \
                    pg_catalog.unnest($15::jsonb[]), pg_catalog.unnest($16::int8[]), pg_catalog.unnest($17::text[])) \
         AS l(actor, source, topic, partition, \"offset\", row_index, epoch, class, reason, detail, key, payload, \
              headers, record_time_ms, extent) \
    ON CONFLICT DO NOTHING";

/// Inserts `letters` within the transaction that `connection` is in.
pub async fn insert(
    connection: &Connection,
    (topology, node): (&str, &str),
    letters: &[&Letter],
) -> Result<(), Error> {
    for chunk in chunks(letters) {
        let actors: Vec<&str> = chunk.iter().map(|letter| &*letter.actor).collect();
        let sources: Vec<&str> = chunk.iter().map(|letter| &*letter.key.source).collect();
        let topics: Vec<&str> = chunk.iter().map(|letter| &*letter.key.topic).collect();
        let partitions: Vec<i32> = chunk.iter().map(|letter| letter.key.partition).collect();
        let offsets: Vec<i64> = chunk.iter().map(|letter| letter.offset).collect();
        let rows: Vec<i32> = chunk.iter().map(|letter| letter.row).collect();
        let epochs: Vec<i64> = chunk.iter().map(|letter| letter.epoch).collect();
        let classes: Vec<&str> = chunk.iter().map(|letter| letter.class.as_str()).collect();
        let reasons: Vec<String> = chunk.iter().map(|letter| without_nul(&letter.reason)).collect();
        let details: Vec<String> = chunk.iter().map(|letter| without_nul(&letter.detail)).collect();
        let keys: Vec<Option<&[u8]>> = chunk.iter().map(|letter| letter.record_key.as_deref()).collect();
        let payloads: Vec<Option<&[u8]>> = chunk.iter().map(|letter| letter.payload.as_deref()).collect();
        let headers: Vec<Value> = chunk.iter().map(|letter| headers_json(&letter.headers)).collect();
        let times: Vec<Option<i64>> = chunk.iter().map(|letter| record_time(letter.record_time_ms)).collect();
        let extents: Vec<&str> = chunk.iter().map(|letter| letter.extent.as_str()).collect();
        let params: [&(dyn ToSql + Sync); 17] = [
            &topology,
            &node,
            &actors,
            &sources,
            &topics,
            &partitions,
            &offsets,
            &rows,
            &epochs,
            &classes,
            &reasons,
            &details,
            &keys,
            &payloads,
            &headers,
            &times,
            &extents,
        ];
        let inserted = connection.client().execute(INSERT, &params);
        connection
            .within("store dead letters", limits::STATEMENT_WAIT_MAX, inserted)
            .await
            .map_err(not_the_records_fault)?;
    }
    Ok(())
}

/// Not by source: neither does the key under which a letter is stored once.
const GONE: &str = "\
    SELECT n.ordinal \
    FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int4[]), \
                    pg_catalog.unnest($5::int8[])) \
         WITH ORDINALITY AS n(actor, topic, partition, \"offset\", ordinal) \
    WHERE NOT EXISTS (SELECT 1 FROM aqueduct.dead_letter AS l \
                      WHERE l.topology = $1 AND l.actor = n.actor AND l.topic = n.topic \
                        AND l.partition = n.partition AND l.\"offset\" = n.\"offset\") \
    ORDER BY n.ordinal";

/// Which of `places`, counted from 0, have no letter: of that actor, about that record.
pub(crate) async fn gone<'a>(
    connection: &Connection,
    topology: &str,
    places: impl Iterator<Item = (&'a str, &'a PartitionKey, i64)> + Clone,
) -> Result<Vec<usize>, Error> {
    let actors: Vec<&str> = places.clone().map(|(actor, ..)| actor).collect();
    let topics: Vec<&str> = places.clone().map(|(_, key, _)| &*key.topic).collect();
    let partitions: Vec<i32> = places.clone().map(|(_, key, _)| key.partition).collect();
    let offsets: Vec<i64> = places.map(|(.., offset)| offset).collect();
    let params: [&(dyn ToSql + Sync); 5] = [&topology, &actors, &topics, &partitions, &offsets];
    let asked = connection.client().query(GONE, &params);
    let rows = connection.within("look for letters", limits::STATEMENT_WAIT_MAX, asked).await?;
    Ok(rows.iter().filter_map(|row| usize::try_from(row.get::<_, i64>(0) - 1).ok()).collect())
}

/// A letter that the database refuses must not be taken for a record that it refuses: nobody would keep it.
fn not_the_records_fault(error: Error) -> Error {
    match error.class {
        Class::Data => Error::bug(error.message),
        _ => error,
    }
}

/// Pieces small enough for one statement.
fn chunks<'a, 'l>(letters: &'a [&'l Letter]) -> Vec<&'a [&'l Letter]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, letter) in letters.iter().enumerate() {
        let size =
            letter.payload.as_ref().map_or(0, Vec::len) + letter.record_key.as_ref().map_or(0, Vec::len);
        if index > start && bytes + size > limits::LETTER_STATEMENT_BYTES_MAX {
            chunks.push(&letters[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < letters.len() {
        chunks.push(&letters[start..]);
    }
    chunks
}

/// Array of `{name, value}`; a value that is no text PostgreSQL holds is `{name, base64}`.
fn headers_json(headers: &Headers) -> Value {
    let header = |(name, value): &(Arc<str>, Option<Vec<u8>>)| {
        let name = without_nul(name);
        match value.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => json!({ "name": name, "value": null }),
            Some((_, Ok(text))) if !text.contains('\0') => json!({ "name": name, "value": text }),
            Some((bytes, _)) => json!({ "name": name, "base64": base64::encode(bytes) }),
        }
    };
    headers.iter().map(header).collect()
}

/// PostgreSQL's text holds no NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Kafka's producers may write any time; one that PostgreSQL cannot hold is left out (the payload says more anyway).
fn record_time(ms: Option<i64>) -> Option<i64> {
    const YEAR_9999_MS: i64 = 253_402_300_799_999;
    ms.filter(|ms| (0..=YEAR_9999_MS).contains(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::Extent;

    #[test]
    fn headers_keep_text_as_text_and_bytes_as_bytes() {
        let headers: Headers = vec![
            ("a".into(), Some(b"x".to_vec())),
            ("b".into(), Some(vec![0xff])),
            ("c".into(), None),
            ("d\0".into(), Some(b"\0".to_vec())),
        ];
        assert_eq!(
            headers_json(&headers),
            json!([
                { "name": "a", "value": "x" },
                { "name": "b", "base64": "/w==" },
                { "name": "c", "value": null },
                { "name": "d\u{fffd}", "base64": "AA==" },
            ])
        );
    }

    #[test]
    fn a_large_letter_goes_alone() {
        let letter = |size: usize| Letter {
            actor: "a".into(),
            key: aqueduct_engine::PartitionKey { source: "s".into(), topic: "t".into(), partition: 0 },
            epoch: 1,
            offset: 0,
            row: 0,
            extent: Extent::Row,
            class: Class::Data,
            reason: "r".into(),
            detail: String::new(),
            record_key: None,
            payload: Some(vec![0; size]),
            headers: Headers::new(),
            record_time_ms: None,
        };
        let letters = [letter(10), letter(limits::LETTER_STATEMENT_BYTES_MAX + 1), letter(10), letter(10)];
        let borrowed: Vec<&Letter> = letters.iter().collect();
        let sizes: Vec<usize> = chunks(&borrowed).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [1, 1, 2]);
    }
}
