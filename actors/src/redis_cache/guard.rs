//! The guarded write: many keys in one script call, many calls in one pipeline.
//!
//! A call bounds how long the server listens to nobody else; a pipeline is what one timeout covers.

use super::pending::{Entry, Write};
use super::probe::lookups::Lookups;
use super::reply::{class_of, error_of};
use super::server::{Connection, Server, checkout};
use aqueduct_engine::{Class, Clock, Error};
use bb8_redis::redis::{self, Pipeline, Value};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Keys of one script call. More save little (measured: 9 us of the server a key alone, 5.5 at 16, 5.3 at 256), and for so
/// long the server's only thread listens to nobody else.
pub(crate) const CALL_KEYS_MAX: usize = 64;
/// Keys of one pipeline.
pub(crate) const PIPELINE_KEYS_MAX: usize = 8192;
/// The longest wait for a pipeline, connecting included; the connection is discarded then.
pub(crate) const PIPELINE_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has this value now.
    Written,
    /// What is there is as new, or newer.
    Stale,
    /// It cannot take this value.
    Refused(String),
}

const SCRIPT: &str = include_str!("guard.lua");

/// The script and the names it is called with.
pub(crate) struct Guard {
    /// The script's digest, told by the server that first loaded it.
    digest: OnceLock<String>,
    fields: Vec<String>,
    lookups: Arc<Lookups>,
}

impl Guard {
    /// For hashes with these fields. What it looks up is counted in `lookups`.
    pub(crate) fn new(fields: Vec<String>, lookups: Arc<Lookups>) -> Self {
        Self { digest: OnceLock::new(), fields, lookups }
    }

    /// Writes all of `writes`; a fate for each, in order. May be repeated at will.
    pub(crate) async fn write(
        &self,
        pool: &bb8::Pool<Server>,
        clock: &Clock,
        address: &str,
        writes: &[(Arc<str>, Entry)],
    ) -> Result<Vec<Fate>, Error> {
        let mut fates = Vec::with_capacity(writes.len());
        for part in writes.chunks(PIPELINE_KEYS_MAX) {
            let written = clock.timeout(PIPELINE_TIMEOUT, self.write_part(pool, address, part)).await;
            fates.extend(written.map_err(|_| {
                let wait = PIPELINE_TIMEOUT.as_secs();
                Error::new(Class::Transient, format!("redis at {address}: no answer within {wait} s"))
            })??);
        }
        assert_eq!(fates.len(), writes.len(), "every key has a fate");
        Ok(fates)
    }

    async fn write_part(
        &self,
        pool: &bb8::Pool<Server>,
        address: &str,
        part: &[(Arc<str>, Entry)],
    ) -> Result<Vec<Fate>, Error> {
        let mut connection = checkout(pool).await?;
        let digest = match self.digest.get() {
            Some(digest) => digest,
            None => {
                let loaded = load(&mut connection, address).await?;
                self.digest.get_or_init(|| loaded)
            }
        };
        let calls = self.calls(digest, part);
        let mut replies = connection.send(&calls, address).await?;
        if replies.iter().any(|reply| error_text(reply).is_some_and(|text| text.starts_with("NOSCRIPT"))) {
            load(&mut connection, address).await?;
            replies = connection.send(&calls, address).await?;
        }
        let answers = read(replies, part.len(), address);
        if answers.is_err() {
            connection.doubt();
        }
        let Answers { fates, first } = answers?;
        self.lookups.count(fates.len() as u64 - first, first);
        Ok(fates)
    }

