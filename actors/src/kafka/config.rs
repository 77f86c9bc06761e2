//! librdkafka's settings, from the model.
//!
//! A consumer's memory is bounded here: its queue holds at most [`QUEUE_KBYTES_MAX`] and one response, and a response
//! holds at most [`FETCH_BYTES_MAX`] or, where a single message is larger, that message
//! (at most [`RECEIVE_BYTES_MAX`]; the broker always lets the first one through).
//! Deliberately absent: statistics (librdkafka's lag counts Kafka's commits, which mean nothing here).

use crate::credentials::Login;
use aqueduct_engine::Error;
use aqueduct_topology::bounds;
use aqueduct_topology::model::{GroupProtocol, KafkaConnection};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret;

/// Most kilobytes that wait in a consumer's queue, over all partitions.
pub const QUEUE_KBYTES_MAX: u32 = (bounds::KAFKA_QUEUE_BYTES_MAX / 1024) as u32;
/// A partition of which so many messages wait is not asked for more. The bound above counts payloads alone; the client
/// spends some 400 bytes beside each, which of short messages is several times as much.
const QUEUE_MESSAGES_MIN: &str = "5000";
/// Most bytes of one partition in one response.
pub const FETCH_PARTITION_BYTES_MAX: u32 = 256 * 1024;
/// Most bytes of one response, over all partitions.
pub const FETCH_BYTES_MAX: u32 = bounds::KAFKA_RESPONSE_BYTES_MAX as u32;
/// The largest message that can pass at all.
pub const RECEIVE_BYTES_MAX: u32 = 100_000_000;
/// Most kilobytes that wait in a producer's queue.
pub const PRODUCE_KBYTES_MAX: u32 = (bounds::KAFKA_PRODUCE_BYTES_MAX / 1024) as u32;
/// A day: how long a client without a broker still knows which topics there are.
const METADATA_AGE_MS_MAX: &str = "86400000";

const _: () = assert!(RECEIVE_BYTES_MAX > FETCH_BYTES_MAX + 512, "librdkafka refuses it otherwise");

/// How a consumer takes part in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The group.
    pub group: String,
    /// `group.instance.id`; `None` for a dynamic member.
    pub instance: Option<String>,
    /// Who divides the partitions.
    pub protocol: GroupProtocol,
}

/// Settings of any client of `connection` that logs in with `login`; `client_id` is how the broker's logs and quotas know it.
///
/// A client has threads of its own, and one whose broker does not answer may outlive everybody's patience. OpenSSL would
/// take itself down in the exit handlers of the process, under the feet of such a thread in the middle of a handshake:
/// a segmentation fault in place of an exit code. Initialized here, before the first client is, it leaves that to the
/// system.
pub(crate) fn client(
    connection: &KafkaConnection,
    login: &Login,
    client_id: &str,
) -> Result<ClientConfig, Error> {
    openssl_sys::init();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &connection.bootstrap.value)
        .set("client.id", client_id)
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("topic.metadata.refresh.interval.ms", "30000")
        // By default thrice the interval above. In an outage longer than that a client forgets its topics, and on the way
        // back an idempotent producer may take records for written that are not, write them twice, or keep them for ever
        // (librdkafka 1985). This is the most it allows.
        .set("metadata.max.age.ms", METADATA_AGE_MS_MAX)
        .set("statistics.interval.ms", "0")
        .set_log_level(RDKafkaLogLevel::Warning);
    let protocol = match (&connection.tls, &connection.sasl) {
        (None, None) => "PLAINTEXT",
        (Some(_), None) => "SSL",
        (None, Some(_)) => "SASL_PLAINTEXT",
        (Some(_), Some(_)) => "SASL_SSL",
    };
    config.set("security.protocol", protocol);
    if connection.tls.is_some() {
        let files =
            [("ssl.ca.pem", login.ca()), ("ssl.certificate.pem", login.cert()), ("ssl.key.pem", login.key())];
        for (name, pem) in files {
            if let Some(pem) = pem {
                config.set(name, pem);
            }
        }
        if login.ca().is_none() {
            // The system's authorities, wherever this system keeps them.
            config.set("ssl.ca.location", "probe");
        }
    }
    if let Some(sasl) = &connection.sasl {
        config
            .set("sasl.mechanisms", &sasl.mechanism)
            .set("sasl.username", login.user().unwrap_or(&sasl.user))
            .set("sasl.password", login.password().map_or("", |password| password.expose_secret()));
    }
    Ok(config)
}

