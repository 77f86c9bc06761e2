//! One user of Redis, which may have several passwords. What is sent are their digests, as Redis itself keeps them.

use super::{Change, digest};
use crate::redis_cache::server::Server;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::RedisConnection;
use bb8::ManageConnection;
use bb8_redis::redis::{self, Value};
use secrecy::SecretString;

pub(super) async fn create(
    connection: &RedisConnection,
    change: &Change,
    password: &SecretString,
    clock: Clock,
) -> Result<(), Error> {
    let server = Server::new(connection, "rotate", clock)?;
    let known = ask(&server, redis::cmd("ACL").arg("GETUSER").arg(&change.to)).await?;
    if known == Value::Nil {
        let message = format!("redis has no user `{}`; make it first, with ACL SETUSER", change.to);
        return Err(Error::new(Class::Config, message));
    }
    let rule = format!("#{}", digest(password));
    ask(&server, redis::cmd("ACL").arg("SETUSER").arg(&change.to).arg(rule)).await.map(drop)
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
    let server = Server::new(connection, "rotate", clock)?;
    let login = ["reset", "on"].map(str::to_owned).into_iter().chain([format!("#{}", digest(password))]);
    let rules: Vec<String> = login.chain(RIGHTS.map(str::to_owned)).collect();
    ask(&server, redis::cmd("ACL").arg("SETUSER").arg(user).arg(&rules)).await?;
    // Where users are kept in a file, as at a managed service.
    let _ = ask(&server, redis::cmd("ACL").arg("SAVE")).await;
    Ok(())
}

/// Connections that are open stay so, whatever their password was; nodes have left theirs by now.
pub(super) async fn revoke(
    connection: &RedisConnection,
    change: &Change,
    clock: Clock,
) -> Result<Option<String>, Error> {
    let server = Server::new(connection, "rotate", clock)?;
    let rule = format!("!{}", change.old_digest);
    match ask(&server, redis::cmd("ACL").arg("SETUSER").arg(&change.from).arg(rule)).await {
        // It was taken away before.
        Err(error) if error.message.contains("does not exist") => {}
        other => {
            other?;
        }
    }
    // In a file of users, or in the server's own settings.
    if ask(&server, redis::cmd("ACL").arg("SAVE")).await.is_ok()
        || ask(&server, redis::cmd("CONFIG").arg("REWRITE")).await.is_ok()
    {
        return Ok(None);
    }
    let note = "redis has no file to keep its users in: after its restart the users are those of before";
    Ok(Some(note.to_owned()))
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
