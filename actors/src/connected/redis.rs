//! Redis: version, role, what it does when its memory is full, and what the user may do.
//!
//! What a user may do is asked by queueing the cache's commands in a transaction that is discarded: the server judges a
//! command when it is queued, and none is carried out.

use super::{ANSWER_MAX, Inquiry, Server};
use crate::redis_cache::server::{Connection, Server as Redis};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{Actor, Kind, RedisCache, TemplatePart, Topology};
use aqueduct_topology::{Code, Diagnostic, Span};
use bb8::ManageConnection;
use bb8_redis::redis::{Pipeline, Value, pipe};
use std::collections::BTreeMap;

const SERVER: Server =
    Server { name: "redis", key: "connections.redis.url", variable: "REDIS_URL", also: "" };

/// The oldest version, as the README says.
const VERSION_MIN: (u32, u32) = (6, 2);

/// A digest that no script has.
const NO_SCRIPT: &str = "0000000000000000000000000000000000000000";

/// Asks the server of the topology, if it has one.
pub(super) async fn ask(inquiry: &Inquiry<'_>) {
    let Some(connection) = &inquiry.topology.connections.redis else { return };
    let place = inquiry.place(connection.url.span, |kind| matches!(kind, Kind::RedisCache(_)));
    let asking = async {
        let server = Redis::new(connection, &inquiry.topology.name.value, inquiry.clock.clone())?;
        let mut connection = server.connect().await?;
        let about = info(&mut connection, server.address()).await?;
        judge(inquiry.topology, &about, (server.address(), place))
            .into_iter()
            .for_each(|finding| inquiry.report(finding));
        for (actor, cache) in caches(inquiry.topology) {
            let refused = forbidden(&mut connection, server.address(), cache).await?;
            if let Some((command, reply)) = refused {
                inquiry.report(may_not(actor, cache, &command, &reply));
            }
        }
        Ok(())
    };
    inquiry.within(SERVER, place, ANSWER_MAX, asking).await;
}

fn caches(topology: &Topology) -> impl Iterator<Item = (&Actor, &RedisCache)> {
    topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::RedisCache(cache) => Some((actor, cache)),
        _ => None,
    })
}

/// What `INFO` says, by name.
async fn info(connection: &mut Connection, address: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut question = pipe();
    question.cmd("INFO");
    let text = match connection.send(&question, address).await?.pop() {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(Value::VerbatimString { text, .. }) => text,
        // Who may not ask is told nothing, and nothing is held against the server.
        Some(Value::ServerError(_)) => String::new(),
        other => {
            let message = format!("redis at {address} answers INFO with {other:?}: is it a Redis?");
            return Err(Error::new(Class::Config, message));
        }
    };
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

fn judge(
    topology: &Topology,
    about: &BTreeMap<String, String>,
    (address, place): (&str, Span),
) -> Vec<Diagnostic> {
    let says = |name: &str| about.get(name).map_or("", String::as_str);
    let mut found = Vec::new();
    if let Some(version) = about.get("redis_version").filter(|version| is_too_old(version)) {
        let message = format!("redis at {address} is version {version}");
        let (major, minor) = VERSION_MIN;
        let finding = Diagnostic::error(Code::TooOld, place, message);
        found.push(finding.help(format!("Redis {major}.{minor} or later is needed: upgrade the server")));
    }
    if says("role") == "slave" {
        let primary = format!("{}:{}", says("master_host"), says("master_port"));
        let message = format!("redis at {address} is a replica of {primary}, and takes no writes");
        let finding = Diagnostic::error(Code::NotPrimary, place, message);
        found.push(finding.help("name the primary, or a name that follows it"));
    }
    found.extend(evicting(topology, says("maxmemory_policy"), says("maxmemory"), (address, place)));
    found
}

fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < VERSION_MIN,
        _ => false,
    }
}

