//! Takes fetched messages from the client many at a time, past its queue of events.
//!
//! Polled one by one, a message costs an event, a lock and several looks at the clock: 0.45 us of CPU; taken by the
//! hundred, half of that. `rd_kafka_consume_batch_queue` must not be used on the consumer's own queue, where it swallows
//! rebalances. So the queues of the partitions are forwarded to a queue of ours, and the consumer is still polled for
//! everything else.
//!
//! Stopping a partition clears its forwarding, and the client does that some time after it was asked. A forwarding is
//! therefore renewed until something has come through ([`Intake::forward`] may be called as often as one likes). In the
//! meantime messages wait where they are, in order: once an application has forwarded a partition's queue, the client
//! never again leads it to the consumer's.
//!
//! Beside [`super::scram`] and the options of the allocator this is the only unsafe code of the project; each block says
//! what it relies on. librdkafka 2.12.
//!
//! Deliberately absent: what messages mean.

use super::client::Client;
use super::records::Record;
use aqueduct_engine::Headers;
use aqueduct_engine::planted::{Bug, planted};
use rdkafka::bindings as ffi;
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{IsError, KafkaError};
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CStr, CString};
use std::ptr::{NonNull, null, null_mut};
use std::time::Duration;

/// Most messages taken at once.
const TAKEN_MAX: usize = 512;

/// What came for a partition.
#[derive(Debug)]
pub enum Taken<'a> {
    /// A message.
    Message(Record<'a>),
    /// All that lies below this offset has come, markers of transactions included.
    ///
    /// The call that takes many takes this for a message at that offset and moves the client's position past it (2.12.1:
    /// `rd_kafka_q_serve_rkmessages` looks at no error before it adds one). Whenever the partition is then paused and
    /// resumed before its next message, as the client itself does in a rebalance, it goes on one message too far. So
    /// whatever next comes from beyond this offset must be doubted: seek back to it, and believe what comes then.
    End(i64),
    /// The client is in trouble with this partition.
    Failed(KafkaError),
}

impl Taken<'_> {
    /// How far it comes; `None` where it says nothing about that.
    pub fn offset(&self) -> Option<i64> {
        match self {
            Taken::Message(record) => Some(record.offset),
            Taken::End(offset) => Some(*offset),
            Taken::Failed(_) => None,
        }
    }
}

/// The queue that the partitions' queues lead to. Belongs to the thread that polls.
pub struct Intake<C: ConsumerContext + 'static> {
    queue: NonNull<ffi::rd_kafka_queue_t>,
    client: Client<C>,
}

impl<C: ConsumerContext + 'static> Intake<C> {
    /// A queue of `client`.
    pub fn new(client: Client<C>) -> Self {
        let native = client.client().native_ptr();
        // SAFETY: the client is alive, and a consumer; the calls have no other demands, and what either gives is ours.
        let queue = unsafe {
            match planted(Bug::TakesFromTheConsumersQueue) {
                true => ffi::rd_kafka_queue_get_consumer(native),
                false => ffi::rd_kafka_queue_new(native),
            }
        };
        let queue =
            NonNull::new(queue).expect("invariant: librdkafka ends the process where memory is short");
        Self { queue, client }
    }

    /// Leads what is fetched of a partition here, and what waits in its queue already.
    pub fn forward(&self, topic: &str, partition: i32) {
        // No topic of Kafka's has a NUL in its name, so there is nothing to lead.
        let Ok(topic) = CString::new(topic) else { return };
        // SAFETY: the client is alive and a consumer, and the name is read before the call returns. What is returned is
        // null or a reference of our own, destroyed once; forwarding keeps a reference to the queue it leads to.
        unsafe {
            let queue = ffi::rd_kafka_queue_get_partition(
                self.client.client().native_ptr(),
                topic.as_ptr(),
                partition,
            );
            if !queue.is_null() {
                ffi::rd_kafka_queue_forward(queue, self.queue.as_ptr());
                ffi::rd_kafka_queue_destroy(queue);
            }
        }
    }

    /// What is there; waits up to `wait` for a first message.
    pub fn take(&self, wait: Duration) -> Messages<C> {
        let mut taken = Messages { messages: Vec::with_capacity(TAKEN_MAX), _client: self.client.clone() };
        // librdkafka waits until as many as were asked for have come, so only one is waited for.
        self.fill(&mut taken.messages, TAKEN_MAX, Duration::ZERO);
        if taken.messages.is_empty() && !wait.is_zero() {
            self.fill(&mut taken.messages, 1, wait);
        }
        taken
    }

    fn fill(&self, messages: &mut Vec<Message>, count: usize, wait: Duration) {
        assert!(messages.is_empty() && count <= messages.capacity(), "room for all that may come");
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; there is room for `count` pointers from the buffer's start, and a `Message` is laid
        // out like one. The first `taken` of them were written and are ours, each once.
        unsafe {
            let room = messages.as_mut_ptr().cast::<*mut ffi::rd_kafka_message_t>();
            let taken = ffi::rd_kafka_consume_batch_queue(self.queue.as_ptr(), wait_ms, room, count);
            // Negative only for a queue that is none.
            messages.set_len(usize::try_from(taken).unwrap_or(0));
        }
    }
}

