//! What the actor orders.

use super::{End, Grant, Order, Poll, Reading, Report, TryRecvError};
use crate::kafka::records::Gathering;
use aqueduct_engine::Claim;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long the client may take to go back; it has only to ask itself.
const SEEK_MAX: Duration = Duration::from_secs(1);

impl Poll {
    pub(super) fn obey(&mut self) -> Option<End> {
        loop {
            match self.setup.orders.try_recv() {
                Ok(Order::Read { grant, claim, start }) => self.read(grant, claim, start),
                Ok(Order::Halt { partition }) => self.halt(partition),
                Ok(Order::Range { partition, start, end }) => self.check_range(partition, start, end),
                Ok(Order::Idle { partition }) => self.idle(partition),
                Ok(Order::Commit(offsets)) => self.commit(&offsets),
                Ok(Order::Drain) => self.drain(),
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return Some(End::Told),
                Err(TryRecvError::Empty) => return None,
            }
        }
    }

    /// Assigns a claimed partition, unless its grant has ended meanwhile.
    fn read(&mut self, grant: Grant, claim: Claim, start: i64) {
        let number = claim.key.partition;
        let stands = self.partitions.get(&number).is_some_and(|held| held.grant == grant);
        if !stands || self.draining || self.is_revoking(number) || self.setup.client.assignment_lost() {
            self.report(Report::Released { partition: number, epoch: claim.epoch });
            return;
        }
        self.halt(number);
        let epoch = claim.epoch;
        if !self.assign(number, start) {
            self.give_up(number, epoch);
            return;
        }
        let gathering = Gathering::new(claim.key, epoch, claim.start, self.setup.batch_rows);
        let mut reading = Reading::new(epoch, gathering);
        // What the log no longer has is covered by a batch without messages, so that offsets go on from there.
        if let Some(gap) = reading.gathering.pass(start) {
            reading.park(gap);
        }
        if let Some(held) = self.partitions.get_mut(&number) {
            held.reading = Some(reading);
        }
    }

    fn assign(&mut self, number: i32, start: i64) -> bool {
        // Before its first message: the client never leads a partition to its own queue once we have led it.
        self.intake.forward(&self.setup.topic, number);
        let mut list = TopicPartitionList::new();
        let assigned = list
            .add_partition_offset(&self.setup.topic, number, Offset::Offset(start))
            .and_then(|()| self.setup.client.incremental_assign(&list));
        if let Err(error) = &assigned {
            self.trouble(error);
        }
        assigned.is_ok()
    }

    /// Has the client fetch `number` from `next` on. What it has fetched already is thrown away.
    pub(super) fn reread(&mut self, number: i32, next: i64) {
        let mut list = TopicPartitionList::new();
        let sought = list
            .add_partition_offset(&self.setup.topic, number, Offset::Offset(next))
            .and_then(|()| self.setup.client.seek_partitions(list, SEEK_MAX));
        let failed = match sought {
            Ok(list) => list.elements().into_iter().find_map(|element| element.error().err()),
            Err(error) => Some(error),
        };
        tracing::debug!(actor = &*self.setup.source, partition = number, next, ?failed, "read again");
        if let Some(error) = failed {
            self.trouble(&error);
            let epoch =
                self.partitions.get(&number).and_then(|held| held.reading.as_ref()).map(|it| it.epoch);
            self.halt(number);
            if let Some(epoch) = epoch {
                self.give_up(number, epoch);
            }
        }
    }

    /// Stops reading `number`; the group still lets us have it.
    fn halt(&mut self, number: i32) {
        self.end_pause(&[number]);
        if self.partitions.get_mut(&number).and_then(|held| held.reading.take()).is_some() {
            self.unassign(&[number]);
        }
    }

    /// Some partition asked for an offset it could not have, and the client has given that one up without saying which.
    /// The log of `number` spans `start..end`: if our next message is gone, or yet to come, nothing may be read until
    /// somebody has decided; else the client is told once more.
    fn check_range(&mut self, number: i32, start: i64, end: i64) {
        let Some(reading) = self.partitions.get_mut(&number).and_then(|held| held.reading.as_mut()) else {
            return;
        };
        if reading.is_over() {
            return;
        }
        let (next, epoch) = (reading.gathering.next(), reading.epoch);
        if next > end {
            self.halt(number);
            self.report(Report::BeyondEnd { partition: number, next, end });
        } else if next < start {
            // What was read is nowhere else any more: it goes its way, and the loss is told behind it.
            reading.lose(start);
        } else {
            reading.flowing = false;
            self.end_pause(&[number]);
            self.unassign(&[number]);
            if !self.assign(number, next) {
                self.give_up(number, epoch);
            }
        }
    }

    /// Tells of losses, once all that was read before them is handed on.
    pub(super) fn tell_losses(&mut self) {
        let mut losses = Vec::new();
        for (partition, reading) in self.reading_mut() {
            if let Some((from, to)) = reading.tells_loss() {
                losses.push(Report::Gone { partition, epoch: reading.epoch, from, to });
            }
        }
        losses.into_iter().for_each(|loss| self.report(loss));
    }

    /// `number` is not assigned, though it is ours: to be claimed anew.
    fn give_up(&mut self, number: i32, epoch: i64) {
        if let Some(held) = self.partitions.get_mut(&number) {
            held.reading = None;
        }
        self.report(Report::Released { partition: number, epoch });
    }

    fn idle(&mut self, number: i32) {
        if let Some(revocation) = &mut self.revocation {
            revocation.waiting.retain(|partition| *partition != number);
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        let assigned: Vec<i32> = self.reading().map(|(number, _)| number).collect();
        self.pause(&assigned);
        for (_, reading) in self.reading_mut() {
            reading.paused = true;
            reading.end_batch();
        }
    }

    fn commit(&mut self, offsets: &[(i32, i64)]) {
        if self.setup.notes.is_session_lost() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (number, offset) in offsets {
            let held = self.partitions.get(number).is_some_and(|held| held.reading.is_some());
            if held && list.add_partition_offset(&self.setup.topic, *number, Offset::Offset(*offset)).is_err()
            {
                return;
            }
        }
        if list.count() > 0
            && let Err(error) = self.setup.client.commit(&list, CommitMode::Async)
        {
            tracing::debug!(actor = &*self.setup.source, %error, "group offsets were not committed");
        }
    }
}
