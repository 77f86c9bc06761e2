//! Messages from the client into batches.

use super::{End, Poll, Report};
use crate::kafka::intake::Taken;
use crate::kafka::records::Record;
use crate::kafka::refusal::is_refusal;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Class, Error};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use std::time::Duration;

/// How long one poll may wait for a message.
const POLL_MAX: Duration = Duration::from_millis(20);
/// Takings between two looks at everything else.
const CHUNKS_PER_TURN: usize = 2;
/// Events served between two looks at everything else.
const EVENTS_PER_TURN: usize = 64;
/// How often every partition is led to the intake anew.
const LEAD_ALL_EVERY: Duration = Duration::from_secs(1);
/// How often a client that is refused looks whether it would come with other credentials.
const CREDENTIALS_EVERY: Duration = Duration::from_secs(1);
/// A batch may gather for so long that the watchdog must be told that records are taken.
const LONG_LINGER: Duration = Duration::from_secs(1);

impl Poll {
    /// Takes what the client has, until a batch finds no room.
    pub(super) fn take_messages(&mut self) -> Option<End> {
        if let Some(end) = self.take_events() {
            return Some(end);
        }
        if let Some(end) = self.renew() {
            return Some(end);
        }
        self.lead_partitions();
        let mut wait = self.wait_max();
        let mut full = false;
        for _ in 0..CHUNKS_PER_TURN {
            let messages = self.intake.take(std::mem::take(&mut wait));
            // Partitions the client has to read again: what of them was taken with the leap is not looked at.
            let mut reread = Vec::new();
            for (partition, taken) in messages.iter() {
                if taken
                    .offset()
                    .is_some_and(|offset| reread.contains(&partition) || self.goes_back(partition, offset))
                {
                    reread.push(partition);
                    continue;
                }
                match taken {
                    Taken::Message(record) => full |= self.take(partition, record),
                    Taken::End(position) => self.reach_end(partition, position),
                    Taken::Failed(error) => {
                        if let Some(end) = self.fail(&error) {
                            return Some(end);
                        }
                    }
                }
            }
            if full || messages.is_empty() {
                break;
            }
        }
        self.end_lingering();
        let trouble = self.setup.notes.take_trouble()?;
        self.fail(&trouble)
    }

    /// Serves the client's own queue: rebalances (noted by the context), answers to commits, errors.
    fn take_events(&mut self) -> Option<End> {
        let client = self.setup.client.clone();
        for _ in 0..EVENTS_PER_TURN {
            match client.poll(Duration::ZERO) {
                None => return None,
                Some(Err(error)) => {
                    if let Some(end) = self.fail(&error) {
                        return Some(end);
                    }
                }
                // The client has cleared where its partition leads, and it would overtake what is on its way.
                Some(Ok(message)) => {
                    let partition = message.partition();
                    drop(message);
                    self.go_back(partition);
                }
            }
        }
        None
    }

    /// A client that is refused tries again by itself, with what it was made with; it takes another one to come with what
    /// its files hold now. The client tells of the same refusal twice a minute at most, so they are looked at in between.
    fn renew(&mut self) -> Option<End> {
        let now = self.setup.clock.now();
        let (looked_at, told) = self.refused.as_mut()?;
        if now.duration_since(*looked_at) < CREDENTIALS_EVERY {
            return None;
        }
        *looked_at = now;
        let told = told.clone();
        self.setup.login.would_differ().then_some(End::ClientGone(told))
    }

    /// Leads partitions to the intake until something has come that way, and now and then all of them: the client clears
    /// what was set while it still stops the fetching of before.
    fn lead_partitions(&mut self) {
        let now = self.setup.clock.now();
        let all = now.duration_since(self.led_at) >= LEAD_ALL_EVERY;
        if all {
            self.led_at = now;
        }
        for (number, held) in &self.partitions {
            if held.reading.as_ref().is_some_and(|reading| all || !reading.flowing) {
                self.intake.forward(&self.setup.topic, *number);
            }
        }
    }

    /// Whether the client may have left something out before `offset`; it is told to go back then.
    fn goes_back(&mut self, partition: i32, offset: i64) -> bool {
        let Some(reading) = self.partitions.get_mut(&partition).and_then(|held| held.reading.as_mut()) else {
            return false;
        };
        if !reading.leaps(offset) {
            return false;
        }
        self.go_back(partition);
        true
    }

