//! A staging from outside: its commands, and clients that know of it what `staging env` names.

use crate::harness::secured::believing;
use crate::harness::wait;
use crate::harness::world::Sql;
use aqueduct_stack::secured::REDIS_OWNER;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BOUND: Duration = Duration::from_secs(90);
/// Of how many symbols trades are.
pub(super) const SYMBOLS: i64 = 20;
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A staging of its own, gone with its data when dropped.
pub(super) struct Staging {
    pub(super) name: String,
    /// Where commands run: nothing lies there.
    pub(super) folder: tempfile::TempDir,
}

impl Staging {
    pub(super) fn new() -> Self {
        let name = format!("staging-{:08x}", fastrand::u32(..));
        Self { name, folder: tempfile::tempdir().expect("a folder") }
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // Servers of somebody else's: a staging is whole all the same.
        for name in ["KAFKA_BOOTSTRAP", "TIMESCALE_URL", "REDIS_URL"] {
            command.env(name, "elsewhere.example:1");
        }
        command.env_remove("AQUEDUCT_CONFIG").env_remove("AQUEDUCT_ADMIN_TOKEN");
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        let named = [&["staging"], arguments, &["--name", &self.name]].concat();
        self.command(&named).output().expect("the command runs")
    }

    /// What a command prints and says that has to end with 0.
    pub(super) fn well(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, said) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {printed}{said}");
        (printed, said)
    }

    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let (printed, _) = self.well(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&printed).expect("JSON")
    }

    /// How each part is, asked now; whatever the command ends with.
    pub(super) fn parts(&self) -> Vec<Value> {
        let output = self.run(&["status", "--format", "json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["parts"].as_array().expect("parts").clone()
    }

    fn part(&self, name: &str) -> Value {
        let found = self.parts().into_iter().find(|part| part["part"] == name);
        found.unwrap_or_else(|| panic!("no part {name}"))
    }

    /// `kill -9` of a part's server.
    pub(super) fn kill(&self, name: &str) {
        let pid = self.part(name)["pid"].as_i64().expect("it runs");
        kill_process(Pid::from_raw(pid as i32).expect("a process"), Signal::KILL).expect("it is there");
        let ended = || (self.part(name)["state"] == "stopped").then_some(());
        wait::until(&format!("{name} has ended"), BOUND, ended);
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = self.run(&["down", "--purge"]);
    }
}

/// What `staging env` names.
pub(super) struct Named(BTreeMap<String, String>);

impl Named {
    pub(super) fn of(answer: &Value) -> Self {
        let pairs = answer.as_object().expect("an object").iter();
        Self(pairs.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned())).collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("{name} is not named: {:?}", self.0.keys()))
    }

    /// What lies in the file that a variable names.
    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.get(name)).expect("a file").trim().to_owned()
    }

    /// A client that believes the right authority and has no login.
    pub(super) fn kafka_without_login(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.get("KAFKA_BOOTSTRAP"))
            .set("security.protocol", "ssl")
            .set("ssl.ca.location", self.get("CA_FILE"))
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        config
    }

    /// A client with a node's login of now.
    pub(super) fn kafka(&self) -> ClientConfig {
        let mut config = self.kafka_without_login();
        config
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanisms", "SCRAM-SHA-512")
            .set("sasl.username", self.read("KAFKA_USER_FILE"))
            .set("sasl.password", self.read("KAFKA_PASSWORD_FILE"));
        config
    }

    /// How many brokers tell that client of themselves.
    pub(super) fn brokers(config: &ClientConfig) -> Result<usize, String> {
        let failed = |error: rdkafka::error::KafkaError| error.to_string();
        let client: BaseConsumer = config.create().map_err(failed)?;
        Ok(client.fetch_metadata(None, ANSWER_MAX).map_err(failed)?.brokers().len())
    }

    /// Trades `from..to` of [`SYMBOLS`] symbols, acknowledged.
    pub(super) fn send(&self, from: i64, to: i64) {
        let producer: BaseProducer = self.kafka().set("acks", "all").create().expect("a producer");
        for id in from..to {
            let (key, time) = (format!("S{:02}", id % SYMBOLS), 1_767_225_600_000 + id);
            let value = format!(r#"{{"T":{time},"s":"{key}","p":"{id}.5","q":"1"}}"#);
            let record = BaseRecord::to("md.trades").key(&key).payload(&value);
            producer.send(record).map_err(|(error, _)| error).expect("sent");
        }
        producer.flush(BOUND).expect("acknowledged");
    }

    /// Database `index` (0 the first, 1 its standby) as that user.
    pub(super) fn database(&self, index: usize, user: &str, password: &str) -> String {
        let (_, rest) = self.get("TIMESCALE_URL").split_once("://").expect("an address");
        let (hosts, rest) = rest.split_once('/').expect("a database");
        let host = hosts.split(',').nth(index).expect("a host");
        format!("postgres://{user}:{password}@{host}/{}", rest.split('?').next().expect("a name"))
    }

    /// As the owner of the tables.
    pub(super) fn owner(&self, index: usize) -> Sql {
        let password = self.read("AQUEDUCT_ROTATE_TIMESCALE_PASSWORD_FILE");
        self.encrypted(&self.database(index, "aqueduct", &password)).expect("the owner comes in")
    }

    /// As a node comes.
    pub(super) fn writer(&self) -> Sql {
        let (user, password) = (self.read("TIMESCALE_USER_FILE"), self.read("TIMESCALE_PASSWORD_FILE"));
        self.encrypted(&self.database(0, &user, &password)).expect("a node comes in")
    }

    fn encrypted(&self, url: &str) -> Result<Sql, tokio_postgres::Error> {
        Sql::try_encrypted(url, Path::new(self.get("CA_FILE")))
    }

    /// What Redis answers to lines sent to that address, which proves itself by the authority.
    pub(super) fn redis(&self, place: &str, lines: &[&str]) -> String {
        let stream = TcpStream::connect(place).expect("it listens");
        stream.set_read_timeout(Some(ANSWER_MAX)).expect("a limit");
        let config = Arc::new(believing(Path::new(self.get("CA_FILE"))));
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let mut stream = StreamOwned::new(ClientConnection::new(config, name).expect("a client"), stream);
        let text = format!("{}\r\nQUIT\r\n", lines.join("\r\n"));
        stream.write_all(text.as_bytes()).expect("said");
        let mut answer = String::new();
        // It hangs up without a word of farewell.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// `host:port` of both servers of Redis: the first, and what was its replica at first.
    pub(super) fn caches(&self) -> [&str; 2] {
        let (_, places) = self.get("REDIS_URL").rsplit_once('@').expect("a user");
        let places = places.split('/').next().expect("places").split(',').collect::<Vec<_>>();
        places.try_into().expect("two servers")
    }

    /// The same from one of them, as who may do everything there.
    pub(super) fn redis_owner(&self, place: &str, line: &str) -> String {
        let password = self.read("AQUEDUCT_ROTATE_REDIS_PASSWORD_FILE");
        let answer = self.redis(place, &[&format!("AUTH {REDIS_OWNER} {password}"), line]);
        answer.strip_prefix("+OK\r\n").unwrap_or_else(|| panic!("{place}: {answer}")).to_owned()
    }

    /// Whether it says of itself that it leads.
    pub(super) fn leads(&self, place: &str) -> bool {
        self.redis_owner(place, "INFO replication").contains("role:master")
    }
}
