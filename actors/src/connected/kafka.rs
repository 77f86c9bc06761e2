//! Kafka: brokers, topics, their settings, and what the user may read.
//!
//! librdkafka's questions block, and a client may take long to end; so they are asked on a thread of their own, which
//! answers before it ends its clients, and is left behind when it is late. Settings of topics that nobody may see are taken
//! as fitting.

use super::{ANSWER_MAX, Inquiry, Server, written_actor};
use crate::kafka::class::{About, classify, describe};
use crate::kafka::cluster::Cluster;
use crate::kafka::refusal::{Asking, Reason, Refusal};
use crate::kafka::{config, query};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::{Actor, FieldType, KafkaConnection, Kind, Normalizer, Topology};
use aqueduct_topology::{Code, Diagnostic, Span};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::oneshot;

const SERVER: Server = Server {
    name: "kafka",
    key: "connections.kafka.bootstrap",
    variable: "KAFKA_BOOTSTRAP",
    also: "; see that its listener speaks what `tls` and `sasl` say",
};

/// How long one question may take.
const QUESTION_MAX: Duration = Duration::from_millis(800);
/// How long the broker may take to answer where TLS or SASL must be agreed on first: several round trips, and work for both
/// sides. A refusal comes at the end of it, and must not pass for silence on a busy machine.
const AGREED_MAX: Duration = Duration::from_secs(12);
/// How much of a client's queue is read between two of them; what is only logged counts too.
const EVENTS_MAX: usize = 64;

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Topic {
    partitions: usize,
    compacted: bool,
    message_bytes_max: Option<u64>,
}

/// The topics asked for; an error where one is not there or not ours.
#[derive(Debug, Default)]
struct Answer {
    topics: BTreeMap<String, Result<Topic, RDKafkaErrorCode>>,
    /// Whether the group may not be joined.
    group_forbidden: bool,
}

/// Asks the cluster of the topology, if it has one.
pub(super) async fn ask(inquiry: &Inquiry<'_>) {
    let topology = inquiry.topology;
    let Some(connection) = &topology.connections.kafka else { return };
    let uses = |kind: &Kind| matches!(kind, Kind::KafkaSource(_) | Kind::KafkaSink(_));
    let place = inquiry.place(connection.bootstrap.span, uses);
    let asks = connection.tls.is_some() || connection.sasl.is_some();
    let patience = if asks { AGREED_MAX } else { ANSWER_MAX };
    let asking = async {
        let until = inquiry.clock.now() + patience;
        let answer = on_a_thread(connection.clone(), topology, (inquiry.clock.clone(), until)).await?;
        judge(topology, connection, &answer).into_iter().for_each(|finding| inquiry.report(finding));
        Ok(())
    };
    inquiry.within(SERVER, place, patience, asking).await;
}

async fn on_a_thread(
    connection: KafkaConnection,
    topology: &Topology,
    until: (Clock, Instant),
) -> Result<Answer, Error> {
    let topics: BTreeSet<String> = uses(topology).into_iter().map(|(topic, ..)| topic).collect();
    let sources = topology.actors.iter().any(|actor| matches!(actor.kind, Kind::KafkaSource(_)));
    let group = sources.then(|| topology.name.value.clone());
    let (sender, receiver) = oneshot::channel();
    let asked = std::thread::Builder::new().name("kafka-check".into()).spawn(move || {
        let mut clients = Clients::default();
        let answer = questions(&connection, &topics, group.as_deref(), &until, &mut clients);
        // Whoever asked may have stopped waiting.
        let _ = sender.send(answer);
        drop(clients);
    });
    asked.map_err(|error| Error::bug(format!("no thread to ask kafka on: {error}")))?;
    receiver.await.map_err(|_| Error::bug("the questions to kafka ended without an answer"))?
}

