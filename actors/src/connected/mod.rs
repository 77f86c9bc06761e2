//! A topology beside the servers it names: what `check --connect` finds, as diagnostics at the line that caused each.
//!
//! The servers are asked at once, each for at most [`ANSWER_MAX`] (Kafka longer where it asks who we are), and none is changed: what a user may do is read from
//! the server, or asked in a way that has no effect. What was found before a server fell silent is kept.
//!
//! Deliberately absent: repairs, and any judgement of the file alone.

mod kafka;
mod redis;
mod registry;
mod retention;
mod timescale;

use crate::timescale::migrate::{Error as MigrationError, MigrationSet};
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::{Actor, Kind, Topology};
use aqueduct_topology::{Code, Diagnostic, Span};
use std::cell::RefCell;
use std::time::Duration;

/// How long one server may take to answer everything.
pub const ANSWER_MAX: Duration = Duration::from_secs(4);

/// What is asked about, and where what is found is noted.
pub(crate) struct Inquiry<'a> {
    topology: &'a Topology,
    node: &'a str,
    clock: Clock,
    migrations: Result<Vec<MigrationSet>, MigrationError>,
    found: RefCell<Vec<Diagnostic>>,
}

/// Asks every server that `topology` names; in no order. `migrations` are the sets its database should have: the
/// engine's, then the topology's.
pub async fn check(
    topology: &Topology,
    node: &str,
    clock: Clock,
    migrations: Result<Vec<MigrationSet>, MigrationError>,
) -> Vec<Diagnostic> {
    let inquiry = Inquiry { topology, node, clock, migrations, found: RefCell::default() };
    futures::join!(
        kafka::ask(&inquiry),
        timescale::ask(&inquiry),
        redis::ask(&inquiry),
        registry::ask(&inquiry)
    );
    inquiry.found.into_inner()
}

/// A server, for messages.
#[derive(Clone, Copy, Debug)]
struct Server {
    name: &'static str,
    /// Where a file says it.
    key: &'static str,
    /// The variable that says it otherwise.
    variable: &'static str,
    /// What else to look at when it is silent.
    also: &'static str,
}

impl Inquiry<'_> {
    fn report(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Where a connection was written; where it came from the environment, the first actor that needs it, else the
    /// topology's name.
    fn place(&self, written: Span, needs: impl Fn(&Kind) -> bool) -> Span {
        if written != Span::default() {
            return written;
        }
        let actor = self.topology.actors.iter().find(|actor| needs(&actor.kind) && written_actor(actor));
        actor.map_or(self.topology.name.span, |actor| actor.name.span)
    }

    /// Awaits what a server has to say, for a while; that it does not say it is a finding at `place`.
    async fn within(
        &self,
        server: Server,
        place: Span,
        patience: Duration,
        asking: impl Future<Output = Result<(), Error>>,
    ) {
        match self.clock.timeout(patience, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.report(failure(server, place, &error)),
            Err(_) => {
                let message = format!("{} gave no answer within {} s", server.name, patience.as_secs());
                self.report(unreachable(server, place, message));
            }
        }
    }
}

/// The dead letter is there without being written.
fn written_actor(actor: &Actor) -> bool {
    actor.name.span != Span::default()
}

fn unreachable(server: Server, place: Span, message: String) -> Diagnostic {
    Diagnostic::error(Code::Unreachable, place, message).help(format!(
        "start it, open the way to it, or correct `{}` (or the variable {}){}",
        server.key, server.variable, server.also
    ))
}

/// A failed connection or question. The remedy, where an error says one, stands behind its last semicolon.
fn failure(server: Server, place: Span, error: &Error) -> Diagnostic {
    if matches!(error.class, Class::Transient | Class::Capacity) {
        return unreachable(server, place, error.message.to_string());
    }
    let (message, remedy) = match error.message.rsplit_once("; ") {
        Some((message, remedy)) => (message.to_owned(), remedy.to_owned()),
        None => (
            error.message.to_string(),
            format!("correct `{}` (or the variable {})", server.key, server.variable),
        ),
    };
    Diagnostic::error(Code::Refused, place, message).help(remedy)
}

/// Where the file says the field `name` of the row that reaches `actor`.
fn field_span(topology: &Topology, actor: &Actor, name: &str) -> Option<Span> {
    let inputs = actor.from.iter().filter_map(|from| topology.actor(&from.value));
    inputs
        .filter_map(|input| match &input.kind {
            Kind::Normalizer(normalizer) => normalizer.cases.first(),
            _ => None,
        })
        .flat_map(|case| &case.fields)
        .find(|field| field.name.value == name)
        .map(|field| field.name.span)
        .filter(|span| *span != Span::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Server =
        Server { name: "redis", key: "connections.redis.url", variable: "REDIS_URL", also: "" };

    #[test]
    fn what_goes_away_by_itself_is_no_answer_and_anything_else_a_refusal_with_its_remedy() {
        let away = failure(SERVER, Span::default(), &Error::new(Class::Transient, "nobody there"));
        assert_eq!((away.code, away.message.as_str()), (Code::Unreachable, "nobody there"));
        assert!(away.help.expect("a remedy").contains("REDIS_URL"));
        let refused = Error::new(Class::Config, "redis: WRONGPASS; check user and password");
        let refused = failure(SERVER, Span::default(), &refused);
        assert_eq!((refused.code, refused.message.as_str()), (Code::Refused, "redis: WRONGPASS"));
        assert_eq!(refused.help.as_deref(), Some("check user and password"));
    }
}
