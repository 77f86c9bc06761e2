//! Messages from the client into batches.

use super::{End, Poll, Report};
use crate::kafka::records::Record;
use aqueduct_engine::{Class, Headers};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How long one poll may wait for a message.
const POLL_MAX: Duration = Duration::from_millis(20);
/// Messages taken between two looks at everything else.
const MESSAGES_PER_TURN: usize = 1024;

impl Poll {
    /// Takes what the client has, until a batch finds no room.
    pub(super) fn take_messages(&mut self) -> Option<End> {
        let client = self.setup.client.clone();
        let mut wait = self.wait_max();
        let mut full = false;
        for _ in 0..MESSAGES_PER_TURN {
            match client.poll(std::mem::take(&mut wait)) {
                // Nothing there, or a rebalance was noted, which comes first.
                None => break,
                Some(Ok(message)) => full |= self.take(&message),
                Some(Err(KafkaError::PartitionEOF(partition))) => self.reach_end(partition),
                Some(Err(error)) => {
                    if let Some(end) = self.fail(&error) {
                        return Some(end);
                    }
                }
            }
            if full {
                break;
            }
        }
        self.end_lingering();
        let trouble = self.setup.notes.take_trouble()?;
        self.fail(&trouble)
    }

    /// Until the oldest batch has lingered long enough.
    fn wait_max(&self) -> Duration {
        let now = self.setup.clock.now();
        self.reading()
            .filter_map(|(_, reading)| reading.since)
            .map(|since| (since + self.setup.linger).duration_since(now))
            .fold(POLL_MAX, Duration::min)
    }

    /// Whether a batch was ended by it.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> bool {
        let Some(held) = self.partitions.get_mut(&message.partition()) else { return false };
        let Some(reading) = held.reading.as_mut().filter(|reading| !reading.revoking) else { return false };
        let record = Record {
            offset: message.offset(),
            key: message.key(),
            value: message.payload(),
            time_ms: message.timestamp().to_millis(),
            headers: message.headers().map_or_else(Headers::new, copy_headers),
        };
        reading.at_end = false;
        if reading.since.is_none() {
            reading.since = Some(self.setup.clock.now());
        }
        let mut ended = false;
        for batch in reading.gathering.add(record).into_iter().flatten() {
            reading.park(batch);
            ended = true;
        }
        if reading.gathering.is_full() {
            reading.end_batch();
            ended = true;
        }
        if self.troubled {
            self.flow();
        }
        ended
    }

    fn flow(&mut self) {
        self.troubled = false;
        self.report(Report::Flowing);
    }

    /// The end of `partition`: what lies between the last message and the position are markers of transactions.
    fn reach_end(&mut self, partition: i32) {
        if self.troubled {
            self.flow();
        }
        let position = self.setup.client.position().ok().and_then(|list| {
            list.find_partition(&self.setup.topic, partition).and_then(|element| element.offset().to_raw())
        });
        let Some(reading) = self.partitions.get_mut(&partition).and_then(|held| held.reading.as_mut()) else {
            return;
        };
        reading.at_end = true;
        reading.reached_end = true;
        // Before the first message the position is unknown (negative), and nothing is passed.
        if let Some(empty) = position.and_then(|position| reading.gathering.pass(position)) {
            reading.park(empty);
        }
    }

    /// Ends the batches that have lingered long enough.
    fn end_lingering(&mut self) {
        let (now, linger) = (self.setup.clock.now(), self.setup.linger);
        for (_, reading) in self.reading_mut() {
            if reading.since.is_some_and(|since| now.duration_since(since) >= linger) {
                reading.end_batch();
            }
        }
    }

    /// What an error of the client means: the end of the client, a partition out of its range, or a trouble to wait
    /// through.
    fn fail(&mut self, error: &KafkaError) -> Option<End> {
        let fatal = self.setup.client.client().fatal_error();
        let code = fatal.as_ref().map(|(code, _)| *code).or_else(|| error.rdkafka_error_code());
        let told = self.classify(error);
        match (code, fatal) {
            (Some(Code::FencedInstanceId), _) => {
                Some(End::FencedByName(self.classify(&KafkaError::Global(Code::FencedInstanceId))))
            }
            (Some(code), Some(_)) => Some(End::ClientGone(self.classify(&KafkaError::Global(code)))),
            (Some(Code::AutoOffsetReset | Code::OffsetOutOfRange), None) => {
                self.report(Report::OutOfRange);
                None
            }
            // A broker of several went away and comes back: the client sees to it. All of them: a trouble.
            (Some(Code::BrokerTransportFailure | Code::Resolve), None) => None,
            _ if told.class == Class::Transient && code != Some(Code::AllBrokersDown) => {
                tracing::debug!(actor = &*self.setup.source, %error, "the client retries");
                None
            }
            _ => {
                self.trouble(error);
                None
            }
        }
    }

    /// Pauses the partitions whose batches find no room.
    pub(super) fn pause_parked(&mut self) {
        let parked: Vec<i32> = self
            .reading()
            .filter(|(_, reading)| reading.is_parked() && !reading.paused)
            .map(|(number, _)| number)
            .collect();
        self.pause(&parked);
        self.mark_paused(&parked, true);
    }

    /// Resumes the partitions whose batches have all found room.
    pub(super) fn resume_unparked(&mut self) {
        if self.draining {
            return;
        }
        let free: Vec<i32> = self
            .reading()
            .filter(|(_, reading)| reading.paused && !reading.is_parked())
            .map(|(number, _)| number)
            .collect();
        if !free.is_empty()
            && let Err(error) = self.setup.client.resume(&self.list(&free))
        {
            self.trouble(&error);
        }
        self.mark_paused(&free, false);
    }

    pub(super) fn pause(&mut self, partitions: &[i32]) {
        if !partitions.is_empty()
            && let Err(error) = self.setup.client.pause(&self.list(partitions))
        {
            self.trouble(&error);
        }
    }

    fn mark_paused(&mut self, partitions: &[i32], paused: bool) {
        for (number, reading) in self.reading_mut() {
            if partitions.contains(&number) {
                reading.paused = paused;
            }
        }
    }
}

/// A header whose name is not UTF-8 makes the driver panic: that one is named by its place instead, without its value.
fn copy_headers(headers: &BorrowedHeaders) -> Headers {
    (0..headers.count())
        .map(|index| {
            let header = catch_unwind(AssertUnwindSafe(|| headers.get(index)));
            match header {
                Ok(header) => (header.key.into(), header.value.map(<[u8]>::to_vec)),
                Err(_) => (format!("header_{index}_not_utf8").into(), None),
            }
        })
        .collect()
}
