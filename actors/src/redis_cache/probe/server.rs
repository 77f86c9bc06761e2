//! One question to Redis: what it counts, what writers say they looked up themselves, what readers say they found.
//!
//! Whoever may not see one of these (an ACL) still sees the others.

use super::info::Info;
use super::reads::Reads;
use crate::redis_cache::server::{Server, checkout};
use aqueduct_engine::Error;
use bb8_redis::redis::{Value, pipe};
use std::collections::BTreeMap;

/// A hash with a field for each updater: `hits misses at`, what it looked up itself since it began, and when it said so
/// (seconds since 1970). The server counts those look-ups like any reader's.
pub(crate) const LOOKUPS_KEY: &str = "aqueduct:lookups";
/// Readers count what they found: `HINCRBY aqueduct:reads:<topology>:<actor> hit 1` (or `miss 1`).
pub(crate) const READS_PREFIX: &str = "aqueduct:reads:";
/// An updater that has said nothing for so long is gone, and its field with it.
const LOOKUPS_KEPT_SECONDS: i64 = 3600;

/// What Redis answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) info: Option<Info>,
    /// `DBSIZE`.
    pub(crate) keys: Option<u64>,
    /// By updater.
    pub(crate) writers: BTreeMap<String, Reads>,
    /// What readers counted; `None` = nobody counts.
    pub(crate) readers: Option<Reads>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// Its field of [`LOOKUPS_KEY`], and what it looked up; `None` looks on and writes nothing.
    pub(crate) lookups: Option<(&'a str, Reads)>,
    /// The key that the cache's readers count under.
    pub(crate) reads_key: &'a str,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// Asks once.
pub(crate) async fn ask(pool: &bb8::Pool<Server>, address: &str, asker: Asker<'_>) -> Result<Answer, Error> {
    let mut connection = checkout(pool).await?;
    let mut question = pipe();
    question.ignore_errors();
    question.cmd("INFO").cmd("DBSIZE");
    question.cmd("HMGET").arg(asker.reads_key).arg("hit").arg("miss");
    question.cmd("HGETALL").arg(LOOKUPS_KEY);
    if let Some((field, Reads { hits, misses })) = asker.lookups {
        let said = format!("{hits} {misses} {}", asker.now);
        question.cmd("HSET").arg(LOOKUPS_KEY).arg(field).arg(said);
    }
    let replies = connection.send(&question, address).await?;
    let (answer, gone) = read(&replies, asker);
    if asker.lookups.is_some() && !gone.is_empty() {
        let mut forget = pipe();
        forget.ignore_errors().cmd("HDEL").arg(LOOKUPS_KEY).arg(&gone);
        connection.send(&forget, address).await?;
    }
    Ok(answer)
}

/// The answer in `replies`, and the fields of those who are gone.
fn read(replies: &[Value], asker: Asker<'_>) -> (Answer, Vec<String>) {
    let mut answer = Answer::default();
    let mut gone = Vec::new();
    if let [info, keys, readers, writers, ..] = replies {
        answer.info = text(info).map(|text| Info::parse(&text));
        answer.keys = if let Value::Int(keys) = keys { u64::try_from(*keys).ok() } else { None };
        answer.readers = counted(readers);
        for (field, said) in pairs(writers) {
            let Some((reads, at)) = lookups(&said) else { continue };
            if at < asker.now - LOOKUPS_KEPT_SECONDS {
                gone.push(field);
            } else {
                answer.writers.insert(field, reads);
            }
        }
    }
    if let Some((field, reads)) = asker.lookups {
        answer.writers.insert(field.to_owned(), reads);
    }
    (answer, gone)
}

/// `hits misses at`.
fn lookups(said: &str) -> Option<(Reads, i64)> {
    let mut words = said.split(' ');
    let mut word = || words.next();
    let reads = Reads { hits: word()?.parse().ok()?, misses: word()?.parse().ok()? };
    Some((reads, word()?.parse().ok()?))
}

/// Both counts of readers; one of them alone will do.
fn counted(reply: &Value) -> Option<Reads> {
    let Value::Array(counts) = reply else { return None };
    let count = |index: usize| text(counts.get(index)?)?.parse::<u64>().ok();
    match (count(0), count(1)) {
        (None, None) => None,
        (hits, misses) => Some(Reads { hits: hits.unwrap_or(0), misses: misses.unwrap_or(0) }),
    }
}

/// Of the older protocol, which gives a flat list, and of the newer.
fn pairs(reply: &Value) -> Vec<(String, String)> {
    let both = |(name, value): (&Value, &Value)| Some((text(name)?, text(value)?));
    match reply {
        Value::Array(flat) => flat.chunks_exact(2).filter_map(|pair| both((&pair[0], &pair[1]))).collect(),
        Value::Map(map) => map.iter().filter_map(|(name, value)| both((name, value))).collect(),
        _ => Vec::new(),
    }
}

fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_has_what_may_be_seen() {
        let asker =
            Asker { lookups: Some(("t/c/n", Reads { hits: 7, misses: 2 })), reads_key: "k", now: 10_000 };
        let refused = Value::Nil;
        let replies = [
            refused,
            Value::Int(42),
            Value::Array(vec![bulk("90"), Value::Nil]),
            Value::Array(vec![
                bulk("t/c/n"),
                bulk("1 1 9999"),
                bulk("t/c/m"),
                bulk("3 4 9990"),
                bulk("old"),
                bulk("3 4 1"),
                bulk("strange"),
                bulk("x"),
            ]),
            Value::Int(0),
        ];
        let (answer, gone) = read(&replies, asker);
        assert_eq!((answer.info, answer.keys), (None, Some(42)));
        assert_eq!(answer.readers, Some(Reads { hits: 90, misses: 0 }));
        let writers = [("t/c/m", Reads { hits: 3, misses: 4 }), ("t/c/n", Reads { hits: 7, misses: 2 })];
        let writers: BTreeMap<_, _> = writers.map(|(who, reads)| (who.to_owned(), reads)).into();
        assert_eq!(answer.writers, writers, "what we say of ourselves is newer than what we had said");
        assert_eq!(gone, ["old"]);
    }

    #[test]
    fn readers_that_do_not_count_are_not_readers_that_find_nothing() {
        assert_eq!(counted(&Value::Array(vec![Value::Nil, Value::Nil])), None);
        assert_eq!(counted(&Value::Array(vec![Value::Nil, bulk("3")])), Some(Reads { hits: 0, misses: 3 }));
    }
}