    fn calls(&self, digest: &str, part: &[(Arc<str>, Entry)]) -> Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for chunk in part.chunks(CALL_KEYS_MAX) {
            let call = pipeline.cmd("EVALSHA").arg(digest).arg(chunk.len());
            for (key, _) in chunk {
                call.arg(key.as_bytes());
            }
            for (_, entry) in chunk {
                self.arguments(call, entry);
            }
        }
        pipeline
    }

    fn arguments(&self, call: &mut Pipeline, entry: &Entry) {
        call.arg(entry.order.text());
        match entry.expires_at_ms {
            Some(at) => call.arg(at),
            None => call.arg(""),
        };
        let values = match &entry.write {
            Write::Put(values) => {
                assert_eq!(values.len(), self.fields.len(), "a value for every field");
                let present = values.iter().flatten().count();
                call.arg(present).arg(values.len() - present);
                values.as_slice()
            }
            Write::Tombstone => {
                call.arg("D").arg(0);
                &[]
            }
        };
        let fields = || self.fields.iter().zip(values);
        for (field, value) in fields().filter_map(|(field, value)| Some((field, value.as_deref()?))) {
            call.arg(field.as_str()).arg(value);
        }
        for (field, _) in fields().filter(|(_, value)| value.is_none()) {
            call.arg(field.as_str());
        }
    }
}

/// Gives the server the script; its digest.
async fn load(connection: &mut Connection, address: &str) -> Result<String, Error> {
    let mut load = redis::pipe();
    load.ignore_errors().cmd("SCRIPT").arg("LOAD").arg(SCRIPT);
    let reply = connection.send(&load, address).await?.pop();
    let answer = match &reply {
        Some(Value::BulkString(digest)) => Ok(String::from_utf8_lossy(digest).into_owned()),
        Some(other) => Err(error_text(other).map(|text| error_of(&text))),
        None => Err(None),
    };
    answer.map_err(|error| {
        connection.doubt();
        error.unwrap_or_else(|| Error::bug(format!("redis at {address}: no digest for the script")))
    })
}

/// What the script answered.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    fates: Vec<Fate>,
    /// Keys that were not there before.
    first: u64,
}

/// The fates in the replies of `keys` keys. An error that is not the fault of its key is everybody's.
fn read(replies: Vec<Value>, keys: usize, address: &str) -> Result<Answers, Error> {
    let strange = |what: &str| Error::bug(format!("redis at {address}: the guard answered {what}"));
    let mut fates = Vec::with_capacity(keys);
    let mut first = 0;
    for reply in replies {
        if let Some(text) = error_text(&reply) {
            return Err(error_of(&text));
        }
        let Value::Array(answers) = reply else { return Err(strange("without a list")) };
        for answer in answers {
            fates.push(match answer {
                Value::Int(1) => Fate::Written,
                Value::Int(2) => {
                    first += 1;
                    Fate::Written
                }
                Value::Int(0) => Fate::Stale,
                Value::BulkString(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let text = text.trim_start_matches('-');
                    if class_of(text) != Class::Data {
                        return Err(error_of(text));
                    }
                    Fate::Refused(text.to_owned())
                }
                _ => return Err(strange("neither a number nor a text")),
            });
        }
    }
    if fates.len() == keys {
        Ok(Answers { fates, first })
    } else {
        Err(strange("for another number of keys"))
    }
}

/// `CODE message` of an error reply.
fn error_text(reply: &Value) -> Option<String> {
    match reply {
        Value::ServerError(error) => {
            Some(format!("{} {}", error.code(), error.details().unwrap_or_default()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_one_key_is_its_own_unless_the_server_is_at_fault() {
        let list = |answers| vec![Value::Array(answers)];
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let replies = vec![Value::Int(1), text("WRONGTYPE Operation"), Value::Int(0), Value::Int(2)];
        let Answers { fates, first } = read(list(replies), 4, "here").unwrap();
        let refused = Fate::Refused("WRONGTYPE Operation".to_owned());
        assert_eq!(fates, [Fate::Written, refused, Fate::Stale, Fate::Written]);
        assert_eq!(first, 1);
        let full = read(list(vec![Value::Int(1), text("OOM command not allowed")]), 2, "here").unwrap_err();
        assert_eq!(full.class, Class::Capacity);
        assert_eq!(read(list(vec![Value::Int(1)]), 2, "here").unwrap_err().class, Class::Bug);
    }
}
