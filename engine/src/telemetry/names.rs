//! The name and meaning of every metric. Users script against these names: changing one is a breaking change.
//!
//! One table says all there is to say: what kind it is, its unit, its labels, and one sentence for people. The metrics
//! page, `engine/docs/metrics.md` and `aqueduct schema --of metrics` are made from it, so they cannot disagree.
//! Deliberately absent: values.

use serde::{Serialize, Serializer};

/// What a value means over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only rises, or begins anew with the process or the actor.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations by size, with these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Prometheus' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }

    /// Upper bounds of a histogram's buckets.
    pub fn bounds(self) -> &'static [f64] {
        match self {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a metric describes: the labels it has before its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The process.
    Process,
    /// The topology it runs.
    Topology,
    /// An actor.
    Actor,
    /// A partition of a source's topic; see [`crate::limits::SERIES_PARTITIONS_MAX`].
    Partition,
}

impl Scope {
    /// Its labels.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Scope::Process => &[],
            Scope::Topology => &["topology"],
            Scope::Actor => &["topology", "actor", "kind"],
            Scope::Partition => &["topology", "actor", "kind", "topic", "partition"],
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// `aqueduct_<noun>_<unit>[_total]`; figures of the process have the names everybody gives them.
    pub name: &'static str,
    /// What its value means over time.
    pub kind: Kind,
    /// What it counts or measures.
    pub unit: &'static str,
    /// What it describes.
    pub scope: Scope,
    /// Labels beyond those of its scope.
    pub own_labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

impl Metric {
    /// Every label of its series.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> {
        self.scope.labels().iter().chain(self.own_labels).copied()
    }
}

