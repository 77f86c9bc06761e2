//! Apache Kafka in KRaft mode: plain Java processes, broker and controller at once. One, or three that replicate.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::Server;
use crate::dir::{create, remove_tree, write_private, write_whole};
use crate::error::Error;
use crate::launch::{arguments, tail};
use crate::options::Access;
use crate::part::Part;
use crate::secured;
use crate::state::{PartState, Port};
use crate::time::Deadline;
use crate::tls::Trust;

/// Beside the jars: classes as the virtual machine keeps them, which halves the time to start. A virtual machine of
/// another version ignores the file.
pub(crate) const ARCHIVE: &str = "kafka.jsa";

/// Settings that do not depend on the instance.
///
/// Small thread pools and few internal partitions start faster; timeouts have low floors so that tests need not wait; a
/// broker that is silent counts as lost before the sessions of the group it coordinates are over (10 s);
/// 16 MiB messages are let through so that it is the engine which judges them.
const SETTINGS: &str = "\
process.roles=broker,controller
controller.listener.names=CONTROLLER
log.dirs=data
auto.create.topics.enable=false
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1
broker.session.timeout.ms=6000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=10000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=1000
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
log.retention.ms=-1
log.segment.bytes=268435456
log.segment.delete.delay.ms=1000
log.initial.task.delay.ms=5000
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=2
";

/// Everything of note goes to the standard output, which is the part's log.
const LOGGING: &str = "\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
";

/// Writes the configuration; formats the data folder under a new cluster id if it has none.
pub(crate) fn prepare(part: Part, server: &Server, deadline: Deadline) -> Result<(), Error> {
    let folder = &server.launch.folder;
    // Java unpacks native libraries there, and leaves them there when it is killed.
    remove_tree(&folder.join("tmp"))?;
    create(&folder.join("tmp"))?;
    let own = format!("{}{}", addresses(part, server), replication(voters(part, server).len()));
    let secured = match server.access {
        Access::Open => String::new(),
        Access::Both => secured::kafka_settings(Some(server.password(Part::Kafka))),
        Access::Closed => secured::kafka_settings(None),
    };
    write_private(&folder.join("server.properties"), &format!("{SETTINGS}{own}{secured}"))?;
    write_whole(&folder.join("log4j2.properties"), LOGGING)?;
    if folder.join("data/meta.properties").exists() {
        return Ok(());
    }
    let mut format = java(server, "128m");
    format.extend(arguments(["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id"]));
    format.extend(arguments([cluster_id(folder.parent()).as_str(), "--config", "server.properties"]));
    if server.launch.run(&format, deadline)? {
        return Ok(());
    }
    Err(Error::Start {
        part,
        why: "its storage could not be formatted".into(),
        log: server.launch.log.clone(),
        tail: tail(&server.launch.log),
    })
}

/// The brokers of the instance, each with its `node.id`; this one alone where nobody else was asked for.
fn voters(part: Part, server: &Server) -> Vec<(usize, &PartState)> {
    let ports = |broker: Part| if broker == part { Some(&server.ports) } else { server.peers.get(&broker) };
    let brokers = Part::BROKERS.into_iter().enumerate();
    brokers.filter_map(|(index, broker)| Some((index + 1, ports(broker)?))).collect()
}

/// On how many brokers things are: all of them, and one may be away. Several divide partitions by `range` under KIP-848,
/// where one alone does by its own choice, so that tests see both.
fn replication(brokers: usize) -> String {
    let least = brokers.saturating_sub(1).max(1);
    let assignors = if brokers > 1 { "group.consumer.assignors=range\n" } else { "" };
    let internal = ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"];
    let copies = internal.map(|topic| format!("{topic}.replication.factor={brokers}\n")).concat();
    format!(
        "{assignors}default.replication.factor={brokers}\nmin.insync.replicas={least}\n{copies}\
         transaction.state.log.min.isr={least}\nshare.coordinator.state.topic.min.isr={least}\n"
    )
}

