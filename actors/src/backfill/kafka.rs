//! Reads ranges of offsets of one topic, without joining any group.

use super::source::{Item, Reader, Span};
use crate::credentials::Login;
use crate::kafka::class::{About, classify};
use crate::kafka::client::Client;
use crate::kafka::cluster::Cluster;
use crate::kafka::config::{self, Member};
use aqueduct_engine::{Class, Error, Headers};
use aqueduct_topology::model::{GroupProtocol, KafkaConnection};
use futures::future::LocalBoxFuture;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long one look waits for the first record.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Records of one look.
const RECORDS_MAX: usize = 1_000;
/// Bytes of one look, beyond which no further record is taken.
const BYTES_MAX: usize = 1 << 20;

/// See the module.
pub(super) struct Records {
    topic: String,
    bootstrap: String,
    consumer: Client<DefaultConsumerContext>,
    /// Lives as long as the client that was made with it.
    _login: Login,
}

impl Records {
    /// Of `topic`; `name` is how the broker knows the client and its group, which nobody joins.
    pub(super) fn open(connection: &KafkaConnection, name: &str, topic: &str) -> Result<Self, Error> {
        let bootstrap = connection.bootstrap.value.clone();
        let member = Member { group: name.to_owned(), instance: None, protocol: GroupProtocol::Classic };
        let about = About { bootstrap: &bootstrap, topic };
        let login = Cluster::from(connection.clone()).login()?;
        let consumer: BaseConsumer = config::consumer(connection, &login, name, &member)?
            .create()
            .map_err(|error| classify(&error, about))?;
        let (consumer, _closed) = Client::new(name, consumer);
        Ok(Self { topic: topic.to_owned(), bootstrap, consumer, _login: login })
    }

    fn wrong(&self, error: &KafkaError) -> Error {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::OffsetOutOfRange) || code == Some(RDKafkaErrorCode::AutoOffsetReset)
        {
            let message = format!(
                "records of `{}` that the backfill still needs left the log meanwhile: raise the topic's retention; what is \
                 gone is in a file or an export, or nowhere. To go on with what is left: --abandon it, and begin anew with a \
                 later --from",
                self.topic
            );
            return Error::new(Class::Config, message);
        }
        classify(error, About { bootstrap: &self.bootstrap, topic: &self.topic })
    }
}

impl Reader for Records {
    fn begin(&mut self, spans: &[Span]) -> Result<(), Error> {
        let wrong = |error: KafkaError| self.wrong(&error);
        let mut at = TopicPartitionList::with_capacity(spans.len());
        for span in spans {
            at.add_partition_offset(&self.topic, span.partition, Offset::Offset(span.from)).map_err(wrong)?;
        }
        self.consumer.assign(&at).map_err(wrong)
    }

    fn read<'a>(&'a mut self) -> LocalBoxFuture<'a, Result<Vec<Item>, Error>> {
        Box::pin(async move {
            let consumer = self.consumer.clone();
            let looked = tokio::task::spawn_blocking(move || look(&consumer)).await;
            let looked =
                looked.map_err(|error| Error::bug(format!("a look at the log ended badly: {error}")))?;
            looked.map_err(|error| self.wrong(&error))
        })
    }
}

fn look(consumer: &BaseConsumer) -> Result<Vec<Item>, KafkaError> {
    let (mut items, mut bytes, mut patience) = (Vec::new(), 0, LOOK_MAX);
    while items.len() < RECORDS_MAX && bytes < BYTES_MAX {
        match consumer.poll(patience) {
            None => break,
            Some(Ok(message)) => {
                bytes +=
                    [message.payload(), message.key()].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
                items.push(record(&message));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => items.push(Item::End { partition }),
            // It belongs to no group, and may rest as long as it likes.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PollExceeded) => {}
            // What was read is handed on first; a fault that lasts comes again.
            Some(Err(_)) if !items.is_empty() => break,
            Some(Err(error)) => return Err(error),
        }
        patience = Duration::ZERO;
    }
    Ok(items)
}

fn record(message: &BorrowedMessage<'_>) -> Item {
    let headers: Headers = message.headers().map_or_else(Headers::new, |headers| {
        headers.iter().map(|header| (header.key.into(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Item::Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        time_ms: message.timestamp().to_millis(),
        headers,
    }
}