/// Upper bounds for what takes milliseconds when all is well, seconds.
const FLUSH_BOUNDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Upper bounds for the way of a record through everything, which an outage makes long, seconds.
const END_TO_END_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:literal, $scope:ident [$($label:literal),*], $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: $unit,
                scope: Scope::$scope,
                own_labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every metric.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    RECORDS_TOTAL = "aqueduct_records_total", Counter, "records", Partition ["fate"],
        "Records by fate (read, written, dead_lettered, filtered, skipped).";
    UNACCOUNTED_RECORDS = "aqueduct_unaccounted_records", Gauge, "records", Partition [],
        "Records read that have no fate and are not in flight; anything but 0 is a bug.";
    IN_FLIGHT_RECORDS = "aqueduct_in_flight_records", Gauge, "records", Partition [],
        "Records read whose fate is not decided yet.";
    ROWS_TOTAL = "aqueduct_rows_total", Counter, "rows", Actor [],
        "Rows a sink has made durable; a record may give many or none.";
    LAG_RECORDS = "aqueduct_lag_records", Gauge, "records", Partition [],
        "The broker's end (of committed transactions) less the stored next offset of the required sink furthest behind.";
    LAG_SECONDS = "aqueduct_lag_seconds", Gauge, "seconds", Partition [],
        "Age of the first record that a required sink lacks, by its Kafka time once it was read, else since it was seen in the log; 0 without any.";
    LAG_SAMPLE_AGE_SECONDS = "aqueduct_lag_sample_age_seconds", Gauge, "seconds", Actor [],
        "Age of the older of both readings that the lag is made of, the oldest over the partitions: how far to trust it.";
    LAG_PARTITIONS = "aqueduct_lag_partitions", Gauge, "partitions", Actor [],
        "Partitions whose lag this node tells.";
    FOLDED_PARTITIONS = "aqueduct_folded_partitions", Gauge, "partitions", Actor [],
        "Partitions without a series of their own, summed under partition other.";
    LINK_FILL_RATIO = "aqueduct_link_fill_ratio", Gauge, "ratio", Actor ["from"],
        "How full the link from one actor (from) into another is, 0 to 1.";
    BLOCKED_SECONDS_TOTAL = "aqueduct_blocked_seconds_total", Counter, "seconds", Actor [],
        "Time an actor was held up by full outputs.";
    EDGE_BLOCKED_SECONDS_TOTAL = "aqueduct_edge_blocked_seconds_total", Counter, "seconds", Actor ["to"],
        "Time an actor waited for room on the edge to another (to).";
    PASSED_OVER_RECORDS_TOTAL = "aqueduct_passed_over_records_total", Counter, "records", Actor ["to"],
        "Records that a full best-effort edge to another actor (to) was not given.";
    ACTOR_STATE = "aqueduct_actor_state", Gauge, "boolean", Actor ["state"],
        "1 for the state an actor is in, 0 for the others.";
    RESTARTS_TOTAL = "aqueduct_restarts_total", Counter, "restarts", Actor [],
        "Starts of an actor after its first.";
    DEAD_LETTERS_TOTAL = "aqueduct_dead_letters_total", Counter, "records", Actor ["reason"],
        "Records an actor rejected, by reason.";
    DEAD_LETTERS = "aqueduct_dead_letters", Gauge, "letters", Actor ["state"],
        "Letters that are not replayed, by state (new, failed-again); counted now and then, up to a bound.";
    DEAD_LETTER_AGE_SECONDS = "aqueduct_dead_letter_age_seconds", Gauge, "seconds", Actor [],
        "Age of the oldest letter that is not replayed; 0 without any.";
    DEAD_LETTERS_DELETED_TOTAL = "aqueduct_dead_letters_deleted_total", Counter, "letters", Actor [],
        "Letters deleted because they were older than the retention of the dead letter.";
    BOTTLENECK = "aqueduct_bottleneck", Gauge, "boolean", Actor [],
        "1 for the one actor that the others wait for, 0 for all others; nobody while everything keeps up.";
    FLUSH_SECONDS = "aqueduct_flush_seconds", Histogram(FLUSH_BOUNDS), "seconds", Actor [],
        "How long a sink took to make what it had gathered durable.";
    END_TO_END_SECONDS = "aqueduct_end_to_end_seconds", Histogram(END_TO_END_BOUNDS), "seconds", Actor [],
        "From a record's Kafka time until a sink had made it durable: the first and the last record of each batch.";
    CACHE_HIT_RATIO = "aqueduct_cache_hit_ratio", Gauge, "ratio", Actor ["by"],
        "Share of the reads of the last minute that found their key, counted by the readers themselves or by the server; absent while nobody reads.";
    CACHE_READS_TOTAL = "aqueduct_cache_reads_total", Counter, "reads", Actor ["by", "outcome"],
        "Reads by outcome (hit, miss), counted by the readers themselves or by the server, whose count is less what the caches looked up.";
    CACHE_SAMPLED_KEYS = "aqueduct_cache_sampled_keys", Gauge, "keys", Actor [],
        "Keys that the last sample compared with the table that takes the same rows.";
    CACHE_DRIFTED_KEYS = "aqueduct_cache_drifted_keys", Gauge, "keys", Actor ["how"],
        "Keys of the last sample that do not have what the table has (missing, behind, refused).";
    CACHE_BEHIND_SECONDS = "aqueduct_cache_behind_seconds", Gauge, "seconds", Actor [],
        "The most that a key of the last sample is behind the table, in event time.";
    CACHE_SAMPLED_TIMESTAMP_SECONDS = "aqueduct_cache_sampled_timestamp_seconds", Gauge, "seconds", Actor [],
        "When the last sample was taken, seconds since 1970 UTC.";
    CACHE_AGE_SECONDS = "aqueduct_cache_age_seconds", Gauge, "seconds", Actor [],
        "How old the newest value was when the cache wrote it.";
    CACHE_WRITES_TOTAL = "aqueduct_cache_writes_total", Counter, "keys", Actor [],
        "Keys of the cache given a new value.";
    CACHE_COALESCED_TOTAL = "aqueduct_cache_coalesced_total", Counter, "rows", Actor [],
        "Rows that gave way to a newer one of their key before anything was sent.";
    CACHE_STALE_TOTAL = "aqueduct_cache_stale_total", Counter, "keys", Actor [],
        "Values that the cache already had, or newer ones.";
    CACHE_EXPIRED_TOTAL = "aqueduct_cache_expired_total", Counter, "rows", Actor [],
        "Rows whose time to live had passed before they were written.";
    CACHE_SKIPPED_TOTAL = "aqueduct_cache_skipped_total", Counter, "rows", Actor [],
        "Rows a best-effort cache did not write: no place for them, or no room.";
    CACHE_PENDING_KEYS = "aqueduct_cache_pending_keys", Gauge, "keys", Actor [],
        "Keys that wait to be written into the cache.";
    CACHE_SERVER_KEYS = "aqueduct_cache_server_keys", Gauge, "keys", Actor [],
        "Keys of the cache's whole Redis database, whoever wrote them.";
    CACHE_SERVER_MEMORY_BYTES = "aqueduct_cache_server_memory_bytes", Gauge, "bytes", Actor [],
        "Memory that the cache's Redis server uses.";
    CACHE_SERVER_MEMORY_MAX_BYTES = "aqueduct_cache_server_memory_max_bytes", Gauge, "bytes", Actor [],
        "Memory that the cache's Redis server may use; 0 = no bound.";
    CACHE_EVICTED_KEYS_TOTAL = "aqueduct_cache_evicted_keys_total", Counter, "keys", Actor [],
        "Keys that the cache's Redis server threw out for want of memory.";
    CACHE_EXPIRED_KEYS_TOTAL = "aqueduct_cache_expired_keys_total", Counter, "keys", Actor [],
        "Keys that the cache's Redis server let go at the end of their time to live.";
    POOL_CONNECTIONS = "aqueduct_pool_connections", Gauge, "connections", Topology ["pool", "state"],
        "Connections of a pool to a store, by state (idle, busy).";
    POOL_CONNECTIONS_MAX = "aqueduct_pool_connections_max", Gauge, "connections", Topology ["pool"],
        "Connections that a pool may have.";
    POOL_WAITS_TOTAL = "aqueduct_pool_waits_total", Counter, "waits", Topology ["pool", "outcome"],
        "Times somebody had to wait for a connection of a pool, by outcome (served, timed_out).";
    CHUNKS = "aqueduct_chunks", Gauge, "chunks", Topology ["table"],
        "Chunks of a hypertable that a sink writes; asked now and then.";
    SCHEDULE_OWNER = "aqueduct_schedule_owner", Gauge, "boolean", Actor [],
        "1 while this node is the one at work for a schedule, 0 while it stands by.";
    SCHEDULE_FAILED = "aqueduct_schedule_failed", Gauge, "boolean", Actor [],
        "1 if the last run of a schedule, on whatever node, did not do all of its work.";
    SCHEDULE_RUNS_TOTAL = "aqueduct_schedule_runs_total", Counter, "runs", Actor ["outcome"],
        "Runs of a schedule on this node, by outcome (passed, failed).";
    SCHEDULE_RUN_SECONDS = "aqueduct_schedule_run_seconds", Gauge, "seconds", Actor [],
        "How long the last run of a schedule took, on whatever node.";
    SCHEDULE_LATE_SECONDS = "aqueduct_schedule_late_seconds", Gauge, "seconds", Actor [],
        "For how long a run of a schedule has been due that nobody has finished; 0 while none is.";
    ROLLUP_AGE_SECONDS = "aqueduct_rollup_age_seconds", Gauge, "seconds", Actor [],
        "How long before the last run of this node the event time was up to which its roll-up is made.";
    ROLLUP_ROWS_TOTAL = "aqueduct_rollup_rows_total", Counter, "rows", Actor [],
        "Rows of a roll-up that this node has added or changed.";
    RETENTION_DROPPED_CHUNKS_TOTAL = "aqueduct_retention_dropped_chunks_total", Counter, "chunks", Actor ["table"],
        "Chunks that this node dropped for being past the retention of their table.";
    RETENTION_DROPPED_ROWS_TOTAL = "aqueduct_retention_dropped_rows_total", Counter, "rows", Actor ["table"],
        "Rows of the chunks that this node dropped.";
    RETENTION_PAST_CHUNKS = "aqueduct_retention_past_chunks", Gauge, "chunks", Actor ["table", "held"],
        "Chunks past the retention of their table that the last run of this node left, by whether a legal hold forbids dropping them.";
    TABLE_BYTES = "aqueduct_table_bytes", Gauge, "bytes", Topology ["table"],
        "Size of a hypertable with its indexes and compressed chunks; asked now and then.";
    KAFKA_GROUP_ASSIGNED_PARTITIONS = "aqueduct_kafka_group_assigned_partitions", Gauge, "partitions", Actor [],
        "Partitions that the consumer group lets a source of this node have.";
    KAFKA_GROUP_MEMBER = "aqueduct_kafka_group_member", Gauge, "boolean", Actor [],
        "1 while a source is a member of its consumer group, 0 otherwise.";
    KAFKA_GROUP_REBALANCES_TOTAL = "aqueduct_kafka_group_rebalances_total", Counter, "rebalances", Actor [],
        "Answers of the consumer group that changed what a source may read.";
    QUALITY_SCORE = "aqueduct_quality_score", Gauge, "ratio", Actor ["key"],
        "Score of a key by its quality gate, 1 (nothing is wrong) to 0 (a limit is reached); the worst keys.";
    GATE_VERDICT = "aqueduct_gate_verdict", Gauge, "boolean", Actor ["key", "verdict"],
        "1 for what the rules of a quality gate say of a key (trade, watch, halt), 0 for the others; the worst keys.";
    GATE_KEYS = "aqueduct_gate_keys", Gauge, "keys", Actor ["verdict"],
        "Keys a quality gate knows, by what its rules say of them (trade, watch, halt).";
    GATE_KEYS_FORGOTTEN_TOTAL = "aqueduct_gate_keys_forgotten_total", Counter, "keys", Actor [],
        "Keys a quality gate has forgotten because it knew as many as it may.";
    GATE_MISSED_RECORDS_TOTAL = "aqueduct_gate_missed_records_total", Counter, "records", Actor [],
        "Records a quality gate was not given because it lagged.";
    QUALITY_VIOLATIONS_TOTAL = "aqueduct_quality_violations_total", Counter, "rows", Actor ["rule"],
        "Rows that broke a rule of a quality gate, by rule; of stale_after and rate_collapse how often a key came to the limit.";
    CONFIG_GENERATION = "aqueduct_config_generation", Gauge, "generation", Topology [],
        "Rises by one with each topology applied; 1 since the start.";
    READY = "aqueduct_ready", Gauge, "boolean", Topology [],
        "1 while the node does all its topology declares, as /readyz tells; 0 else.";
    PHASE = "aqueduct_phase", Gauge, "boolean", Topology ["phase"],
        "1 for the phase the node is in (starting, running, draining, stopping, ended), 0 for the others.";
    ACTOR_WAITING = "aqueduct_actor_waiting", Gauge, "boolean", Actor ["class"],
        "1 for the class (transient, capacity, config) of what an actor waits for, 0 for the others.";
    RELOADS_TOTAL = "aqueduct_reloads_total", Counter, "reloads", Topology ["outcome"],
        "Reloads that were asked for, by outcome (applied, refused, rolled_back).";
    RELOAD_APPLIED = "aqueduct_reload_applied", Gauge, "boolean", Topology [],
        "0 once the last reload was refused or rolled back; 1 else, also before the first.";
    SECRET_AGE_SECONDS = "aqueduct_secret_age_seconds", Gauge, "seconds", Topology ["connection", "secret"],
        "How long this process has used the secret (login, tls) of a connection that is in use; which one it is, /api/secrets tells.";
    SECRET_REFUSED = "aqueduct_secret_refused", Gauge, "boolean", Topology ["connection", "secret"],
        "1 while the files of a secret hold another one that is not taken; 0 else.";
    SECRET_OLDER_CONNECTIONS = "aqueduct_secret_older_connections", Gauge, "connections", Topology ["connection", "secret"],
        "Connections that were opened with an earlier generation of a secret and are not closed yet.";
    MEMORY_LIMIT_BYTES = "aqueduct_memory_limit_bytes", Gauge, "bytes", Topology [],
        "Memory the process may use: its control group's limit, or else that of the machine.";
    FULL_METRICS = "aqueduct_full_metrics", Gauge, "metrics", Topology [],
        "Metrics with more series than have a place: the others are left out, or summed under other.";
    TRACE_SPANS_TOTAL = "aqueduct_trace_spans_total", Counter, "spans", Topology ["outcome"],
        "Spans of traced batches, by what became of them (exported, dropped); absent while nobody traces.";
    BUILD_INFO = "aqueduct_build_info", Gauge, "boolean", Process ["version", "commit", "librdkafka"],
        "1, with the versions as labels.";
    ADMIN_REQUESTS_TOTAL = "aqueduct_admin_requests_total", Counter, "requests", Process ["outcome"],
        "Requests to the admin endpoint by how they ended (answered, refused, failed); /readyz of a node that is not ready fails.";
    PROCESS_CPU_SECONDS_TOTAL = "process_cpu_seconds_total", Counter, "seconds", Process [],
        "Processor time the process has used, its own and the kernel's for it.";
    PROCESS_RESIDENT_MEMORY_BYTES = "process_resident_memory_bytes", Gauge, "bytes", Process [],
        "Memory of the process that is in use now.";
    PROCESS_VIRTUAL_MEMORY_BYTES = "process_virtual_memory_bytes", Gauge, "bytes", Process [],
        "Address space of the process.";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, "files", Process [],
        "Files and sockets the process has open.";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, "files", Process [],
        "Files and sockets the process may have open.";
    PROCESS_START_TIME_SECONDS = "process_start_time_seconds", Gauge, "seconds", Process [],
        "When the process was started, seconds since 1970 UTC.";
    PROCESS_THREADS = "process_threads", Gauge, "threads", Process [],
        "Threads of the process.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_unique_and_explained() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let ours = metric.name.starts_with("aqueduct_");
            assert!(ours || metric.name.starts_with("process_"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}: one sentence", metric.name);
        }
    }

    #[test]
    fn a_name_says_what_kind_and_unit_it_has() {
        for metric in ALL {
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Counter, "{} is a {}", metric.name, metric.kind.as_str());
            let stem = metric.name.trim_end_matches("_total");
            for unit in ["seconds", "bytes"] {
                assert_eq!(stem.ends_with(unit), metric.unit == unit, "{}", metric.name);
            }
        }
    }

    #[test]
    fn a_histograms_bounds_ascend() {
        for metric in ALL {
            assert!(metric.kind.bounds().is_sorted_by(|low, high| low < high), "{}", metric.name);
        }
    }
}