/// Where the broker listens, and what it tells its clients: those that come through Toxiproxy are kept on that path.
fn addresses(part: Part, server: &Server) -> String {
    let ports = &server.ports;
    let controller = ports.controller_port.expect("invariant: kafka has a controller port");
    let (first, inside, protocols) = match server.access {
        Access::Open | Access::Both => (
            "PLAINTEXT",
            "PLAINTEXT",
            "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,ENCRYPTED:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT",
        ),
        Access::Closed => ("ENCRYPTED", "MUTUAL", "ENCRYPTED:SASL_SSL,MUTUAL:SSL,CONTROLLER:SSL"),
    };
    let mut listeners = format!("{first}://127.0.0.1:{}", ports.port);
    let mut advertised = listeners.clone();
    for (name, port) in [("ENCRYPTED", Port::Encrypted), ("MUTUAL", Port::Mutual)] {
        if let Some(port) = ports.further(port) {
            let listener = format!(",{name}://127.0.0.1:{port}");
            listeners.push_str(&listener);
            advertised.push_str(&listener);
        }
    }
    if let (Some(proxied), Some(proxy)) = (ports.further(Port::Proxied), ports.further(Port::Advertised)) {
        listeners.push_str(&format!(",PROXIED://127.0.0.1:{proxied}"));
        advertised.push_str(&format!(",PROXIED://127.0.0.1:{proxy}"));
    }
    let node = 1 + Part::BROKERS.iter().position(|broker| *broker == part).expect("invariant: a broker");
    let voter = |(id, ports): (usize, &PartState)| Some(format!("{id}@127.0.0.1:{}", ports.controller_port?));
    let voters: Vec<String> = voters(part, server).into_iter().filter_map(voter).collect();
    format!(
        "node.id={node}\n\
         listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={advertised}\n\
         listener.security.protocol.map={protocols}\n\
         inter.broker.listener.name={inside}\n\
         controller.quorum.voters={}\n",
        voters.join(",")
    )
}

pub(super) fn command(server: &Server) -> Vec<OsString> {
    let mut command = java(server, "512m");
    command.extend(arguments(["kafka.Kafka", "server.properties"]));
    command
}

/// The server's command line, which writes an archive of the loaded classes when the server ends in order.
pub(crate) fn command_archiving(server: &Server, archive: &Path) -> Vec<OsString> {
    let mut command = command(server);
    command.insert(1, format!("-XX:ArchiveClassesAtExit={}", archive.display()).into());
    command
}

fn java(server: &Server, heap_max: &str) -> Vec<OsString> {
    let tmp = server.launch.folder.join("tmp");
    let mut command = arguments([
        "java",
        "-Xms128m",
        &format!("-Xmx{heap_max}"),
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "-Dlog4j2.configurationFile=log4j2.properties",
        &format!("-Djava.io.tmpdir={}", tmp.display()),
        "-cp",
        &format!("{}/*", server.software.display()),
    ]);
    let archive = server.software.with_file_name(ARCHIVE);
    if archive.exists() {
        command.insert(1, format!("-XX:SharedArchiveFile={}", archive.display()).into());
    }
    command
}

/// A 16-byte id in Kafka's notation: 22 characters of URL-safe base 64, the last of which carries two bits. It follows
/// from the instance's folder, so that its brokers, which are prepared apart, agree on it.
fn cluster_id(instance: Option<&Path>) -> String {
    let bytes = instance.map_or(&[][..], |folder| folder.as_os_str().as_encoded_bytes());
    let seed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let mut id: String = (0..21).map(|_| random.alphanumeric()).collect();
    id.push(char::from(b"AQgw"[random.usize(..4)]));
    id
}

/// Whether a broker answers, and its user may come in by the encrypted listener.
pub(super) fn furnish(
    server: &Server,
    bootstrap: &str,
    trust: Option<&Trust>,
    patience: Duration,
) -> Result<(), String> {
    check(bootstrap, trust, patience)?;
    secured::furnish_kafka(bootstrap, trust, server.password(Part::Kafka), patience)
}

/// Whether a broker answers a metadata request.
pub(crate) fn check(bootstrap: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let client: BaseConsumer = client_config(bootstrap, trust).create().map_err(|error| error.to_string())?;
    let metadata = client.fetch_metadata(None, patience).map_err(|error| error.to_string())?;
    if metadata.brokers().is_empty() { Err("it knows of no broker".into()) } else { Ok(()) }
}

/// Settings of every client of this crate: an outage of a moment is found to be over at once.
pub(crate) fn client_config(bootstrap: &str, trust: Option<&Trust>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "aqueduct-stack")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("allow.auto.create.topics", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    if let Some(trust) = trust {
        trust.tell_kafka(&mut config);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_have_kafkas_form_and_differ() {
        let id = |folder| cluster_id(Some(Path::new(folder)));
        assert_eq!(id("/a").len(), 22);
        assert_ne!(id("/a"), id("/b"));
        assert_eq!(id("/a"), id("/a"), "brokers of one instance agree");
    }

    #[test]
    fn one_of_three_brokers_may_be_away() {
        for (brokers, copies, least) in [(1, 1, 1), (3, 3, 2)] {
            let settings = replication(brokers);
            assert!(settings.contains(&format!("offsets.topic.replication.factor={copies}\n")), "{settings}");
            assert!(settings.contains(&format!("\nmin.insync.replicas={least}\n")), "{settings}");
        }
    }

    #[test]
    fn a_port_nobody_serves_is_not_healthy() {
        let port = crate::port::free(1).unwrap()[0];
        assert!(check(&format!("127.0.0.1:{port}"), None, Duration::from_millis(300)).is_err());
    }
}