/// Each use of a topic: its name, where it is written, who uses it.
fn uses(topology: &Topology) -> Vec<(String, Span, &Actor)> {
    let named = |actor: &'_ Actor| match &actor.kind {
        Kind::KafkaSource(source) => Some((source.topic.value.clone(), source.topic.span)),
        Kind::KafkaSink(sink) => Some((sink.topic.value.clone(), sink.topic.span)),
        // Letters lie in the database where there is one.
        Kind::DeadLetter(letters) if topology.connections.timescale.is_none() => {
            let named = letters.topic.as_ref().map(|topic| (topic.value.clone(), topic.span));
            let place = if written_actor(actor) { actor.name.span } else { topology.name.span };
            Some(named.unwrap_or_else(|| (format!("{}.dead_letter", topology.name.value), place)))
        }
        _ => None,
    };
    topology
        .actors
        .iter()
        .filter_map(|actor| named(actor).map(|(topic, span)| (topic, span, actor)))
        .collect()
}

/// What was asked through; a refused one may take long to end.
#[derive(Default)]
struct Clients {
    consumer: Option<BaseConsumer<Asking>>,
    admin: Option<AdminClient<DefaultClientContext>>,
}

fn questions(
    connection: &KafkaConnection,
    topics: &BTreeSet<String>,
    group: Option<&str>,
    until: &(Clock, Instant),
    clients: &mut Clients,
) -> Result<Answer, Error> {
    let about = About { bootstrap: &connection.bootstrap.value, topic: "" };
    let wrong = |error: KafkaError| classify(&error, about);
    let login = Cluster::from(connection.clone()).login()?;
    let client = config::inquirer(connection, &login, "aqueduct-check", group.unwrap_or("aqueduct-check"))?;
    let refusal = Refusal::default();
    let consumer = client.create_with_context(Asking(refusal.clone())).map_err(wrong)?;
    let consumer = &*clients.consumer.insert(consumer);
    reach(consumer, about, refusal.reason(), until)?;
    let mut answer = Answer::default();
    for topic in topics {
        let known = match consumer.fetch_metadata(Some(topic), QUESTION_MAX) {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|known| known.name() == topic);
                let partitions = found.map_or(0, |found| found.partitions().len());
                match found.and_then(|found| found.error()) {
                    Some(error) => Err(error.into()),
                    None if partitions == 0 => Err(RDKafkaErrorCode::UnknownTopicOrPartition),
                    None => Ok(Topic { partitions, ..Topic::default() }),
                }
            }
            Err(error) => Err(error.rdkafka_error_code().ok_or_else(|| wrong(error))?),
        };
        answer.topics.insert(topic.clone(), known);
    }
    let admin = config::client(connection, &login, "aqueduct-check")?.create().map_err(wrong)?;
    describe_topics(clients.admin.insert(admin), &mut answer.topics);
    if group.is_some() {
        answer.group_forbidden = is_group_forbidden(consumer, &answer.topics);
    }
    Ok(answer)
}

/// Returns once a broker has answered. What a client as a whole complains of stands in its queue.
fn reach(
    consumer: &BaseConsumer<Asking>,
    about: About<'_>,
    reason: &Reason,
    (clock, until): &(Clock, Instant),
) -> Result<(), Error> {
    let mut last = Error::new(Class::Transient, format!("no broker of {} answers", about.bootstrap));
    // What is found is to be said in time, so the last question ends before.
    while clock.now() + QUESTION_MAX < *until {
        // A name nobody has: the answer is small, however many topics there are.
        let asked = consumer.fetch_metadata(Some("aqueduct-check"), QUESTION_MAX);
        let Err(error) = asked else { return Ok(()) };
        last = classify(&error, about);
        for _ in 0..EVENTS_MAX {
            let Some(Err(error)) = consumer.poll(Duration::ZERO) else { continue };
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            let complaint = reason.explain(Some(code), describe(code, about));
            let away = matches!(code, RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Resolve);
            if away || complaint.class == Class::Config {
                return Err(complaint);
            }
        }
    }
    Err(last)
}

