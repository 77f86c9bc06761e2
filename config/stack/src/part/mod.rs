//! The parts of a stack, and what each needs to run: its files, its command, its signal to end, its health.

pub(crate) mod copy;
pub(crate) mod kafka;
pub(crate) mod node;
pub(crate) mod prometheus;
pub(crate) mod redis;
pub(crate) mod sentinel;
pub(crate) mod standby;
pub(crate) mod timescale;
pub(crate) mod toxiproxy;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::launch::Launch;
use crate::options::{Access, Options};
use crate::provision::Piece;
use crate::state::{PartState, Port};
use crate::time::Deadline;
use crate::tls::Trust;

/// One of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Apache Kafka, one process that is broker and controller.
    Kafka,
    /// A second broker of the cluster that [`Part::Kafka`] begins. Only if asked for, and then with the third.
    Broker2,
    /// The third: every topic is on all of them, and any one may go.
    Broker3,
    /// PostgreSQL with TimescaleDB.
    Timescale,
    /// A standby of the database. Only if asked for.
    Standby,
    /// Redis.
    Redis,
    /// A second Redis, which follows the first. Only if asked for.
    Replica,
    /// What watches the two and promotes the second. Only if asked for.
    Sentinel,
    /// Toxiproxy, between a client and the others; see [`crate::toxiproxy`]. Only if asked for.
    Toxiproxy,
    /// Prometheus, which watches whom it is told to; see [`crate::prometheus`]. Only if asked for.
    Prometheus,
    /// A node: the caller's own program, as [`Options::nodes`] says. Only if asked for.
    Node1,
    /// A second one.
    Node2,
}

impl Part {
    /// The parts of a stack unless told otherwise: those that the product needs.
    pub const DEFAULT: [Part; 3] = [Part::Kafka, Part::Timescale, Part::Redis];

    /// All parts, in the order they are shown.
    pub const ALL: [Part; 12] = [
        Part::Kafka,
        Part::Broker2,
        Part::Broker3,
        Part::Timescale,
        Part::Standby,
        Part::Redis,
        Part::Replica,
        Part::Sentinel,
        Part::Toxiproxy,
        Part::Prometheus,
        Part::Node1,
        Part::Node2,
    ];

    /// The brokers, by `node.id` from 1 on.
    pub const BROKERS: [Part; 3] = [Part::Kafka, Part::Broker2, Part::Broker3];

    /// The nodes, by number.
    pub const NODES: [Part; 2] = [Part::Node1, Part::Node2];

    /// Whether it is one of [`Part::BROKERS`].
    pub(crate) fn is_broker(self) -> bool {
        Self::BROKERS.contains(&self)
    }

