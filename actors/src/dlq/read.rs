//! Letters as they are stored. A list never reads payloads: those lie out of line, and a page of them is bounded.

use super::filter::{Bound, Filter, matching, state};
use crate::timescale::Connection;
use aqueduct_engine::{Error, Headers};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Payload bytes that one page of [`payloads`] is asked for; a larger letter comes alone.
const PAGE_BYTES_MAX: i64 = 8 << 20;

/// Where a record came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The identity of the source.
    pub source: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Why a replay rejected a letter again, last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// Who.
    pub actor: Option<String>,
    /// A stable word.
    pub reason: Option<String>,
    /// For people.
    pub detail: Option<String>,
    /// When, microseconds since 1970 UTC.
    #[serde(skip)]
    pub at_us: Option<i64>,
}

/// One letter without its bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Letter {
    /// Its number: ascending in the order of storing.
    pub id: i64,
    /// Who rejected it.
    pub actor: String,
    /// Where it came from.
    #[serde(flatten)]
    pub place: Place,
    /// The row within the record.
    pub row: i32,
    /// `record`, `row` or `several`; `None` in letters of an older version.
    pub extent: Option<String>,
    /// Why, as a class.
    pub class: String,
    /// Why, as a word.
    pub reason: String,
    /// Why, for people.
    pub detail: String,
    /// `new`, `replayed` or `failed-again`.
    pub state: String,
    /// Replays that rejected it again.
    pub attempts: i32,
    /// Why, the last of them.
    pub again: Option<Again>,
    /// `written` or `filtered`, once replayed.
    pub outcome: Option<String>,
    /// Sinks that have what a replay made of it.
    pub replayed_to: Vec<String>,
    /// Bytes of the record's value.
    pub bytes: Option<i32>,
    /// The node that rejected it.
    pub node: String,
    /// When it was stored, microseconds since 1970 UTC.
    #[serde(skip)]
    pub at_us: i64,
    /// When it was replayed, microseconds since 1970 UTC.
    #[serde(skip)]
    pub replayed_at_us: Option<i64>,
    /// The record's Kafka time, microseconds since 1970 UTC.
    #[serde(skip)]
    pub record_time_us: Option<i64>,
}

/// The record of a letter, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// What is known of it.
    pub letter: Letter,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Headers,
}

/// How many letters have one actor, reason and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Who rejected them.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What they have come to.
    pub state: String,
    /// How many.
    pub letters: i64,
    /// When the first was stored, microseconds since 1970 UTC.
    #[serde(skip)]
    pub oldest_us: i64,
    /// When the last was stored, microseconds since 1970 UTC.
    #[serde(skip)]
    pub newest_us: i64,
}

/// One letter of a group, to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its number.
    pub id: i64,
    /// Who rejected it.
    pub actor: String,
    /// Why, as a word.
    pub reason: String,
    /// Why, as a class.
    pub class: String,
    /// Why, for people.
    pub detail: String,
    /// Where its record came from.
    pub topic: String,
    /// .. and which partition of it.
    pub partition: i32,
    /// .. and where there.
    pub offset: i64,
    /// When it was stored, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The beginning of the record's key.
    pub key: Option<Vec<u8>>,
    /// The beginning of its value.
    pub value: Option<Vec<u8>>,
    /// Bytes of its value.
    pub bytes: Option<i32>,
}

/// Where a list goes on, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only letters with a greater id.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

