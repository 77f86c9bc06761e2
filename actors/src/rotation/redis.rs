//! One user of Redis, which may have several passwords. What is sent are their digests, as Redis itself keeps them.
//!
//! Users are not replicated: every step goes to each server that the address names, whichever of them leads.

use super::{Change, digest};
use crate::credentials::keeper::Door;
use crate::hosts::refused;
use crate::redis_cache::server::Server;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::RedisConnection;
use bb8::ManageConnection;
use bb8_redis::redis::{self, Value};
use secrecy::SecretString;
use std::time::Duration;

/// Longest that one server may take to let us in and to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) async fn create(
    connection: &RedisConnection,
    change: &Change,
    password: &SecretString,
    clock: Clock,
) -> Result<(), Error> {
    let servers = Servers::new(connection, clock)?;
    // Each is there and knows the user, before one is changed.
    for server in &servers.each {
        if servers.user(server, &change.to).await? == Value::Nil {
            let (user, address) = (&change.to, server.address());
            let message = format!("redis at {address} has no user `{user}`; make it first, with ACL SETUSER");
            return Err(Error::new(Class::Config, message));
        }
    }
    let rule = format!("#{}", digest(password));
    for server in &servers.each {
        servers.ask(server, redis::cmd("ACL").arg("SETUSER").arg(&change.to).arg(&rule)).await?;
        // One that restarts meanwhile is to know both; where it cannot keep them, revoking says so.
        servers.keep(server).await;
    }
    Ok(())
}

/// Fails unless each server lets us in with what the files hold.
pub(super) async fn prove(connection: &RedisConnection, topology: &str, clock: Clock) -> Result<(), Error> {
    for server in Server::new(connection, topology, clock.clone())?.apart() {
        let login = server.login()?;
        let proven = clock.timeout(ANSWER_MAX, server.prove(&login)).await;
        proven.unwrap_or_else(|_| Err(silent(&server))).map_err(|error| named(&server, error))?;
    }
    Ok(())
}

/// What is to be said of each server that does not answer, or does not know the new password.
pub(super) async fn lacking(
    connection: &RedisConnection,
    change: &Change,
    password: &SecretString,
    clock: Clock,
) -> Vec<String> {
    let servers = match Servers::new(connection, clock) {
        Ok(servers) => servers,
        Err(error) => return vec![error.message.into_owned()],
    };
    let mut lacking = Vec::new();
    for server in &servers.each {
        match servers.user(server, &change.to).await {
            Ok(user) if holds(&user, &digest(password)) => {}
            Ok(_) => lacking.push(format!(
                "redis at {} does not know the new password any more: it has restarted with the users of before",
                server.address()
            )),
            Err(error) => lacking.push(error.message.into_owned()),
        }
    }
    lacking
}

/// What a node sends, and the commands that look after it: the guard and its script, the heartbeat and the samples.
const RIGHTS: [&str; 17] = [
    "~*",
    "+@connection",
    "+multi",
    "+exec",
    "+discard",
    "+evalsha",
    "+script|load",
    "+hget",
    "+hset",
    "+hdel",
    "+hmget",
    "+hgetall",
    "+del",
    "+pexpireat",
    "+persist",
    "+info",
    "+dbsize",
];

/// Makes a user who may do what a node does with a cache, and nothing else.
pub(super) async fn admit(
    connection: &RedisConnection,
    user: &str,
    password: &SecretString,
    clock: Clock,
) -> Result<(), Error> {
    let servers = Servers::new(connection, clock)?;
    let login = ["reset", "on"].map(str::to_owned).into_iter().chain([format!("#{}", digest(password))]);
    let rules: Vec<String> = login.chain(RIGHTS.map(str::to_owned)).collect();
    for server in &servers.each {
        servers.ask(server, redis::cmd("ACL").arg("SETUSER").arg(user).arg(&rules)).await?;
        servers.keep(server).await;
    }
    Ok(())
}

/// Connections that are open stay so, whatever their password was; nodes have left theirs by now.
pub(super) async fn revoke(
    connection: &RedisConnection,
    change: &Change,
    clock: Clock,
) -> Result<Option<String>, Error> {
    let servers = Servers::new(connection, clock)?;
    let rule = format!("!{}", change.old_digest);
    let (mut errors, mut forgetful) = (Vec::new(), Vec::new());
    for server in &servers.each {
        match servers.ask(server, redis::cmd("ACL").arg("SETUSER").arg(&change.from).arg(&rule)).await {
            // It was taken away before.
            Err(error) if error.message.contains("does not exist") => {}
            // Where one is gone, the others forget it all the same.
            Err(error) => {
                errors.push(error);
                continue;
            }
            Ok(_) => {}
        }
        if !servers.keep(server).await {
            forgetful.push(server.address());
        }
    }
    if !errors.is_empty() {
        return Err(refused(errors));
    }
    let note = || {
        let places = forgetful.join(", ");
        format!(
            "redis at {places} has no file to keep its users in: after its restart the users are those of before"
        )
    };
    Ok((!forgetful.is_empty()).then(note))
}

