//! What a reply or a failure of Redis means: the class that decides what happens next.

use crate::tls;
use aqueduct_engine::{Class, Error};
use bb8_redis::redis::{ErrorKind, RedisError, Value};

/// The class of an error reply by its text, `CODE message`.
///
/// Before version 7 the code of an error inside a script stands within the message of an `ERR`, so codes that matter
/// are looked for there as well. What is unknown is [`Class::Config`]: it waits where people see it, for were it held
/// against the record, a server at odds with us would send every record to the dead letter.
pub(crate) fn class_of(reply: &str) -> Class {
    let code = reply.split([' ', ':']).next().unwrap_or_default();
    let is = |word: &str| code == word || (code == "ERR" && reply.contains(word));
    if is("WRONGTYPE") {
        Class::Data
    } else if is("OOM") || is("MISCONF") {
        Class::Capacity
    } else if TRANSIENT.iter().any(|word| is(word)) {
        Class::Transient
    } else {
        Class::Config
    }
}

const TRANSIENT: [&str; 11] = [
    "READONLY",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "NOSCRIPT",
    "UNKILLABLE",
    "EXECABORT",
    "max number of clients",
];

/// What to do about an error reply, for people.
fn remedy(reply: &str) -> &'static str {
    let has = |word: &str| reply.contains(word);
    if has("READONLY") {
        "the server is a replica: the address is resolved again until it names the primary"
    } else if has("OOM") {
        "raise `maxmemory`, or set a `ttl` and an eviction policy"
    } else if has("MISCONF") {
        "the server cannot save to its disk: free space there"
    } else if has("NOAUTH") || has("WRONGPASS") || has("NOPERM") || has("can't run this command") {
        "check user and password in `connections.redis`, and that its ACL allows `EVALSHA`, `SCRIPT LOAD`, `HGET`, \
         `HSET`, `HDEL`, `DEL`, `PEXPIREAT` and `PERSIST` on these keys"
    } else if has("MOVED") || has("CROSSSLOT") {
        "Redis Cluster is not supported: name a server that is not part of one"
    } else {
        "see the server's log"
    }
}

/// The error of an error reply.
pub(crate) fn error_of(reply: &str) -> Error {
    let class = class_of(reply);
    match class {
        Class::Data => Error::new(class, format!("redis: {reply}")),
        _ => Error::new(class, format!("redis: {reply}; {}", remedy(reply))),
    }
}

/// The error of a failed connection or request. `address` never holds a secret.
pub(crate) fn error_of_failure(address: &str, failure: &RedisError) -> Error {
    if let Some(code) = failure.code() {
        return error_of(&format!("{code} {}", failure.detail().unwrap_or_default()));
    }
    match failure.kind() {
        ErrorKind::AuthenticationFailed => Error::new(
            Class::Config,
            format!("redis at {address}: {failure}; check user and password in `connections.redis`"),
        ),
        ErrorKind::InvalidClientConfig => Error::new(Class::Config, format!("redis at {address}: {failure}")),
        _ if tls::is_refusal(failure) => refused(address, failure),
        _ => Error::new(Class::Transient, format!("redis at {address}: {failure}")),
    }
}

/// The error of a handshake that failed by what one side showed the other.
pub(crate) fn refused(address: &str, failure: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "redis at {address}: {failure}; correct `connections.redis.tls`, or the server's certificate"
    );
    Error::new(Class::Config, message)
}

/// Whether a server takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Leads,
    Follows,
}

/// What a server says of itself in its answer to HELLO.
pub(crate) fn role_of(answer: &Value) -> Result<Role, Error> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    };
    let role = match answer {
        Value::ServerError(reply) => {
            return Err(error_of(&format!("{} {}", reply.code(), reply.details().unwrap_or_default())));
        }
        Value::Array(flat) => {
            flat.chunks_exact(2).find(|pair| text(&pair[0]) == "role").map(|pair| text(&pair[1]))
        }
        Value::Map(pairs) => pairs.iter().find(|(key, _)| text(key) == "role").map(|(_, value)| text(value)),
        _ => None,
    };
    match role.as_deref() {
        Some("master") => Ok(Role::Leads),
        Some(_) => Ok(Role::Follows),
        None => Err(Error::new(
            Class::Config,
            "redis does not say whether it leads: with several hosts it must know HELLO",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_their_class() {
        let cases = [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Class::Data),
            ("ERR Error running script: @user_script:1: WRONGTYPE Operation against a key", Class::Data),
            ("OOM command not allowed when used memory > 'maxmemory'.", Class::Capacity),
            ("ERR Error running script: @user_script: 5: -OOM command not allowed", Class::Capacity),
            ("MISCONF Redis is configured to save RDB snapshots", Class::Capacity),
            ("READONLY You can't write against a read only replica.", Class::Transient),
            ("ERR @user_script:9: -READONLY You can't write against a read only replica.", Class::Transient),
            ("LOADING Redis is loading the dataset in memory", Class::Transient),
            ("BUSY Redis is busy running a script.", Class::Transient),
            ("ERR max number of clients reached", Class::Transient),
            ("NOAUTH Authentication required.", Class::Config),
            ("WRONGPASS invalid username-password pair or user is disabled.", Class::Config),
            ("NOPERM this user has no permissions to run the 'evalsha' command", Class::Config),
            ("MOVED 3999 127.0.0.1:6381", Class::Config),
            ("ERR something nobody has seen", Class::Config),
        ];
        for (reply, class) in cases {
            assert_eq!(class_of(reply), class, "{reply}");
        }
    }

    #[test]
    fn a_server_says_whether_it_leads_in_either_protocol() {
        let word = |word: &str| Value::BulkString(word.as_bytes().to_vec());
        let flat = |role| Value::Array(["server", "redis", "role", role].map(word).to_vec());
        let pairs = |role| Value::Map(vec![(word("proto"), Value::Int(3)), (word("role"), word(role))]);
        for (role, expected) in
            [("master", Role::Leads), ("replica", Role::Follows), ("slave", Role::Follows)]
        {
            assert_eq!(role_of(&flat(role)).expect("a role"), expected);
            assert_eq!(role_of(&pairs(role)).expect("a role"), expected);
        }
        assert_eq!(role_of(&Value::Okay).expect_err("no role").class, Class::Config);
    }
}
