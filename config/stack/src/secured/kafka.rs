//! Users and what they may do, told to a broker while it runs.
//!
//! Kafka's own tools need a Java process for each word, and librdkafka's Rust client does not know these requests.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;

use super::wire::{Answer, Encoding, Request};
use crate::tls::Trust;

/// How often a client has to prove itself again on an open connection: soon, for tests that take a password away.
pub(super) const REAUTHENTICATE_SOON_MS: u64 = 2_000;
/// The same where nobody waits for it.
pub(super) const REAUTHENTICATE_MS: u64 = 60_000;

const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const ALTER_SCRAM: i16 = 51;

const SCRAM_SHA_512: i8 = 2;
/// The least a broker accepts.
const ITERATIONS: i32 = 4096;

const ANY: i8 = 1;
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTIONAL_ID: i8 = 5;
const LITERAL: i8 = 3;
const ALL_OPERATIONS: i8 = 2;
const READ: i8 = 3;
const WRITE: i8 = 4;
const ALLOW: i8 = 3;

/// What may be done with all of a kind: the kind, the name, the operation.
type Right = (i8, &'static str, i8);

/// Whatever there is.
pub(super) const EVERYTHING: [Right; 4] = [
    (TOPIC, "*", ALL_OPERATIONS),
    (GROUP, "*", ALL_OPERATIONS),
    (TRANSACTIONAL_ID, "*", ALL_OPERATIONS),
    (CLUSTER, "kafka-cluster", ALL_OPERATIONS),
];
/// Records of every topic, as a member of any group. Who may read or write something may see that it is there.
pub(super) const RECORDS: [Right; 3] = [(TOPIC, "*", READ), (TOPIC, "*", WRITE), (GROUP, "*", READ)];

/// A broker that is told who may come and what they may do; it hands on what is the controller's.
pub(super) struct Controller {
    pub(super) broker: String,
    pub(super) trust: Option<Trust>,
    pub(super) patience: Duration,
}

impl Controller {
    /// The user's password for SCRAM-SHA-512; `None` takes it away.
    pub(super) fn set_password(&self, user: &str, password: Option<&str>) -> Result<(), String> {
        let mut request = Request::new(ALTER_SCRAM, 0, Encoding::Compact);
        request.array(usize::from(password.is_none()));
        if password.is_none() {
            request.string(user);
            request.int8(SCRAM_SHA_512);
            request.tags();
        }
        request.array(usize::from(password.is_some()));
        if let Some(password) = password {
            let salt: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
            request.string(user);
            request.int8(SCRAM_SHA_512);
            request.int32(ITERATIONS);
            request.bytes(&salt);
            request.bytes(&salted(password.as_bytes(), &salt));
            request.tags();
        }
        request.tags();
        let mut answer = request.send(&self.broker, self.trust.as_ref(), self.patience)?;
        answer.int32()?;
        for _ in 0..answer.array()? {
            answer.string()?;
            outcome(&mut answer)?;
            answer.tags()?;
        }
        Ok(())
    }

    /// Allows the user these.
    pub(super) fn allow(&self, user: &str, rights: &[Right]) -> Result<(), String> {
        let mut request = Request::new(CREATE_ACLS, 1, Encoding::Fixed);
        request.array(rights.len());
        for (kind, name, operation) in rights {
            request.int8(*kind);
            request.string(name);
            request.int8(LITERAL);
            request.string(&principal(user));
            request.string("*");
            request.int8(*operation);
            request.int8(ALLOW);
        }
        let mut answer = request.send(&self.broker, self.trust.as_ref(), self.patience)?;
        answer.int32()?;
        for _ in 0..answer.array()? {
            outcome(&mut answer)?;
        }
        Ok(())
    }

    /// Takes away from the user whatever was allowed.
    pub(super) fn forbid(&self, user: &str) -> Result<(), String> {
        let mut request = Request::new(DELETE_ACLS, 1, Encoding::Fixed);
        request.array(1);
        request.int8(ANY);
        request.null();
        request.int8(ANY);
        request.string(&principal(user));
        request.null();
        request.int8(ANY);
        request.int8(ANY);
        let mut answer = request.send(&self.broker, self.trust.as_ref(), self.patience)?;
        answer.int32()?;
        // Only the one filter's outcome: what it matched stands behind it.
        if answer.array()? > 0 { outcome(&mut answer) } else { Ok(()) }
    }
}

fn principal(user: &str) -> String {
    format!("User:{user}")
}

/// RFC 5802's `Hi`: the password as SCRAM keeps it.
fn salted(password: &[u8], salt: &[u8]) -> [u8; 64] {
    let keyed = Hmac::<Sha512>::new_from_slice(password).expect("invariant: HMAC takes a key of any length");
    let mac =
        |message: &[u8]| -> [u8; 64] { keyed.clone().chain_update(message).finalize().into_bytes().into() };
    let mut block = mac(&[salt, &1u32.to_be_bytes()].concat());
    let mut result = block;
    for _ in 1..ITERATIONS {
        block = mac(&block);
        result.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    result
}

fn outcome(answer: &mut Answer) -> Result<(), String> {
    let code = answer.int16()?;
    let message = answer.string()?;
    if code == 0 { Ok(()) } else { Err(format!("error {code}: {message}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python's `hashlib.pbkdf2_hmac("sha512", b"geheim", b"0123456789abcdef", 4096)`.
    #[test]
    fn a_password_is_salted_as_rfc_5802_says() {
        let salted = salted(b"geheim", b"0123456789abcdef");
        let text: String = salted.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, "aae1a2ac4ed58761");
    }
}