/// Every server that an address names.
struct Servers {
    each: Vec<Server>,
    clock: Clock,
}

impl Servers {
    fn new(connection: &RedisConnection, clock: Clock) -> Result<Self, Error> {
        let each = Server::new(connection, "rotate", clock.clone())?.apart();
        Ok(Self { each, clock })
    }

    /// What a server knows of a user; nil if nothing.
    async fn user(&self, server: &Server, user: &str) -> Result<Value, Error> {
        self.ask(server, redis::cmd("ACL").arg("GETUSER").arg(user)).await
    }

    /// Whether users of now outlive a restart: in a file of users, or in the server's own settings.
    async fn keep(&self, server: &Server) -> bool {
        self.ask(server, redis::cmd("ACL").arg("SAVE")).await.is_ok()
            || self.ask(server, redis::cmd("CONFIG").arg("REWRITE")).await.is_ok()
    }

    async fn ask(&self, server: &Server, command: &redis::Cmd) -> Result<Value, Error> {
        let answered = self.clock.timeout(ANSWER_MAX, ask(server, command)).await;
        answered.unwrap_or_else(|_| Err(silent(server))).map_err(|error| named(server, error))
    }
}

async fn ask(server: &Server, command: &redis::Cmd) -> Result<Value, Error> {
    let mut connection = server.connect().await?;
    let mut pipeline = redis::pipe();
    pipeline.add_command(command.clone());
    match connection.send(&pipeline, server.address()).await?.pop() {
        Some(Value::ServerError(reply)) => {
            let text = format!("redis: {} {}", reply.code(), reply.details().unwrap_or_default());
            Err(Error::new(Class::Config, text))
        }
        reply => Ok(reply.unwrap_or(Value::Nil)),
    }
}

fn silent(server: &Server) -> Error {
    let message = format!("redis at {}: no answer within {} s", server.address(), ANSWER_MAX.as_secs());
    Error::new(Class::Transient, message)
}

/// Which server it was, where the error does not say so.
fn named(server: &Server, error: Error) -> Error {
    let address = server.address();
    if error.message.contains(address) {
        return error;
    }
    let message = error.message.strip_prefix("redis: ").unwrap_or(&error.message);
    Error::new(error.class, format!("redis at {address}: {message}"))
}

/// Whether a text stands anywhere in an answer.
fn holds(answer: &Value, text: &str) -> bool {
    match answer {
        Value::BulkString(bytes) => bytes == text.as_bytes(),
        Value::SimpleString(said) => said == text,
        Value::Array(values) | Value::Set(values) => values.iter().any(|value| holds(value, text)),
        Value::Map(pairs) => pairs.iter().any(|(_, value)| holds(value, text)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_both_forms_of_an_answer() {
        let text = |text: &str| Value::BulkString(text.into());
        let passwords = Value::Array(vec![text("old"), text("new")]);
        let flat = Value::Array(vec![text("passwords"), passwords.clone()]);
        let map = Value::Map(vec![(text("passwords"), passwords)]);
        for answer in [flat, map] {
            assert!(holds(&answer, "new") && holds(&answer, "old"));
            assert!(!holds(&answer, "ne") && !holds(&answer, "newer"));
        }
        assert!(!holds(&Value::Nil, ""));
    }

    #[test]
    fn each_server_of_an_address_is_one_and_an_error_says_which() {
        let url = aqueduct_topology::Spanned::new("redis://u@one:1,two:2/0".into(), Default::default());
        let connection = RedisConnection { url, user_file: None, password_file: None, pool: 1, tls: None };
        let servers = Servers::new(&connection, Clock::system()).unwrap();
        let addresses: Vec<&str> = servers.each.iter().map(Server::address).collect();
        assert_eq!(addresses, ["one:1", "two:2"]);
        let error = named(&servers.each[1], Error::new(Class::Config, "redis: NOPERM no"));
        assert_eq!(error.message, "redis at two:2: NOPERM no");
        assert_eq!(
            named(&servers.each[1], silent(&servers.each[1])).message,
            silent(&servers.each[1]).message
        );
    }
}
