//! Apache Kafka in KRaft mode: one plain Java process, broker and controller at once.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::Server;
use crate::dir::{create, remove_tree, write_whole};
use crate::error::Error;
use crate::launch::{arguments, tail};
use crate::part::Part;
use crate::state::{PartState, Port};
use crate::time::Deadline;

/// Beside the jars: classes as the virtual machine keeps them, which halves the time to start. A virtual machine of
/// another version ignores the file.
pub(crate) const ARCHIVE: &str = "kafka.jsa";

/// Settings that do not depend on the instance.
///
/// Small thread pools and few internal partitions start faster; timeouts have low floors so that tests need not wait;
/// 16 MiB messages are let through so that it is the engine which judges them.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
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
pub(crate) fn prepare(server: &Server, deadline: Deadline) -> Result<(), Error> {
    let folder = &server.launch.folder;
    // Java unpacks native libraries there, and leaves them there when it is killed.
    remove_tree(&folder.join("tmp"))?;
    create(&folder.join("tmp"))?;
    let addresses = addresses(&server.ports);
    write_whole(&folder.join("server.properties"), &format!("{SETTINGS}{addresses}"))?;
    write_whole(&folder.join("log4j2.properties"), LOGGING)?;
    if folder.join("data/meta.properties").exists() {
        return Ok(());
    }
    let mut format = java(server, "128m");
    format.extend(arguments(["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id"]));
    format.extend(arguments([cluster_id().as_str(), "--config", "server.properties"]));
    if server.launch.run(&format, deadline)? {
        return Ok(());
    }
    Err(Error::Start {
        part: Part::Kafka,
        why: "its storage could not be formatted".into(),
        log: server.launch.log.clone(),
        tail: tail(&server.launch.log),
    })
}

/// Where the broker listens, and what it tells its clients: those that come through Toxiproxy are kept on that path.
fn addresses(ports: &PartState) -> String {
    let controller = ports.controller_port.expect("invariant: kafka has a controller port");
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{}", ports.port);
    let mut advertised = listeners.clone();
    if let (Some(proxied), Some(proxy)) = (ports.further(Port::Proxied), ports.further(Port::Advertised)) {
        listeners.push_str(&format!(",PROXIED://127.0.0.1:{proxied}"));
        advertised.push_str(&format!(",PROXIED://127.0.0.1:{proxy}"));
    }
    format!(
        "listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={advertised}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n"
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

/// A random 16-byte id in Kafka's notation: 22 characters of URL-safe base 64, the last of which carries two bits.
fn cluster_id() -> String {
    let mut id: String = (0..21).map(|_| fastrand::alphanumeric()).collect();
    id.push(char::from(b"AQgw"[fastrand::usize(..4)]));
    id
}

/// Whether a broker answers a metadata request.
pub(crate) fn check(bootstrap: &str, patience: Duration) -> Result<(), String> {
    let client: BaseConsumer = client_config(bootstrap).create().map_err(|error| error.to_string())?;
    let metadata = client.fetch_metadata(None, patience).map_err(|error| error.to_string())?;
    if metadata.brokers().is_empty() { Err("it knows of no broker".into()) } else { Ok(()) }
}

/// Settings of every client of this crate: an outage of a moment is found to be over at once.
pub(crate) fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "aqueduct-stack")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("allow.auto.create.topics", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_have_kafkas_form_and_differ() {
        let (one, other) = (cluster_id(), cluster_id());
        assert_eq!(one.len(), 22);
        assert_ne!(one, other);
    }

    #[test]
    fn a_port_nobody_serves_is_not_healthy() {
        let port = crate::port::free(1).unwrap()[0];
        assert!(check(&format!("127.0.0.1:{port}"), Duration::from_millis(300)).is_err());
    }
}