/// `volatile-*` drops only keys that expire, so it reaches only caches with a `ttl`.
fn evicting(
    topology: &Topology,
    policy: &str,
    limit: &str,
    (address, place): (&str, Span),
) -> Option<Diagnostic> {
    let expires = |cache: &RedisCache| cache.ttl.is_some() || cache.delete_when.is_some();
    let reached = |cache: &RedisCache| {
        policy.starts_with("allkeys-") || (policy.starts_with("volatile-") && expires(cache))
    };
    let (actor, _) = caches(topology).find(|(_, cache)| reached(cache))?;
    let when = match limit {
        "0" => "as soon as somebody sets `maxmemory`, which is 0 now".to_owned(),
        limit => format!("beyond `maxmemory`, {limit} bytes"),
    };
    let message = format!("redis at {address} drops keys {when}: its policy is {policy}");
    let finding = Diagnostic::warning(Code::Evicting, place, message);
    let finding = finding.also(actor.name.span, "its keys would be missing until their next value comes");
    Some(finding.help("set maxmemory-policy to noeviction, and let `ttl` bound what is kept"))
}

/// The first command that the cache needs and the user may not send, with the server's words.
async fn forbidden(
    connection: &mut Connection,
    address: &str,
    cache: &RedisCache,
) -> Result<Option<(String, String)>, Error> {
    let mut begin = pipe();
    begin.cmd("MULTI");
    match connection.send(&begin, address).await?.pop() {
        Some(Value::ServerError(_)) => return Ok(None),
        Some(_) => {}
        None => return Ok(None),
    }
    let (names, questions) = questions(&sample(cache));
    let replies = connection.send(&questions, address).await?;
    let refusal = names.into_iter().zip(replies).find_map(|(name, reply)| match reply {
        Value::ServerError(reply) if reply.code() == "NOPERM" => {
            Some((name.to_owned(), format!("NOPERM {}", reply.details().unwrap_or_default())))
        }
        _ => None,
    });
    Ok(refusal)
}

/// The commands of the guard and of its script, with a key of the cache's form; the last one undoes them all.
fn questions(key: &str) -> (Vec<&'static str>, Pipeline) {
    let commands: [(&str, &[&str]); 9] = [
        ("SCRIPT", &["LOAD", "return 1"]),
        ("EVALSHA", &[NO_SCRIPT, "1", key]),
        ("HGET", &[key, "_at"]),
        ("HSET", &[key, "_at", "0"]),
        ("HDEL", &[key, "_at"]),
        ("DEL", &[key]),
        ("PEXPIREAT", &[key, "1"]),
        ("PERSIST", &[key]),
        ("DISCARD", &[]),
    ];
    let mut questions = pipe();
    for (name, arguments) in commands {
        let command = questions.cmd(name);
        for argument in arguments {
            command.arg(*argument);
        }
    }
    (commands.iter().map(|(name, _)| *name).collect(), questions)
}

/// A key of the cache, with a word in place of every field.
fn sample(cache: &RedisCache) -> String {
    let part = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => text.clone(),
        TemplatePart::Field(_) => "aqueduct-check".to_owned(),
    };
    cache.key.value.iter().map(part).collect()
}

fn may_not(actor: &Actor, cache: &RedisCache, command: &str, reply: &str) -> Diagnostic {
    let message = format!("redis does not let this user send {command} for `{}`: {reply}", actor.name.value);
    Diagnostic::error(Code::ForbiddenCommand, cache.key.span, message).help(
        "let its ACL allow EVALSHA, SCRIPT LOAD, HGET, HSET, HDEL, DEL, PEXPIREAT and PERSIST on these keys",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (version, old) in
            [("6.0.16", true), ("5.9.0", true), ("6.2.0", false), ("7.0.15", false), ("10.0", false)]
        {
            assert_eq!(is_too_old(version), old, "{version}");
        }
        assert!(!is_too_old("unstable"), "who cannot tell is not refused");
    }
}