fn describe_topics(
    admin: &AdminClient<DefaultClientContext>,
    topics: &mut BTreeMap<String, Result<Topic, RDKafkaErrorCode>>,
) {
    let names: Vec<String> =
        topics.iter().filter(|(_, topic)| topic.is_ok()).map(|(name, _)| name.clone()).collect();
    let asked: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(QUESTION_MAX));
    let Ok(described) = futures::executor::block_on(admin.describe_configs(&asked, &options)) else { return };
    for (name, described) in names.iter().zip(described) {
        let (Ok(described), Some(Ok(topic))) = (described, topics.get_mut(name)) else { continue };
        let value = |key: &str| described.get(key).and_then(|entry| entry.value.as_deref());
        topic.compacted = value("cleanup.policy")
            .is_some_and(|policy| policy.split(',').any(|one| one.trim() == "compact"));
        topic.message_bytes_max = value("max.message.bytes").and_then(|bytes| bytes.parse().ok());
    }
}

/// Only a refusal counts: a group nobody has joined yet may have no coordinator.
fn is_group_forbidden(
    consumer: &BaseConsumer<Asking>,
    topics: &BTreeMap<String, Result<Topic, RDKafkaErrorCode>>,
) -> bool {
    let Some((topic, _)) = topics.iter().find(|(_, topic)| topic.is_ok()) else { return false };
    let asked = query::committed(consumer, &[(topic, 0)], QUESTION_MAX);
    asked.is_err_and(|error| error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed))
}

/// What the answer means for the topology.
fn judge(topology: &Topology, connection: &KafkaConnection, answer: &Answer) -> Vec<Diagnostic> {
    let bootstrap = &connection.bootstrap.value;
    let mut found = Vec::new();
    for (topic, span, actor) in uses(topology) {
        match &answer.topics[&topic] {
            Err(code) => found.push(refused(*code, bootstrap, &topic, span)),
            Ok(facts) => found.extend(of_topic(topology, answer, actor, (&topic, span), facts)),
        }
    }
    found.extend(topology.actors.iter().filter_map(|actor| idle_clones(topology, answer, actor)));
    let source = topology.actors.iter().find(|actor| matches!(actor.kind, Kind::KafkaSource(_)));
    if let Some(source) = source.filter(|_| answer.group_forbidden) {
        let group = &topology.name.value;
        let message = format!("this user may not join the consumer group `{group}`");
        let finding = Diagnostic::error(Code::TopicForbidden, source.name.span, message);
        found.push(finding.help(format!("grant it READ on the group `{group}`, the topology's name")));
    }
    found
}

fn refused(code: RDKafkaErrorCode, bootstrap: &str, topic: &str, span: Span) -> Diagnostic {
    match code {
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
            Diagnostic::error(Code::NoTopic, span, format!("the topic `{topic}` does not exist at {bootstrap}")).help(
                format!(
                    "create it: kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {topic} --partitions 4"
                ),
            )
        }
        RDKafkaErrorCode::InvalidTopic => {
            Diagnostic::error(Code::NoTopic, span, format!("`{topic}` cannot be the name of a topic"))
                .help("a topic's name is at most 249 of a-z, A-Z, 0-9, `.`, `_` and `-`")
        }
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            let message = format!("this user may not use the topic `{topic}` at {bootstrap}");
            Diagnostic::error(Code::TopicForbidden, span, message)
                .help(format!("grant it DESCRIBE on `{topic}`, and READ to read it or WRITE to write it"))
        }
        other => super::unreachable(SERVER, span, format!("nothing is known of the topic `{topic}`: {other}")),
    }
}

fn of_topic(
    topology: &Topology,
    answer: &Answer,
    actor: &Actor,
    (topic, span): (&str, Span),
    facts: &Topic,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if facts.compacted {
        found.extend(compacted(topology, actor, topic, span));
    }
    if let (Kind::KafkaSink(_), Some(bytes)) = (&actor.kind, facts.message_bytes_max) {
        found.extend(small_messages(topology, answer, actor, (topic, span), bytes));
    }
    found
}

