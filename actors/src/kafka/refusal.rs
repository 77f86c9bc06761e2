//! A broker that lets us in no longer, or not yet: why, and whether it is worth asking again with other words.
//!
//! librdkafka keeps the user, the password and the certificates it was made with, and tells why it was refused to its log
//! alone. Deliberately absent: passwords, and whether the files hold others by now ([`crate::credentials`]).

use aqueduct_engine::Error;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Whether the server was reached and did not let us in.
pub fn is_refusal(code: Code) -> bool {
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL)
}

/// How the client's log says that a connection ended under its feet.
const CUT: &str = "Local: Broker transport failure";

/// The last reason in a client's log. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    /// Notes a line of the log, if it says why a connection failed.
    pub fn note(&self, facility: &str, message: &str) {
        if facility == "FAIL" {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(essence(message).to_owned());
        }
    }

    /// Whether `code` says that we are turned away. A connection that is cut while a broker and the client agree on how to
    /// prove who comes has the same code, though nobody looked at a password: it happens to a session that was not proven
    /// again in time, and is an outage of that connection.
    pub fn refuses(&self, code: Option<Code>) -> bool {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = reason.as_ref().is_some_and(|reason| reason.contains(CUT));
        code.is_some_and(is_refusal) && !is_cut
    }

    /// `error` with the reason, if it is about `code` that refuses us.
    pub fn explain(&self, code: Option<Code>, error: Error) -> Error {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(reason) = reason.filter(|_| code.is_some_and(is_refusal)) else { return error };
        let (what, remedy) =
            error.message.rsplit_once("; ").unwrap_or((&error.message, "correct connections.kafka"));
        Error::new(error.class, format!("{what}: {reason}; {remedy}"))
    }
}

/// Whether a client is turned away at present, and why. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Refusal(Arc<Refused>);

#[derive(Debug, Default)]
struct Refused {
    /// So that those who are let in need no lock to say so.
    is_refused: AtomicBool,
    code: Mutex<Option<Code>>,
    reason: Reason,
    told: Notify,
}

impl Refusal {
    /// Why, where the client's log says so.
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The client complains of `code`.
    pub fn note(&self, code: Option<Code>) {
        let Some(code) = code.filter(|code| self.0.reason.refuses(Some(*code))) else { return };
        *self.0.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        self.0.is_refused.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    /// A broker has done what the client asked.
    pub fn over(&self) {
        if self.0.is_refused.swap(false, Ordering::AcqRel) {
            *self.0.code.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The refusal that lasts.
    pub fn now(&self) -> Option<Code> {
        *self.0.code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, once there is one.
    pub async fn told(&self) -> Code {
        loop {
            let told = self.0.told.notified();
            if let Some(code) = self.now() {
                return code;
            }
            told.await;
        }
    }
}

/// A context that does nothing but take note of a refusal.
#[derive(Clone, Debug, Default)]
pub struct Asking(pub Refusal);

impl ClientContext for Asking {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.reason().note(facility, message);
    }

    fn error(&self, error: KafkaError, _: &str) {
        self.0.note(error.rdkafka_error_code());
    }
}

impl ConsumerContext for Asking {}

/// `[thrd:..]: GroupCoordinator: b:9093: SSL handshake failed: why (after 5ms in state ..)` without the places, which are
/// said elsewhere, and the time, which is never the same. A place has no blanks in it.
fn essence(message: &str) -> &str {
    let mut message = message.split_once("]: ").map_or(message, |(_, rest)| rest);
    while let Some((_, rest)) = message.split_once(": ").filter(|(place, _)| !place.contains(' ')) {
        message = rest;
    }
    message.split(" (after ").next().unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::Class;

    #[test]
    fn only_a_refusal_is_explained_and_the_remedy_stays_last() {
        let reason = Reason::default();
        reason.note("CONNECT", "[thrd:a]: b: something else");
        let line = "[thrd:ssl://b:1/bootstrap]: ssl://b:1/bootstrap: SSL handshake failed: unknown (after 5ms in state X)";
        reason.note("FAIL", line);
        let error = || Error::new(Class::Config, "no TLS with b:1; correct connections.kafka.tls");
        assert_eq!(
            reason.explain(Some(Code::SSL), error()).message,
            "no TLS with b:1: SSL handshake failed: unknown; correct connections.kafka.tls"
        );
        assert_eq!(reason.explain(Some(Code::AllBrokersDown), error()).message, error().message);
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_in_the_middle_of_a_handshake_is_no_refusal() {
        let refusal = Refusal::default();
        let place =
            "[thrd:sasl_ssl://b:1/2]: sasl_ssl://b:1/2: SASL SCRAM-SHA-512 mechanism handshake failed: ";
        let line = |why: &str| {
            format!("{place}{why}: broker's supported mechanisms: (n/a) (after 0ms in state DOWN)")
        };
        refusal.reason().note("FAIL", &line("Local: Broker transport failure"));
        refusal.note(Some(Code::Authentication));
        assert_eq!(refusal.now(), None);
        refusal.reason().note("FAIL", &line("Broker: Unsupported SASL mechanism"));
        refusal.note(Some(Code::Authentication));
        assert_eq!(refusal.now(), Some(Code::Authentication));
    }

    #[test]
    fn a_reason_is_the_same_whichever_connection_was_refused() {
        let why = "SASL authentication error: Authentication failed: no (after 3ms in state AUTH_REQ)";
        for places in ["sasl_ssl://b:1/bootstrap: ", "GroupCoordinator: b:1: ", "sasl_ssl://b:1/1: "] {
            let line = format!("[thrd:{}]: {places}{why}", places.trim_end_matches(": "));
            assert_eq!(essence(&line), "SASL authentication error: Authentication failed: no");
        }
    }

    #[tokio::test]
    async fn a_refusal_lasts_until_a_broker_does_what_it_is_asked() {
        let refusal = Refusal::default();
        refusal.note(Some(Code::AllBrokersDown));
        assert_eq!(refusal.now(), None, "an outage is none");
        let told = refusal.clone();
        let (code, ()) = tokio::join!(told.told(), async { refusal.note(Some(Code::SSL)) });
        assert_eq!(code, Code::SSL);
        refusal.note(Some(Code::Resolve));
        assert_eq!(refusal.told().await, Code::SSL, "what follows it does not hide it");
        refusal.over();
        assert_eq!(refusal.now(), None);
    }
}