    /// The variable that names the part's address, as printed by `stack env` and read to replace the part.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Part::Kafka => "KAFKA_BOOTSTRAP",
            Part::Broker2 => "KAFKA_BROKER_2",
            Part::Broker3 => "KAFKA_BROKER_3",
            Part::Timescale => "TIMESCALE_URL",
            Part::Redis => "REDIS_URL",
            Part::Replica => "REDIS_REPLICA_URL",
            Part::Sentinel => "REDIS_SENTINEL_URL",
            Part::Toxiproxy => "TOXIPROXY_ADDRESS",
            Part::Prometheus => "PROMETHEUS_ADDRESS",
            Part::Standby => "TIMESCALE_STANDBY_URL",
            Part::Node1 => "NODE_1_ADDRESS",
            Part::Node2 => "NODE_2_ADDRESS",
        }
    }

    /// The name in folders and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Kafka => "kafka",
            Part::Broker2 => "broker2",
            Part::Broker3 => "broker3",
            Part::Timescale => "timescale",
            Part::Redis => "redis",
            Part::Replica => "replica",
            Part::Sentinel => "sentinel",
            Part::Toxiproxy => "toxiproxy",
            Part::Prometheus => "prometheus",
            Part::Standby => "standby",
            Part::Node1 => "node1",
            Part::Node2 => "node2",
        }
    }

    /// The software that the part needs; the caller's own is not fetched.
    pub(crate) fn piece(self) -> Option<Piece> {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => Some(Piece::Kafka),
            Part::Timescale | Part::Standby | Part::Redis | Part::Replica | Part::Sentinel => {
                Some(Piece::Debian)
            }
            Part::Toxiproxy => Some(Piece::Toxiproxy),
            Part::Prometheus => Some(Piece::Prometheus),
            Part::Node1 | Part::Node2 => None,
        }
    }

    /// The ports that the part has beside the one of its address.
    pub(crate) fn further_ports(self, options: &Options) -> Vec<Port> {
        let mut ports = Vec::new();
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => match options.access {
                Access::Open => {}
                Access::Both => ports.extend([Port::Encrypted, Port::Mutual]),
                // Its first one is encrypted.
                Access::Closed => ports.push(Port::Mutual),
            },
            Part::Redis | Part::Replica if options.access == Access::Both => ports.push(Port::Encrypted),
            _ => {}
        }
        if self == Part::Kafka && options.parts.contains(&Part::Toxiproxy) {
            ports.extend([Port::Proxied, Port::Advertised]);
        }
        ports
    }

    /// Whose copy it begins as, if it was asked for as one.
    pub(crate) fn leader(self) -> Option<Part> {
        self.follows().first().copied()
    }

    /// The parts that must have answered before this one is started, if they are wanted too.
    pub(crate) fn follows(self) -> &'static [Part] {
        match self {
            Part::Standby => &[Part::Timescale],
            Part::Replica => &[Part::Redis],
            Part::Sentinel => &[Part::Redis, Part::Replica],
            Part::Node1 | Part::Node2 => &[
                Part::Kafka,
                Part::Broker2,
                Part::Broker3,
                Part::Timescale,
                Part::Standby,
                Part::Redis,
                Part::Replica,
                Part::Sentinel,
            ],
            _ => &[],
        }
    }

    /// The signal that makes the server save what it has and end, without waiting for its clients.
    pub(crate) fn stop_signal(self) -> Signal {
        match self {
            Part::Timescale | Part::Standby => Signal::INT,
            _ => Signal::TERM,
        }
    }

    /// Whether the data or the settings of other parts hold its ports.
    pub(crate) fn is_named_by_others(self) -> bool {
        !matches!(self, Part::Toxiproxy | Part::Prometheus | Part::Node1 | Part::Node2)
    }

    /// How long it may take from its signal to end until it is killed: a node drains, which its own deadline bounds.
    pub(crate) fn stop_max(self) -> Duration {
        let seconds = if Self::NODES.contains(&self) { 45 } else { 30 };
        Duration::from_secs(seconds)
    }

    /// Asks the server at `address` for a real answer.
    pub(crate) fn check(
        self,
        address: &str,
        trust: Option<&Trust>,
        patience: Duration,
    ) -> Result<(), String> {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => kafka::check(address, trust, patience),
            Part::Timescale | Part::Standby => timescale::check(address, trust, patience),
            Part::Redis | Part::Replica => redis::check(address, trust, patience),
            Part::Sentinel => sentinel::check(address, trust, patience),
            Part::Toxiproxy => toxiproxy::check(address, patience),
            Part::Prometheus => prometheus::check(address, patience),
            Part::Node1 | Part::Node2 => node::check(address, patience),
        }
    }

    /// Whether it is to be left alone: it lives, whatever it waits for.
    pub(crate) fn lives(
        self,
        address: &str,
        trust: Option<&Trust>,
        patience: Duration,
    ) -> Result<(), String> {
        match self {
            Part::Node1 | Part::Node2 => node::lives(address, patience),
            _ => self.check(address, trust, patience),
        }
    }

    /// Writes the part's files, initialising its data if it has none. No process of the part lives meanwhile.
    pub(crate) fn prepare(self, server: &Server, deadline: Deadline) -> Result<(), Error> {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => kafka::prepare(self, server, deadline),
            Part::Timescale | Part::Standby => match server.leader {
                Some(leader) => standby::prepare(self, leader, server, deadline),
                None => timescale::prepare(server, deadline),
            },
            Part::Redis | Part::Replica => redis::prepare(server),
            Part::Sentinel => sentinel::prepare(server),
            Part::Toxiproxy => toxiproxy::prepare(server),
            Part::Prometheus => prometheus::prepare(server),
            Part::Node1 | Part::Node2 => node::prepare(server),
        }
    }

    /// The server's command line.
    pub(crate) fn command(self, server: &Server) -> Vec<OsString> {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => kafka::command(server),
            Part::Timescale | Part::Standby => timescale::command(),
            Part::Redis | Part::Replica => redis::command(),
            Part::Sentinel => sentinel::command(),
            Part::Toxiproxy => toxiproxy::command(server),
            Part::Prometheus => prometheus::command(server),
            Part::Node1 | Part::Node2 => node::command(server),
        }
    }

    /// Whether a server that has just been started can be used: it answers, and holds what its users expect to find.
    pub(crate) fn ready(
        self,
        server: &Server,
        address: &str,
        trust: Option<&Trust>,
        patience: Duration,
    ) -> Result<(), String> {
        match self {
            Part::Kafka if server.access.encrypts() => kafka::furnish(server, address, trust, patience),
            Part::Timescale | Part::Standby if server.leader.is_some() => {
                standby::ready(address, trust, patience)
            }
            Part::Timescale => timescale::furnish(address, trust, patience),
            _ => self.check(address, trust, patience),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One part of one instance, about to be started.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) launch: Launch,
    /// The provisioned software: the folder of Kafka's jars, the Debian root, Toxiproxy's program, the folder of
    /// Prometheus' programs; a node's program.
    pub(crate) software: PathBuf,
    /// Of a node's program.
    pub(crate) arguments: Vec<OsString>,
    /// Its own ports.
    pub(crate) ports: PartState,
    /// The ports of every part of the instance: brokers name each other, and who follows names whom.
    pub(crate) peers: BTreeMap<Part, PartState>,
    /// The part that a database or a Redis copies; it leads itself without one.
    pub(crate) leader: Option<Part>,
    /// Who is let in.
    pub(crate) access: Access,
    /// Those that it has to know.
    pub(crate) passwords: BTreeMap<Part, String>,
    /// What Redis asks everybody for, where it is open.
    pub(crate) redis_password: Option<String>,
    /// Files of its certificate, if it is to speak TLS.
    pub(crate) certificates: Vec<PathBuf>,
}

impl Server {
    /// The password of a part's user.
    pub(crate) fn password(&self, part: Part) -> &str {
        self.passwords.get(&part).expect("invariant: who needs a password was given it")
    }
}
