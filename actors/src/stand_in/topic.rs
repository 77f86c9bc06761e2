//! A topic in memory, written by the real `kafka_sink`: at least once, so what was sent and not acknowledged before a
//! crash is there twice.

use super::trouble::Way;
use super::{Place, Row};
use crate::kafka::producer::{Deliver, Outgoing};
use aqueduct_engine::Error;
use futures::future::LocalBoxFuture;
use rdkafka::error::RDKafkaErrorCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// As long as the client tries by itself.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// What a broker takes, unless told otherwise.
const MESSAGE_BYTES_MAX: usize = 1_048_588;

/// The messages of one topic.
pub(super) struct Topic {
    pub(super) messages: Mutex<Vec<Row>>,
    pub(super) way: Way,
}

/// A handle that clients hold.
pub(super) struct Client(pub(super) Arc<Topic>);

impl Deliver for Client {
    fn ping<'a>(&'a self, _: &'a str) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(self.0.way.reach("look whether it is there", ANSWER_WAIT_MAX).await?) })
    }

    fn deliver<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Outgoing<'a>>,
    ) -> LocalBoxFuture<'a, Result<Vec<(usize, RDKafkaErrorCode)>, Error>> {
        Box::pin(async move {
            let what = format!("deliver to topic `{topic}`");
            let keep = || {
                let mut kept = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner);
                let mut refused = Vec::new();
                for (index, message) in messages.iter().enumerate() {
                    let value = message.value.unwrap_or_default();
                    if value.len() > MESSAGE_BYTES_MAX {
                        refused.push((index, RDKafkaErrorCode::MessageSizeTooLarge));
                        continue;
                    }
                    let json = String::from_utf8_lossy(value).into_owned();
                    kept.push(Row { place: Place::default(), json });
                }
                Ok(refused)
            };
            Ok(self.0.way.apply(&what, ANSWER_WAIT_MAX, keep).await?)
        })
    }
}