macro_rules! columns {
    () => {
        concat!(
            "l.id, l.actor, l.source, l.topic, l.partition, l.\"offset\", l.row_index, l.extent, l.class, l.reason, \
             l.detail, ",
            state!(),
            ", l.attempts, l.again_actor, l.again_reason, l.again_detail, l.outcome, l.replayed_to, \
             pg_catalog.octet_length(l.payload), l.node, \
             (EXTRACT(epoch FROM l.at) * 1000000)::int8, (EXTRACT(epoch FROM l.replayed_at) * 1000000)::int8, \
             (EXTRACT(epoch FROM l.record_time) * 1000000)::int8, \
             (EXTRACT(epoch FROM l.attempted_at) * 1000000)::int8"
        )
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM aqueduct.dead_letter AS l WHERE ",
    matching!(),
    " AND l.id > $12 ORDER BY l.id LIMIT $13"
);

/// The page ends before the letter with which its bytes would pass the bound.
const PAYLOADS: &str = concat!(
    "SELECT ",
    columns!(),
    ", l.key, l.payload, l.headers \
     FROM (SELECT m.id, sum(m.bytes) OVER (ORDER BY m.id) - m.bytes AS before \
           FROM (SELECT l.id, COALESCE(pg_catalog.octet_length(l.payload), 0)::int8 AS bytes \
                 FROM aqueduct.dead_letter AS l WHERE ",
    matching!(),
    " AND l.id > $12 ORDER BY l.id LIMIT $13) AS m) AS p \
     JOIN aqueduct.dead_letter AS l ON l.id = p.id \
     WHERE p.before <= $14::int8 ORDER BY l.id"
);

const COUNTS: &str = concat!(
    "SELECT l.actor, l.reason, ",
    state!(),
    ", count(*), (EXTRACT(epoch FROM min(l.at)) * 1000000)::int8, (EXTRACT(epoch FROM max(l.at)) * 1000000)::int8 \
     FROM aqueduct.dead_letter AS l WHERE ",
    matching!(),
    " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
);

const SAMPLES: &str = "SELECT l.id, l.actor, l.reason, l.class, l.detail, l.topic, l.partition, l.\"offset\", \
        (EXTRACT(epoch FROM l.at) * 1000000)::int8, \
        pg_catalog.substr(l.key, 1, $2), pg_catalog.substr(l.payload, 1, $2), pg_catalog.octet_length(l.payload) \
     FROM (SELECT max(m.id) AS id FROM aqueduct.dead_letter AS m \
           WHERE m.topology = $1 AND m.replayed_at IS NULL GROUP BY m.actor, m.reason ORDER BY count(*) DESC LIMIT $3) AS n \
     JOIN aqueduct.dead_letter AS l ON l.topology = $1 AND l.id = n.id";

/// The letters of `topology` that `filter` means, by id.
pub async fn list(
    connection: &Connection,
    topology: &str,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Letter>, Error> {
    let bound = Bound::new(topology, filter);
    let rows = connection.rows("read dead letters", LIST, &bound.and(&[&page.after, &page.limit])).await?;
    Ok(rows.iter().map(letter).collect())
}

/// The same with their bytes; fewer than asked for where they are large, but one at least. Empty = there are no more.
pub async fn payloads(
    connection: &Connection,
    topology: &str,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Payload>, Error> {
    let bound = Bound::new(topology, filter);
    let params = bound.and(&[&page.after, &page.limit, &PAGE_BYTES_MAX]);
    let rows = connection.rows("read dead letters", PAYLOADS, &params).await?;
    Ok(rows.iter().map(payload).collect())
}

/// How many letters `filter` means, by actor, reason and state; the most first.
pub async fn counts(connection: &Connection, topology: &str, filter: &Filter) -> Result<Vec<Count>, Error> {
    let bound = Bound::new(topology, filter);
    let rows = connection.rows("count dead letters", COUNTS, &bound.and(&[])).await?;
    let count = |row: &Row| Count {
        actor: row.get(0),
        reason: row.get(1),
        state: row.get(2),
        letters: row.get(3),
        oldest_us: row.get(4),
        newest_us: row.get(5),
    };
    Ok(rows.iter().map(count).collect())
}

/// The newest letter that is not replayed of each actor and reason, with the first `bytes_max` bytes of its value.
pub async fn samples(
    connection: &Connection,
    topology: &str,
    (bytes_max, limit): (i32, i64),
) -> Result<Vec<Sample>, Error> {
    let params: [&(dyn ToSql + Sync); 3] = [&topology, &bytes_max, &limit];
    let rows = connection.rows("read samples of dead letters", SAMPLES, &params).await?;
    let sample = |row: &Row| Sample {
        id: row.get(0),
        actor: row.get(1),
        reason: row.get(2),
        class: row.get(3),
        detail: row.get(4),
        topic: row.get(5),
        partition: row.get(6),
        offset: row.get(7),
        at_us: row.get(8),
        key: row.get(9),
        value: row.get(10),
        bytes: row.get(11),
    };
    Ok(rows.iter().map(sample).collect())
}

fn letter(row: &Row) -> Letter {
    let attempts: i32 = row.get(12);
    let again = Again { actor: row.get(13), reason: row.get(14), detail: row.get(15), at_us: row.get(23) };
    Letter {
        id: row.get(0),
        actor: row.get(1),
        place: Place { source: row.get(2), topic: row.get(3), partition: row.get(4), offset: row.get(5) },
        row: row.get(6),
        extent: row.get(7),
        class: row.get(8),
        reason: row.get(9),
        detail: row.get(10),
        state: row.get(11),
        attempts,
        again: (attempts > 0).then_some(again),
        outcome: row.get(16),
        replayed_to: row.get(17),
        bytes: row.get(18),
        node: row.get(19),
        at_us: row.get(20),
        replayed_at_us: row.get(21),
        record_time_us: row.get(22),
    }
}

fn payload(row: &Row) -> Payload {
    let headers: Value = row.get(26);
    Payload { letter: letter(row), key: row.get(24), value: row.get(25), headers: headers_of(&headers) }
}

/// The headers in the form in which letters keep them: an array of `{name, value}` or `{name, base64}`.
fn headers_of(stored: &Value) -> Headers {
    let header = |header: &Value| {
        let name = header["name"].as_str().unwrap_or_default().into();
        let value = match (header["value"].as_str(), header["base64"].as_str()) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(digits)) => crate::base64::decode(digits),
            (None, None) => None,
        };
        (name, value)
    };
    stored.as_array().into_iter().flatten().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_come_back_as_they_were() {
        let stored = json!([{ "name": "a", "value": "x" }, { "name": "b", "base64": "/w==" }, { "name": "c", "value": null }]);
        let expected: Headers =
            vec![("a".into(), Some(b"x".to_vec())), ("b".into(), Some(vec![0xff])), ("c".into(), None)];
        assert_eq!(headers_of(&stored), expected);
    }
}