fn compacted(topology: &Topology, actor: &Actor, topic: &str, span: Span) -> Option<Diagnostic> {
    let says = format!("the topic `{topic}` is compacted");
    match &actor.kind {
        Kind::KafkaSink(sink) if sink.key.is_none() => {
            let message = format!("{says}, and `{}` writes records without a key", actor.name.value);
            let finding = Diagnostic::error(Code::Compacted, span, message);
            Some(finding.help("the broker refuses such records: give the sink a `key`, or set the topic's cleanup.policy to delete"))
        }
        Kind::KafkaSource(_) => {
            let writer = topology
                .sinks_of(&actor.name.value)
                .into_iter()
                .find(|sink| matches!(&sink.kind, Kind::TimescaleWriter(_)))?;
            let message = format!("{says}: what `{}` keeps will have gaps", writer.name.value);
            let finding = Diagnostic::warning(Code::Compacted, span, message);
            let finding = finding.label("older records of a key are dropped, read or not");
            Some(finding.help("set the topic's cleanup.policy to delete if the history has to be whole"))
        }
        Kind::DeadLetter(_) => {
            let message = format!("{says}: a letter drops the older letters of its key");
            let finding = Diagnostic::warning(Code::Compacted, span, message);
            Some(finding.help("set the topic's cleanup.policy to delete"))
        }
        _ => None,
    }
}

/// Rows hold at most about what their fields are bounded to, or else what a message may hold.
fn small_messages(
    topology: &Topology,
    answer: &Answer,
    actor: &Actor,
    (topic, span): (&str, Span),
    bytes: u64,
) -> Option<Diagnostic> {
    let rows = actor.from.iter().find_map(|from| match &topology.actor(&from.value)?.kind {
        Kind::Normalizer(normalizer) => Some(normalizer),
        _ => None,
    })?;
    let read = |source: &&Actor| match &source.kind {
        Kind::KafkaSource(source) => answer.topics.get(&source.topic.value)?.as_ref().ok()?.message_bytes_max,
        _ => None,
    };
    let read = topology.sources_of(&actor.name.value).iter().filter_map(read).max()?;
    let row = row_bytes(rows, read).min(read);
    if row <= bytes {
        return None;
    }
    let message =
        format!("the topic `{topic}` takes messages of {bytes} bytes, and a row may have about {row}");
    let finding = Diagnostic::warning(Code::SmallMessages, span, message);
    Some(
        finding.label("what is larger is rejected to the dead letter").help(format!(
            "raise the topic's max.message.bytes to {row}, or bound the fields with `max_bytes`"
        )),
    )
}

/// The longest row as JSON, where a text without a bound is as long as a message.
fn row_bytes(rows: &Normalizer, message: u64) -> u64 {
    let field = |name: &str, kind: FieldType| match kind {
        FieldType::Text | FieldType::Json => {
            let fields = rows.cases.iter().flat_map(|case| &case.fields);
            let bounds = fields.filter(|field| field.name.value == name).map(|field| field.max_bytes);
            bounds.map(|bound| bound.map_or(message, |bytes| bytes as u64)).max().unwrap_or(message)
        }
        FieldType::Decimal { precision, .. } => u64::from(precision) + 5,
        FieldType::Timestamp => 29,
        FieldType::Int64 | FieldType::Float64 | FieldType::Bool => 24,
    };
    let columns = rows.columns.iter();
    columns
        .map(|column| field(&column.name, column.kind) + column.name.len() as u64 + 6)
        .fold(2, u64::saturating_add)
}

fn idle_clones(topology: &Topology, answer: &Answer, actor: &Actor) -> Option<Diagnostic> {
    let clones = u64::from(actor.parallelism.value);
    if clones == 1 {
        return None;
    }
    let partitions = |source: &&Actor| match &source.kind {
        Kind::KafkaSource(source) => answer.topics.get(&source.topic.value)?.as_ref().ok(),
        _ => None,
    };
    let sources = topology.sources_of(&actor.name.value);
    let known: Vec<&Topic> = sources.iter().filter_map(partitions).collect();
    let sum: u64 = known.iter().map(|topic| topic.partitions as u64).sum();
    if known.len() < sources.len() || sum >= clones {
        return None;
    }
    let message = format!("`{}` has {clones} clones for {sum} partitions", actor.name.value);
    let finding = Diagnostic::warning(Code::IdleClones, actor.parallelism.span, message);
    Some(finding.label(format!("{} of them have nothing to do", clones - sum)).help(format!(
        "a partition belongs to one clone: lower `parallelism` to {sum}, or give the topic more partitions"
    )))
}
