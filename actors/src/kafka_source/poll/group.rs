//! Answers to the group.

use super::{Instant, Partition, Poll, Report};
use crate::kafka_source::context::Rebalance;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::telemetry::event_ids;
use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::Duration;

/// A revocation is answered no later than this.
pub(in crate::kafka_source) const REVOKE_MAX: Duration = Duration::from_secs(5);

/// Partitions the group wants back.
pub(super) struct Revocation {
    partitions: Vec<i32>,
    /// Those with something in flight.
    pub(super) waiting: Vec<i32>,
    until: Instant,
}

impl Poll {
    /// Answers what can be answered, in order: a revocation that waits holds back what came after it.
    pub(super) fn answer_group(&mut self) {
        loop {
            if let Some(revocation) = &self.revocation {
                if !revocation.waiting.is_empty() && self.setup.clock.now() < revocation.until {
                    return;
                }
                self.end_revocation();
            }
            match self.setup.notes.next_rebalance() {
                None => return,
                Some(Rebalance::Assign(partitions)) => self.grant(partitions),
                Some(Rebalance::Revoke(partitions)) => self.begin_revocation(partitions),
                Some(Rebalance::Lost(partitions)) => self.give_back(&partitions),
            }
        }
    }

    /// Whether the group wants `number` back.
    pub(super) fn is_revoking(&self, number: i32) -> bool {
        self.revocation.as_ref().is_some_and(|revocation| revocation.partitions.contains(&number))
    }

    fn grant(&mut self, partitions: Vec<i32>) {
        self.grants += 1;
        for number in &partitions {
            self.partitions.insert(*number, Partition { grant: self.grants, reading: None });
        }
        let nothing = TopicPartitionList::new();
        let answered = match self.setup.client.rebalance_protocol() {
            RebalanceProtocol::Eager => self.setup.client.assign(&nothing),
            _ => self.setup.client.incremental_assign(&nothing),
        };
        if let Err(error) = answered {
            self.trouble(&error);
        }
        self.member = true;
        self.report(Report::Granted { grant: self.grants, partitions });
    }

    /// Stops reading; the answer follows when nothing is in flight.
    fn begin_revocation(&mut self, partitions: Vec<i32>) {
        if planted(Bug::AnswersNoRevocation) {
            return;
        }
        let mut waiting = Vec::new();
        for number in &partitions {
            let Some(reading) = self.partitions.get_mut(number).and_then(|held| held.reading.as_mut()) else {
                continue;
            };
            reading.forget_untried();
            waiting.push(*number);
            self.outbox.push_back(Report::Revoking { partition: *number, epoch: reading.epoch });
        }
        self.revocation =
            Some(Revocation { partitions, waiting, until: self.setup.clock.now() + REVOKE_MAX });
    }

    fn end_revocation(&mut self) {
        let Some(revocation) = self.revocation.take() else { return };
        if !revocation.waiting.is_empty() {
            tracing::warn!(
                event = event_ids::REVOKED_IN_FLIGHT,
                actor = &*self.setup.source,
                topic = &*self.setup.topic,
                partitions = ?revocation.waiting,
                "rows still in flight after {REVOKE_MAX:?}: the next owner's claim fences them and reads them again"
            );
        }
        self.give_back(&revocation.partitions);
    }

    /// Answers a revocation: nothing of `partitions` is read any more.
    fn give_back(&mut self, partitions: &[i32]) {
        self.end_pause(partitions);
        let mut assigned = Vec::new();
        for number in partitions {
            let Some(held) = self.partitions.remove(number) else { continue };
            if let Some(reading) = held.reading {
                assigned.push(*number);
                self.outbox.push_back(Report::Released { partition: *number, epoch: reading.epoch });
            }
        }
        self.outbox.push_back(Report::Revoked { partitions: partitions.to_vec() });
        self.unassign(&assigned);
    }

    /// The client keeps a pause for longer than the assignment it was made in: given the partition again, it would never
    /// read it. So a pause ends before its assignment does.
    pub(super) fn end_pause(&mut self, partitions: &[i32]) {
        let paused = self.reading().filter(|(number, reading)| reading.paused && partitions.contains(number));
        let paused: Vec<i32> = paused.map(|(number, _)| number).collect();
        self.resume(&paused);
        self.mark_paused(&paused, false);
    }

    /// Tells the client that `assigned`, perhaps nothing, is assigned no more. It is the answer to a revocation, too.
    pub(super) fn unassign(&mut self, assigned: &[i32]) {
        let list = self.list(assigned);
        let client = &self.setup.client;
        let answered = match client.rebalance_protocol() {
            RebalanceProtocol::Eager => client.unassign(),
            _ => client.incremental_unassign(&list),
        };
        if let Err(error) = answered {
            self.trouble(&error);
        }
    }

    pub(super) fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.setup.topic, *partition);
        }
        list
    }
}