/// Settings of a consumer that is told where to read: it neither commits nor chooses offsets by itself.
pub(crate) fn consumer(
    connection: &KafkaConnection,
    login: &Login,
    client_id: &str,
    member: &Member,
) -> Result<ClientConfig, Error> {
    let mut config = client(connection, login, client_id)?;
    config
        .set("group.id", &member.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.message.max.bytes", FETCH_PARTITION_BYTES_MAX.to_string())
        .set("fetch.max.bytes", FETCH_BYTES_MAX.to_string())
        .set("receive.message.max.bytes", RECEIVE_BYTES_MAX.to_string())
        .set("queued.max.messages.kbytes", QUEUE_KBYTES_MAX.to_string())
        .set("queued.min.messages", QUEUE_MESSAGES_MIN)
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.wait.max.ms", "250")
        // How soon partitions are noticed that the topic has grown by.
        .set("topic.metadata.refresh.interval.ms", "5000");
    match member.protocol {
        GroupProtocol::Classic => config
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000"),
        // Under KIP-848 the broker decides on assignor, session and heartbeat.
        GroupProtocol::Consumer => config.set("group.protocol", "consumer"),
    };
    if let Some(instance) = &member.instance {
        config.set("group.instance.id", instance);
    }
    Ok(config)
}

/// Settings of a client that only asks: offsets, metadata, what a group has committed.
pub(crate) fn inquirer(
    connection: &KafkaConnection,
    login: &Login,
    client_id: &str,
    group: &str,
) -> Result<ClientConfig, Error> {
    let mut config = client(connection, login, client_id)?;
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed");
    Ok(config)
}

/// Settings of an idempotent producer; it retries by itself until the message timeout.
pub(crate) fn producer(
    connection: &KafkaConnection,
    login: &Login,
    client_id: &str,
) -> Result<ClientConfig, Error> {
    let mut config = client(connection, login, client_id)?;
    config
        .set("enable.idempotence", "true")
        .set("compression.codec", "zstd")
        .set("linger.ms", "5")
        .set("message.timeout.ms", "30000")
        .set("message.max.bytes", "16777216")
        .set("queue.buffering.max.kbytes", PRODUCE_KBYTES_MAX.to_string());
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::cluster::Cluster;
    use aqueduct_engine::Class;
    use aqueduct_topology::model::{Sasl, Tls};
    use aqueduct_topology::{Span, Spanned};

    fn plain() -> KafkaConnection {
        KafkaConnection {
            bootstrap: Spanned::new("127.0.0.1:9092".into(), Span::default()),
            tls: None,
            sasl: None,
        }
    }

    fn member(protocol: GroupProtocol) -> Member {
        Member { group: "g".into(), instance: Some("node/0".into()), protocol }
    }

    #[test]
    fn librdkafka_accepts_every_combination() {
        let login = Cluster::from(plain()).login().unwrap();
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            let config = consumer(&plain(), &login, "c", &member(protocol)).unwrap();
            config.create_native_config().unwrap();
            let created: rdkafka::consumer::BaseConsumer = config.create().unwrap();
            drop(created);
        }
        let created: rdkafka::producer::BaseProducer =
            producer(&plain(), &login, "c").unwrap().create().unwrap();
        drop(created);
        inquirer(&plain(), &login, "c", "g").unwrap().create_native_config().unwrap();
    }

    #[test]
    fn a_client_comes_with_what_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let mut connection = plain();
        connection.sasl = Some(Sasl {
            mechanism: "SCRAM-SHA-256".into(),
            user: "ann".into(),
            user_file: None,
            password_file: write("password", "one\n"),
        });
        let config = |connection: &KafkaConnection| {
            client(connection, &Cluster::from(connection.clone()).login().unwrap(), "c").unwrap()
        };
        let asked = config(&connection);
        assert_eq!((asked.get("sasl.username"), asked.get("sasl.password")), (Some("ann"), Some("one")));
        assert_eq!(asked.get("security.protocol"), Some("SASL_PLAINTEXT"));
        connection.sasl.as_mut().unwrap().user_file = Some(write("user", "ben\n"));
        assert_eq!(config(&connection).get("sasl.username"), Some("ben"));
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let mut connection = plain();
        connection.tls = Some(Tls { ca_file: Some("/nowhere/ca.pem".into()), ..Tls::default() });
        let error = Cluster::from(connection).login().unwrap_err();
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains("/nowhere/ca.pem"), "{error}");
    }
}
