//! The parts of a file that are no actors.

use super::{Key, Shape};
use crate::model::{Sasl, Strategy, Word};

/// The file itself.
pub const FILE: &[Key] = &[
    Key::required(
        "topology",
        Shape::Name,
        "The topology's name: also the consumer group and the key of its offsets.",
    ),
    Key::optional("description", Shape::Text, "For people."),
    Key::optional(
        "connections",
        Shape::Part(CONNECTIONS),
        "The clusters; what is left out comes from the environment.",
    ),
    Key::optional(
        "supervisors",
        Shape::MapOf(&Shape::Part(SUPERVISOR)),
        "Who restarts whom; one root over everything unless said.",
    ),
    Key::required("actors", Shape::MapOf(&Shape::Opaque), "The actors by name; each has a `kind`."),
    Key::optional(
        "tests",
        Shape::ListOf(&Shape::Part(super::TEST)),
        "Examples with what is expected of them; `aqueduct test` runs them.",
    ),
];

/// `connections`.
pub const CONNECTIONS: &[Key] = &[
    Key::optional("kafka", Shape::Part(KAFKA), "The Kafka cluster."),
    Key::optional("timescale", Shape::Part(TIMESCALE), "The TimescaleDB server."),
    Key::optional("redis", Shape::Part(REDIS), "The Redis server."),
    Key::optional("registry", Shape::Part(REGISTRY), "The registry of Avro and Protobuf schemas."),
];

/// `connections.kafka`.
pub const KAFKA: &[Key] = &[
    Key::default(
        "bootstrap",
        Shape::Text,
        "${KAFKA_BOOTSTRAP:-127.0.0.1:9092}",
        "`host:port`, or several with commas.",
    ),
    Key::optional("tls", Shape::Part(TLS), "Encryption."),
    Key::optional("sasl", Shape::Part(SASL), "Authentication."),
];

/// `connections.timescale`.
pub const TIMESCALE: &[Key] = &[
    Key::default(
        "url",
        Shape::Secret,
        "${TIMESCALE_URL}",
        "`postgres://user@host:port/database`; of several `host:port`, with commas, the first that takes writes.",
    ),
    Key::optional(
        "user_file",
        Shape::File,
        "Where the user is; wins over the one in `url`. Followed as it changes.",
    ),
    Key::optional("password_file", Shape::File, "Where the password is. Followed as it changes."),
    Key::default("pool", Shape::Integer(1, 256), "4", "Connections kept."),
    Key::optional("tls", Shape::Part(TLS), "Encryption."),
];

/// `connections.redis`.
pub const REDIS: &[Key] = &[
    Key::default(
        "url",
        Shape::Secret,
        "${REDIS_URL}",
        "`redis://host:port/database`, `rediss://` encrypts; of several `host:port`, with commas, the first that leads.",
    ),
    Key::optional(
        "user_file",
        Shape::File,
        "Where the user is; wins over the one in `url`. Followed as it changes.",
    ),
    Key::optional("password_file", Shape::File, "Where the password is. Followed as it changes."),
    Key::default("pool", Shape::Integer(1, 256), "2", "Connections kept."),
    Key::optional("tls", Shape::Part(TLS), "Encryption."),
];

/// `connections.registry`.
pub const REGISTRY: &[Key] = &[
    Key::default(
        "url",
        Shape::Secret,
        "${SCHEMA_REGISTRY_URL}",
        "`http://host:port/path`, `https://` encrypts; of several `host:port`, with commas, the first that answers.",
    ),
    Key::optional(
        "user_file",
        Shape::File,
        "Where the user is; wins over the one in `url`. Followed as it changes.",
    ),
    Key::optional("password_file", Shape::File, "Where the password is. Followed as it changes."),
    Key::optional("tls", Shape::Part(TLS), "Encryption."),
];

/// `tls`.
pub const TLS: &[Key] = &[
    Key::default(
        "ca_file",
        Shape::File,
        "the system's authorities",
        "Who signs the server's certificate. Followed as it changes.",
    ),
    Key::optional("cert_file", Shape::File, "Our own certificate; needs `key_file`. Followed as it changes."),
    Key::optional("key_file", Shape::File, "Its key; needs `cert_file`. Followed as it changes."),
];

/// `sasl`.
pub const SASL: &[Key] = &[
    Key::required("mechanism", Shape::Word(Sasl::MECHANISMS), "How the password is proved."),
    Key::required("user", Shape::Text, "Who we are."),
    Key::optional("user_file", Shape::File, "Where the user is; wins over `user`. Followed as it changes."),
    Key::required("password_file", Shape::File, "Where the password is. Followed as it changes."),
];

/// One entry of `supervisors`.
pub const SUPERVISOR: &[Key] = &[
    Key::default(
        "strategy",
        Shape::Word(Strategy::WORDS),
        "one_for_one",
        "Who is restarted when a child ends.",
    ),
    Key::default(
        "intensity",
        Shape::Integer(0, 1_000_000),
        "5",
        "More restarts than this within `period` escalate.",
    ),
    Key::default("period", Shape::Duration, "30s", "The window in which restarts count."),
    Key::optional("backoff", Shape::Part(BACKOFF), "The wait before a restart."),
    Key::optional(
        "children",
        Shape::ListOf(&Shape::Actor),
        "Actors and supervisors, in the order in which they start.",
    ),
];

/// `backoff`.
pub const BACKOFF: &[Key] = &[
    Key::default("initial", Shape::Duration, "100ms", "The first wait; doubled each time."),
    Key::default("max", Shape::Duration, "10s", "The longest wait."),
    Key::default("jitter", Shape::Share, "0.2", "Share of the wait by which it varies."),
];
