//! The parts of a stack, and what each needs to run: its files, its command, its signal to end, its health.

pub(crate) mod copy;
pub(crate) mod kafka;
pub(crate) mod prometheus;
pub(crate) mod redis;
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
use crate::options::Options;
use crate::provision::Piece;
use crate::state::{PartState, Port};
use crate::time::Deadline;

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
    /// Toxiproxy, between a client and the others; see [`crate::toxiproxy`]. Only if asked for.
    Toxiproxy,
    /// Prometheus, which watches whom it is told to; see [`crate::prometheus`]. Only if asked for.
    Prometheus,
}

impl Part {
    /// The parts of a stack unless told otherwise: those that the product needs.
    pub const DEFAULT: [Part; 3] = [Part::Kafka, Part::Timescale, Part::Redis];

    /// All parts, in the order they are shown.
    pub const ALL: [Part; 9] = [
        Part::Kafka,
        Part::Broker2,
        Part::Broker3,
        Part::Timescale,
        Part::Standby,
        Part::Redis,
        Part::Replica,
        Part::Toxiproxy,
        Part::Prometheus,
    ];

    /// The brokers, by `node.id` from 1 on.
    pub const BROKERS: [Part; 3] = [Part::Kafka, Part::Broker2, Part::Broker3];

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
            Part::Toxiproxy => "TOXIPROXY_ADDRESS",
            Part::Prometheus => "PROMETHEUS_ADDRESS",
            Part::Standby => "TIMESCALE_STANDBY_URL",
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
            Part::Toxiproxy => "toxiproxy",
            Part::Prometheus => "prometheus",
            Part::Standby => "standby",
        }
    }

    /// The software that the part needs.
    pub(crate) fn piece(self) -> Piece {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => Piece::Kafka,
            Part::Timescale | Part::Standby | Part::Redis | Part::Replica => Piece::Debian,
            Part::Toxiproxy => Piece::Toxiproxy,
            Part::Prometheus => Piece::Prometheus,
        }
    }

    /// The ports that the part has beside the one of its address.
    pub(crate) fn further_ports(self, options: &Options) -> Vec<Port> {
        let mut ports = Vec::new();
        match self {
            Part::Kafka if options.secured => ports.extend([Port::Encrypted, Port::Mutual]),
            Part::Redis if options.secured => ports.push(Port::Encrypted),
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

    /// Asks the server at `address` for a real answer.
    pub(crate) fn check(self, address: &str, patience: Duration) -> Result<(), String> {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => kafka::check(address, patience),
            Part::Timescale | Part::Standby => timescale::check(address, patience),
            Part::Redis | Part::Replica => redis::check(address, patience),
            Part::Toxiproxy => toxiproxy::check(address, patience),
            Part::Prometheus => prometheus::check(address, patience),
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
            Part::Toxiproxy => toxiproxy::prepare(server),
            Part::Prometheus => prometheus::prepare(server),
        }
    }

    /// The server's command line.
    pub(crate) fn command(self, server: &Server) -> Vec<OsString> {
        match self {
            Part::Kafka | Part::Broker2 | Part::Broker3 => kafka::command(server),
            Part::Timescale | Part::Standby => timescale::command(),
            Part::Redis | Part::Replica => redis::command(),
            Part::Toxiproxy => toxiproxy::command(server),
            Part::Prometheus => prometheus::command(server),
        }
    }

    /// Whether a server that has just been started can be used: it answers, and holds what its users expect to find.
    pub(crate) fn ready(self, server: &Server, address: &str, patience: Duration) -> Result<(), String> {
        match self {
            Part::Kafka if server.secured.is_some() => kafka::furnish(server, address, patience),
            Part::Timescale | Part::Standby if server.leader.is_some() => standby::ready(address, patience),
            Part::Timescale => timescale::furnish(address, patience),
            _ => self.check(address, patience),
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
    /// Prometheus' programs.
    pub(crate) software: PathBuf,
    /// Its own ports.
    pub(crate) ports: PartState,
    /// The ports of every part of the instance: brokers name each other, and who follows names whom.
    pub(crate) peers: BTreeMap<Part, PartState>,
    /// The part that a database or a Redis copies; it leads itself without one.
    pub(crate) leader: Option<Part>,
    pub(crate) password: Option<String>,
    /// Files of its certificate, if it is to speak TLS.
    pub(crate) secured: Option<Vec<PathBuf>>,
}
