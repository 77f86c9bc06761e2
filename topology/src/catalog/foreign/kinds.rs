//! Kinds and words of values, as other programs say them.

/// Kinds of other programs, and what does their work here.
const KINDS: &[(&[&str], &str)] = &[
    (&["kafka_consumer", "kafka_input", "redpanda_input"], "`kafka_source`"),
    (
        &["kafka", "kafka_franz", "redpanda", "redpanda_common", "kafka_producer"],
        "`kafka_source` to read a topic, `kafka_sink` to write one",
    ),
    (&["kafka_output", "kafka_writer"], "`kafka_sink`"),
    (
        &["file", "stdin", "tail", "csv", "demo_logs", "generate", "jsonl", "replay"],
        "`replay_source`, which reads a recorded file",
    ),
    (
        &[
            "remap",
            "vrl",
            "bloblang",
            "mapping",
            "mutation",
            "transform",
            "mapper",
            "parser",
            "json",
            "parse_json",
            "starlark",
            "converter",
            "rename",
            "regex",
            "jq",
            "jmespath",
            "lua",
            "execd",
            "lambda",
            "processor",
            "decoder",
            "decode",
        ],
        "`normalizer`, with `fields`",
    ),
    (&["filter", "sample", "throttle"], "`normalizer`, with `select`"),
    (
        &["route", "exclusive_route", "switch", "branch", "broker", "fallback", "router"],
        "`normalizer`, with `cases`",
    ),
    (&["unarchive", "split", "unnest", "explode", "flatten"], "`normalizer`, with `explode`"),
    (&["dedupe", "dedup"], "`timescale_writer`, with `unique`"),
    (&["upsert"], "`timescale_writer`, with `unique` and `on_conflict: replace`"),
    (
        &["reduce", "aggregate", "log_to_metric", "basicstats", "merge", "final", "minmax", "windowing"],
        "`normalizer` and aggregate in the database; `window` is planned",
    ),
    (&["enum", "lookup"], "`normalizer`, with `map` in the field"),
    (
        &[
            "postgres",
            "postgresql",
            "timescale",
            "timescaledb",
            "sql",
            "sql_insert",
            "sql_raw",
            "sql_select",
            "database",
            "db",
            "clickhouse",
            "influxdb",
            "influxdb_v2",
            "questdb",
            "jdbc",
            "pg",
        ],
        "`timescale_writer`",
    ),
    (
        &[
            "redis",
            "redis_hash",
            "redis_list",
            "redis_streams",
            "redis_pubsub",
            "cache",
            "valkey",
            "memcached",
        ],
        "`redis_cache`",
    ),
    (
        &["console", "stdout", "print", "blackhole", "drop", "discard", "null"],
        "a real sink; `aqueduct try FILE --input ..` prints rows",
    ),
    (&["reject", "dlq", "dead_letter_queue"], "`dead_letter`, which is there without being written"),
    (
        &[
            "http",
            "http_server",
            "http_client",
            "http_listener",
            "socket",
            "websocket",
            "nats",
            "mqtt",
            "mqtt_consumer",
            "amqp",
            "amqp_0_9",
            "exec",
            "journald",
            "docker_logs",
            "pulsar",
            "kinesis",
            "aws_s3",
            "aws_kinesis",
            "gcp_pubsub",
            "elasticsearch",
            "loki",
            "prometheus",
            "prometheus_exporter",
            "prometheus_scrape",
            "internal_metrics",
            "syslog",
        ],
        "nothing: this program reads Kafka and recorded files, and writes TimescaleDB, Redis and Kafka",
    ),
    (&["cron", "schedule_cron", "timer", "interval"], "`schedule`, which is planned"),
    (&["source", "input", "reader", "consumer"], "`kafka_source` or `replay_source`"),
    (&["sink", "output", "writer", "producer"], "`timescale_writer`, `redis_cache` or `kafka_sink`"),
];

/// Words of other programs for ours.
const WORDS: &[(&[&str], &str)] = &[
    (&["beginning", "oldest", "first", "smallest", "start"], "earliest"),
    (&["end", "newest", "last", "largest"], "latest"),
    (&["always"], "permanent"),
    (&["on_failure", "on-failure", "on_error"], "transient"),
    (&["never", "no", "once"], "temporary"),
    (&["at_least_once", "exactly_once", "mandatory", "must"], "required"),
    (&["at_most_once", "optional", "lossy"], "best_effort"),
    (&["one_for_rest", "rest"], "rest_for_one"),
    (&["all"], "one_for_all"),
    (&["one", "simple_one_for_one"], "one_for_one"),
    (&["epoch", "unix", "seconds", "sec", "secs", "epoch_s"], "s"),
    (&["milliseconds", "millis", "unix_ms", "epoch_ms", "epoch_millis"], "ms"),
    (&["microseconds", "micros", "unix_us", "epoch_us"], "us"),
    (&["nanoseconds", "nanos", "unix_ns", "epoch_ns"], "ns"),
    (&["rfc3339", "iso8601", "rfc_3339", "iso_8601"], "iso"),
    (&["any", "each", "every"], "all"),
];

/// What to write instead of the kind `word`, as a sentence's end.
pub(crate) fn our_kind(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    // Telegraf says `inputs.kafka_consumer`.
    let last = lower.rsplit('.').next().unwrap_or_default();
    KINDS.iter().find(|(words, _)| words.contains(&last)).map(|(_, ours)| *ours)
}

/// The word among `allowed` that stands for the foreign `word`.
pub(crate) fn our_word(word: &str, allowed: &[&'static str]) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let ours = WORDS.iter().filter(|(words, _)| words.contains(&lower.as_str())).map(|(_, ours)| *ours);
    ours.into_iter().find(|ours| allowed.contains(ours))
}