    /// Has the client fetch `partition` again from the first message we have not taken on.
    fn go_back(&mut self, partition: i32) {
        let reading = self.partitions.get(&partition).and_then(|held| held.reading.as_ref());
        if let Some(next) = reading.map(|reading| reading.gathering.next()) {
            self.intake.forward(&self.setup.topic, partition);
            self.reread(partition, next);
        }
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
    fn take(&mut self, partition: i32, record: Record<'_>) -> bool {
        let Some(held) = self.partitions.get_mut(&partition) else { return false };
        let Some(reading) = held.reading.as_mut().filter(|reading| !reading.is_over()) else { return false };
        reading.flowing = true;
        reading.at_end = false;
        if reading.since.is_none() {
            reading.since = Some(self.setup.clock.now());
        }
        let mut ended = false;
        for batch in reading.gathering.add(record) {
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
        self.refused = None;
        self.report(Report::Flowing);
    }

    /// The end of `partition`: what lies between its last message and `position` are markers of transactions.
    fn reach_end(&mut self, partition: i32, position: i64) {
        if self.troubled {
            self.flow();
        }
        let reading = self.partitions.get_mut(&partition).and_then(|held| held.reading.as_mut());
        let Some(reading) = reading.filter(|reading| !reading.is_over()) else { return };
        reading.flowing = true;
        reading.end_at(position);
        if let Some(empty) = reading.gathering.pass(position) {
            reading.park(empty);
        }
    }

    /// Ends the batches that have lingered long enough.
    fn end_lingering(&mut self) {
        let (now, linger) = (self.setup.clock.now(), self.setup.linger);
        let mut gathering = Vec::new();
        for (number, reading) in self.reading_mut() {
            match reading.since {
                Some(since) if now.duration_since(since) >= linger => reading.end_batch(),
                Some(_) if linger >= LONG_LINGER => gathering.push((number, reading.gathering.next())),
                _ => {}
            }
        }
        for (number, next) in gathering {
            self.setup.status.lag().passed(&self.setup.topic, number, next);
        }
    }

    /// What an error of the client means: the end of the client, a partition out of its range, or a trouble to wait
    /// through.
    fn fail(&mut self, error: &KafkaError) -> Option<End> {
        let fatal = self.setup.client.client().fatal_error();
        let code = fatal.as_ref().map(|(code, _)| *code).or_else(|| error.rdkafka_error_code());
        let told = self.classify(error);
        match (code, fatal) {
            // By ourselves: nobody else has our name, so it is ours again with the next client.
            (Some(Code::FencedInstanceId), _) if self.setup.notes.is_session_lost() => {
                let message = "the session with the group ran out; joining it anew";
                Some(End::ClientGone(Error::new(Class::Transient, message)))
            }
            (Some(Code::FencedInstanceId), _) if !planted(Bug::RejoinsUnderItsName) => {
                Some(End::FencedByName(self.classify(&KafkaError::Global(Code::FencedInstanceId))))
            }
            (Some(code), Some(_)) => Some(End::ClientGone(self.classify(&KafkaError::Global(code)))),
            (Some(Code::AutoOffsetReset | Code::OffsetOutOfRange), None) => {
                self.report(Report::OutOfRange);
                None
            }
            // A broker of several went away and comes back: the client sees to it. All of them: a trouble.
            (Some(Code::BrokerTransportFailure | Code::Resolve), None) => None,
            (Some(code), None) if is_refusal(code) && !self.setup.notes.reason().refuses(Some(code)) => None,
            _ if told.class == Class::Transient && code != Some(Code::AllBrokersDown) => {
                tracing::debug!(actor = &*self.setup.source, %error, "the client retries");
                None
            }
            (code, _) => {
                if code.is_some_and(is_refusal) {
                    self.refused = Some((self.setup.clock.now(), told));
                }
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
        self.resume(&free);
        self.mark_paused(&free, false);
    }

    pub(super) fn resume(&mut self, partitions: &[i32]) {
        if !partitions.is_empty()
            && let Err(error) = self.setup.client.resume(&self.list(partitions))
        {
            self.trouble(&error);
        }
    }

    pub(super) fn pause(&mut self, partitions: &[i32]) {
        if !partitions.is_empty()
            && let Err(error) = self.setup.client.pause(&self.list(partitions))
        {
            self.trouble(&error);
        }
    }

    pub(super) fn mark_paused(&mut self, partitions: &[i32], paused: bool) {
        for (number, reading) in self.reading_mut() {
            if partitions.contains(&number) {
                reading.paused = paused;
            }
        }
    }
}