impl<C: ConsumerContext + 'static> Drop for Intake<C> {
    fn drop(&mut self) {
        // SAFETY: ours since `new`, destroyed nowhere else, and the client is still there; partitions that lead here hold
        // references of their own.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// What was taken at once, in order.
pub struct Messages<C: ConsumerContext + 'static> {
    messages: Vec<Message>,
    /// Messages must go before their client does.
    _client: Client<C>,
}

impl<C: ConsumerContext + 'static> Messages<C> {
    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Each with its partition.
    pub fn iter(&self) -> impl Iterator<Item = (i32, Taken<'_>)> {
        self.messages.iter().map(|message| (message.raw().partition, message.read()))
    }
}

/// A message of librdkafka's that is ours.
#[repr(transparent)]
struct Message(NonNull<ffi::rd_kafka_message_t>);

impl Message {
    fn raw(&self) -> &ffi::rd_kafka_message_t {
        // SAFETY: not null, as librdkafka gave it to us, and alive until dropped; nobody else writes to it.
        unsafe { self.0.as_ref() }
    }

    fn read(&self) -> Taken<'_> {
        let raw = self.raw();
        match raw.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Taken::End(raw.offset),
            error if error.is_error() => Taken::Failed(KafkaError::MessageConsumption(error.into())),
            _ => Taken::Message(Record {
                offset: raw.offset,
                key: self.bytes(raw.key, raw.key_len),
                value: self.bytes(raw.payload, raw.len),
                time_ms: self.time_ms(),
                headers: self.headers(),
            }),
        }
    }

    fn bytes(&self, start: *const std::ffi::c_void, length: usize) -> Option<&[u8]> {
        // SAFETY: librdkafka's pair of pointer and length, both of this message, which lives as long as what is returned.
        (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), length) })
    }

    fn time_ms(&self) -> Option<i64> {
        // SAFETY: the message is alive; the kind of time is not asked for.
        let time = unsafe { ffi::rd_kafka_message_timestamp(self.0.as_ptr(), null_mut()) };
        (time >= 0).then_some(time)
    }

    fn headers(&self) -> Headers {
        let mut list = null_mut();
        // SAFETY: the message is alive; the list, if there is one, stays the message's.
        let found = unsafe { ffi::rd_kafka_message_headers(self.0.as_ptr(), &mut list) };
        if found.is_error() {
            return Headers::new();
        }
        let mut headers = Headers::new();
        loop {
            let (mut name, mut value, mut length) = (null(), null(), 0);
            let index = headers.len();
            // SAFETY: the list is the living message's; past its last header the call says so and writes nothing.
            let found =
                unsafe { ffi::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut length) };
            if found.is_error() {
                return headers;
            }
            // SAFETY: of a header that was found the name is a C string of the message's.
            let name = unsafe { CStr::from_ptr(name) };
            let name = match name.to_str() {
                Ok(name) => name.into(),
                Err(_) => format!("header_{index}_not_utf8").into(),
            };
            headers.push((name, self.bytes(value, length).map(<[u8]>::to_vec)));
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed here only; what was borrowed from it cannot outlive it.
        unsafe { ffi::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
    use rdkafka::message::{Header, Message as _, OwnedHeaders};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// The `until` messages from `start` of each partition on, as they come. The client may clear late where a partition
    /// leads, and then a message comes the other way: whoever goes back for it has them all.
    fn seen(
        intake: &Intake<DefaultConsumerContext>,
        consumer: &BaseConsumer,
        start: i64,
        until: usize,
    ) -> Vec<(i32, i64)> {
        let mut seen = Vec::new();
        let mut next = [start; 2];
        for _ in 0..PATIENCE.as_millis() / 10 {
            if let Some(message) = consumer.poll(Duration::ZERO) {
                let partition = message.unwrap().partition();
                intake.forward("t", partition);
                let mut back = TopicPartitionList::new();
                back.add_partition_offset("t", partition, Offset::Offset(next[partition as usize])).unwrap();
                consumer.seek_partitions(back, PATIENCE).unwrap();
            }
            intake.forward("t", 0);
            intake.forward("t", 1);
            for (partition, taken) in intake.take(Duration::from_millis(10)).iter() {
                match taken {
                    Taken::Message(record) => {
                        assert_eq!(record.value, Some(record.offset.to_string().as_bytes()));
                        assert_eq!(record.key, None);
                        assert_eq!(record.headers[0], ("é".into(), Some(b"1".to_vec())));
                        assert_eq!(record.headers[1], ("none".into(), None));
                        seen.push((partition, record.offset));
                        next[partition as usize] = record.offset + 1;
                    }
                    Taken::End(_) => {}
                    Taken::Failed(error) => panic!("{error}"),
                }
            }
            if seen.len() >= until {
                break;
            }
        }
        seen
    }

    /// Assigned, taken away and assigned again at once: the second assignment's messages come, in order, all here.
    #[test]
    fn messages_come_here_after_every_assignment() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        for offset in 0..1000 {
            for partition in 0..2 {
                let text = offset.to_string();
                let headers = OwnedHeaders::new()
                    .insert(Header { key: "é", value: Some("1") })
                    .insert(Header::<&str> { key: "none", value: None });
                let record =
                    BaseRecord::<(), _>::to("t").partition(partition).payload(&text).headers(headers);
                producer.send(record).unwrap();
            }
        }
        producer.flush(PATIENCE).unwrap();
        let consumer: BaseConsumer = config.set("group.id", "g").create().unwrap();
        let (client, closed) = Client::new("test", consumer);
        let intake = Intake::new(client.clone());
        let from = |start| {
            let mut list = TopicPartitionList::new();
            for partition in 0..2 {
                list.add_partition_offset("t", partition, Offset::Offset(start)).unwrap();
            }
            list
        };
        intake.forward("t", 0);
        client.incremental_assign(&from(0)).unwrap();
        let all = |start: i64| (0..2).flat_map(move |partition| (start..1000).map(move |at| (partition, at)));
        let mut first = seen(&intake, &client, 0, 2000);
        first.sort_by_key(|(partition, _)| *partition);
        assert!(first.iter().copied().eq(all(0)), "{} came", first.len());
        for start in [10, 500, 990] {
            client.incremental_unassign(&from(0)).unwrap();
            client.incremental_assign(&from(start)).unwrap();
            let mut again = seen(&intake, &client, start, 2 * (1000 - start as usize));
            again.sort_by_key(|(partition, _)| *partition);
            assert!(again.iter().copied().eq(all(start)), "from {start}: {} came", again.len());
        }
        drop(intake);
        drop(client);
        assert!(closed.wait(PATIENCE), "the client ends");
    }

    /// The trap of [`Taken::End`]. Once this fails the client has been mended, and doubting ends can go.
    #[test]
    fn a_pause_at_the_end_leaves_a_message_out_until_sought() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().unwrap();
        let send = || {
            producer.send(BaseRecord::<(), _>::to("t").partition(0).payload("x")).unwrap();
            producer.flush(PATIENCE).unwrap();
        };
        let consumer: BaseConsumer = config.set("enable.partition.eof", "true").create().unwrap();
        let (client, _closed) = Client::new("test", consumer);
        let intake = Intake::new(client.clone());
        let list = |offset| {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("t", 0, Offset::Offset(offset)).unwrap();
            list
        };
        // The offset of the next message or end.
        let next = |wanted_end: bool| {
            for _ in 0..PATIENCE.as_millis() / 10 {
                client.poll(Duration::ZERO);
                intake.forward("t", 0);
                for (_, taken) in intake.take(Duration::from_millis(10)).iter() {
                    match taken {
                        Taken::Message(record) if !wanted_end => return record.offset,
                        Taken::End(offset) if wanted_end => return offset,
                        _ => {}
                    }
                }
            }
            panic!("nothing came");
        };
        send();
        intake.forward("t", 0);
        client.incremental_assign(&list(0)).unwrap();
        assert_eq!(next(false), 0);
        assert_eq!(next(true), 1);
        client.pause(&list(1)).unwrap();
        send();
        send();
        client.resume(&list(1)).unwrap();
        assert_eq!(next(false), 2, "the message at 1 is left out");
        client.seek_partitions(list(1), PATIENCE).unwrap();
        assert_eq!(next(false), 1);
    }
}
