//! Words of other programs, and of earlier drafts: each with ours, so that nothing foreign loads silently.

/// Where a word was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top of the file.
    File,
    /// In an actor.
    Actor,
    /// In a field.
    Field,
    /// In `connections`, or one of them.
    Connection,
    /// In a supervisor.
    Supervisor,
    /// In a test.
    Test,
    /// In a node's settings.
    Settings,
}

/// A word and what to write instead.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// Where it counts as foreign.
    pub place: Place,
    /// As written.
    pub word: &'static str,
    /// What to write instead, as a sentence's end: `write ..`.
    pub ours: &'static str,
}

const fn foreign(place: Place, word: &'static str, ours: &'static str) -> Foreign {
    Foreign { place, word, ours }
}

/// The table.
pub const FOREIGN: &[Foreign] = &[
    foreign(Place::File, "sources", "an actor of kind `kafka_source` under `actors`"),
    foreign(Place::File, "source", "an actor of kind `kafka_source` under `actors`"),
    foreign(Place::File, "inputs", "an actor of kind `kafka_source` under `actors`"),
    foreign(Place::File, "input", "an actor of kind `kafka_source` under `actors`"),
    foreign(Place::File, "pipeline", "actors of kind `normalizer` under `actors`, joined by `from`"),
    foreign(Place::File, "pipelines", "actors under `actors`, joined by `from`"),
    foreign(Place::File, "transforms", "actors of kind `normalizer` under `actors`"),
    foreign(Place::File, "processors", "actors of kind `normalizer` under `actors`"),
    foreign(
        Place::File,
        "sinks",
        "an actor of kind `timescale_writer`, `redis_cache` or `kafka_sink` under `actors`",
    ),
    foreign(
        Place::File,
        "outputs",
        "an actor of kind `timescale_writer`, `redis_cache` or `kafka_sink` under `actors`",
    ),
    foreign(
        Place::File,
        "output",
        "an actor of kind `timescale_writer`, `redis_cache` or `kafka_sink` under `actors`",
    ),
    foreign(Place::File, "nodes", "`actors`"),
    foreign(Place::File, "name", "`topology: <name>`"),
    foreign(Place::File, "buffer", "`link: { batches, bytes }` in the actor"),
    foreign(Place::File, "logger", "`log` in the node's settings, engine.yaml"),
    foreign(Place::File, "log", "`log` in the node's settings, engine.yaml"),
    foreign(Place::File, "admin", "`admin` in the node's settings, engine.yaml"),
    foreign(Place::File, "http", "`admin.listen` in the node's settings, engine.yaml"),
    foreign(Place::File, "agent", "the node's settings, engine.yaml"),
    foreign(Place::File, "metrics", "nothing: metrics are always at `/metrics`"),
    foreign(Place::File, "cache_resources", "an actor of kind `redis_cache`"),
    foreign(Place::Actor, "type", "`kind`"),
    foreign(Place::Actor, "inputs", "`from`"),
    foreign(Place::Actor, "input", "`from`"),
    foreign(Place::Actor, "topics", "`topic`; a second topic is a second actor"),
    foreign(Place::Actor, "group_id", "nothing: the group is the topology's name"),
    foreign(Place::Actor, "consumer_group", "nothing: the group is the topology's name"),
    foreign(Place::Actor, "auto_offset_reset", "`start: earliest` or `start: latest`"),
    foreign(Place::Actor, "start_from_oldest", "`start: earliest`"),
    foreign(Place::Actor, "bootstrap_servers", "`connections.kafka.bootstrap`"),
    foreign(Place::Actor, "brokers", "`connections.kafka.bootstrap`"),
    foreign(Place::Actor, "dsn", "`connections.timescale.url`"),
    foreign(Place::Actor, "url", "the address under `connections`"),
    foreign(Place::Actor, "metric_batch_size", "`flush: { rows }`"),
    foreign(Place::Actor, "metric_buffer_limit", "`link: { batches, bytes }`"),
    foreign(Place::Actor, "flush_interval", "`flush: { interval }`"),
    foreign(Place::Actor, "batch", "`flush: { rows, bytes, interval }`"),
    foreign(Place::Actor, "batching", "`flush: { rows, bytes, interval }`"),
    foreign(Place::Actor, "buffer", "`link: { batches, bytes }`"),
    foreign(Place::Actor, "threads", "`parallelism`"),
    foreign(Place::Actor, "max_in_flight", "`parallelism`"),
    foreign(Place::Actor, "mapping", "`fields`"),
    foreign(Place::Actor, "columns", "`fields` in the normalizer; a writer takes every field of its input"),
    foreign(Place::Actor, "condition", "`select`"),
    foreign(Place::Actor, "filter", "`select`"),
    foreign(Place::Actor, "expire", "`ttl`"),
    foreign(Place::Actor, "drop_on_error", "nothing: what is rejected goes to the dead letter"),
    foreign(Place::Field, "kind", "`type`"),
    foreign(Place::Field, "pointer", "`path`"),
    foreign(Place::Field, "expression", "`expr`"),
    foreign(Place::Field, "nullable", "`optional: true`"),
    foreign(Place::Field, "required", "nothing: a field is required unless it is `optional: true`"),
    foreign(Place::Field, "format", "`unit: iso`, or `unit: s|ms|us|ns`"),
    foreign(Place::Field, "timezone", "`zone`"),
    foreign(Place::Field, "values", "`map`"),
    foreign(Place::Connection, "brokers", "`bootstrap`"),
    foreign(Place::Connection, "bootstrap_servers", "`bootstrap`"),
    foreign(Place::Connection, "addresses", "`bootstrap`"),
    foreign(Place::Connection, "postgres", "`timescale`"),
    foreign(Place::Connection, "postgresql", "`timescale`"),
    foreign(Place::Connection, "timescaledb", "`timescale`"),
    foreign(Place::Connection, "dsn", "`url`"),
    foreign(Place::Connection, "password", "`password_file`"),
    foreign(Place::Connection, "pool_size", "`pool`"),
    foreign(Place::Supervisor, "max_restarts", "`intensity`"),
    foreign(Place::Supervisor, "max_seconds", "`period`"),
    foreign(Place::Supervisor, "actors", "`children`"),
    foreign(Place::Test, "input", "`send: { to, records }`"),
    foreign(Place::Test, "inputs", "`send: { to, records }`"),
    foreign(Place::Test, "outputs", "`expect`"),
    foreign(Place::Test, "insert_at", "`to`"),
    foreign(Place::Test, "target_processors", "`send: { to, records }`"),
    foreign(Place::Test, "input_batch", "`records`"),
    foreign(Place::Test, "output_batches", "`expect`"),
    foreign(Place::Settings, "listen", "`admin: { listen }`"),
    foreign(Place::Settings, "address", "`listen`, under `admin`"),
    foreign(Place::Settings, "api", "`admin: { listen }`"),
    foreign(Place::Settings, "http", "`admin: { listen }`"),
    foreign(Place::Settings, "token", "`token_file`, under `admin`: a secret is in a file of its own"),
    foreign(Place::Settings, "log_level", "`log: { filter }`"),
    foreign(Place::Settings, "log_format", "`log: { format }`"),
    foreign(Place::Settings, "logger", "`log: { filter, format }`"),
    foreign(Place::Settings, "logging", "`log: { filter, format }`"),
    foreign(Place::Settings, "debug", "`log: { filter: debug }`"),
    foreign(Place::Settings, "quiet", "`log: { filter: error }`"),
    foreign(Place::Settings, "agent", "nothing: the settings stand at the top of the file"),
    foreign(Place::Settings, "global", "nothing: the settings stand at the top of the file"),
    foreign(Place::Settings, "metrics", "nothing: metrics are always at `/metrics`"),
    foreign(Place::Settings, "data_dir", "nothing: a node keeps nothing on its disk"),
    foreign(Place::Settings, "shutdown_timeout", "`drain_deadline`"),
    foreign(Place::Settings, "shutdown_delay", "`drain_deadline`"),
    foreign(Place::Settings, "graceful_shutdown_limit_secs", "`drain_deadline`"),
    foreign(Place::Settings, "topology", "it into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "actors", "them into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "connections", "them into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "supervisors", "them into a topology file, which `aqueduct run FILE` names"),
    foreign(Place::Settings, "memory_limit", "`memory_budget`"),
    foreign(Place::Settings, "level", "`filter`"),
    foreign(Place::Settings, "threads", "`arbiters`"),
    foreign(Place::Settings, "workers", "`arbiters`"),
    foreign(Place::Settings, "hostname", "`node`"),
];

/// What to write instead of `word`, if it is foreign there.
pub(crate) fn ours(place: Place, word: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|foreign| foreign.place == place && foreign.word == word).map(|foreign| foreign.ours)
}
