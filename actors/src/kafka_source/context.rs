//! What librdkafka calls back: it only takes notes. The polling loop answers them in order, each once.

use crate::kafka::refusal::{Reason, is_refusal};
use aqueduct_engine::telemetry::event_ids;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A change of assignment that waits for its answer. The event's own list dies with it, so this is a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    /// The group gives us these partitions.
    Assign(Vec<i32>),
    /// The group asks for these back.
    Revoke(Vec<i32>),
    /// These are no longer ours; somebody may have them already.
    Lost(Vec<i32>),
}

/// Shared by the client's callbacks and the polling loop.
#[derive(Debug)]
pub(super) struct Notes {
    actor: Arc<str>,
    rebalances: Mutex<VecDeque<Rebalance>>,
    trouble: Mutex<Option<KafkaError>>,
    reason: Reason,
    session_lost: AtomicBool,
    closing: AtomicBool,
}

impl Notes {
    /// No notes yet.
    pub(super) fn new(actor: Arc<str>) -> Self {
        Self {
            actor,
            rebalances: Mutex::default(),
            trouble: Mutex::default(),
            reason: Reason::default(),
            session_lost: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    /// The oldest change that waits for its answer.
    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The last trouble the client as a whole has had, once.
    pub(super) fn take_trouble(&self) -> Option<KafkaError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why the client was refused, if it was.
    pub(super) fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Whether the client has given its session up and not been given partitions since. Until it has joined again it has
    /// no id, and a commit that it sends all the same is answered as if another member had our name
    /// (librdkafka issue 3437, mended by its pull request 5585, which the release we use does not have).
    pub(super) fn is_session_lost(&self) -> bool {
        self.session_lost.load(Ordering::Acquire)
    }

    /// From now on changes are answered on the spot: nobody polls but the closing client itself.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

/// The context of the source's client.
#[derive(Clone, Debug)]
pub(super) struct SourceContext(pub(super) Arc<Notes>);

impl ClientContext for SourceContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let actor = &*self.0.actor;
        self.0.reason.note(facility, message);
        if facility == "SESSTMOUT" {
            self.0.session_lost.store(true, Ordering::Release);
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", event = event_ids::KAFKA, actor, facility, "{message}")
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", event = event_ids::KAFKA, actor, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", actor, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", actor = &*self.0.actor, %error, "{reason}");
        let code = error.rdkafka_error_code();
        if code.is_some_and(is_refusal) && !self.0.reason.refuses(code) {
            return;
        }
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // That no broker is left is told behind every refusal, and says less.
        if !trouble.as_ref().and_then(KafkaError::rdkafka_error_code).is_some_and(is_refusal) {
            *trouble = Some(error);
        }
    }
}

impl ConsumerContext for SourceContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assign = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.0.closing.load(Ordering::Acquire) {
            answer_while_closing(consumer, assign, list);
            return;
        }
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        if assign {
            self.0.session_lost.store(false, Ordering::Release);
        }
        let note = match (assign, consumer.assignment_lost()) {
            (true, _) => Rebalance::Assign(partitions),
            (false, true) => Rebalance::Lost(partitions),
            (false, false) => Rebalance::Revoke(partitions),
        };
        tracing::debug!(actor = &*self.0.actor, ?note, "rebalance");
        self.0.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(note);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // For tools only: the next one comes in a few seconds.
            tracing::debug!(actor = &*self.0.actor, %error, "group offsets were not committed");
        }
    }
}

/// A client that closes takes nothing more and gives everything back.
fn answer_while_closing(consumer: &BaseConsumer<SourceContext>, assign: bool, list: &TopicPartitionList) {
    let answered = match (consumer.rebalance_protocol(), assign) {
        (RebalanceProtocol::Cooperative, true) => consumer.incremental_assign(&TopicPartitionList::new()),
        (RebalanceProtocol::Cooperative, false) => {
            consumer.incremental_unassign(&assigned_of(consumer, list)).or_else(|_| consumer.unassign())
        }
        _ => consumer.unassign(),
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "rebalance while closing");
    }
}

/// The part of `list` that was really assigned: what was never claimed was never assigned.
fn assigned_of(consumer: &BaseConsumer<SourceContext>, list: &TopicPartitionList) -> TopicPartitionList {
    let mut assigned = TopicPartitionList::new();
    if let Ok(held) = consumer.assignment() {
        for element in list.elements() {
            if held.find_partition(element.topic(), element.partition()).is_some() {
                assigned.add_partition(element.topic(), element.partition());
            }
        }
    }
    assigned
}
