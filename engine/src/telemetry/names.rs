//! The name and meaning of every metric. Users script against these names: changing one is a breaking change.
//!
//! Labels: `topology, actor, kind` on all of them; `topic, partition` where it says so, up to
//! [`crate::limits::SERIES_PARTITIONS_MAX`] partitions, beyond which they are summed.

/// A metric's name and help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// `aqueduct_<noun>_<unit>[_total]`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $help:literal;)+) => {
        $(#[doc = $help] pub const $constant: Metric = Metric { name: $name, help: $help };)+

        /// Every metric.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    RECORDS_TOTAL = "aqueduct_records_total",
        "Records by fate (read, written, dead_lettered, filtered, skipped), by topic and partition.";
    UNACCOUNTED_RECORDS = "aqueduct_unaccounted_records",
        "Records read that have no fate and are not in flight; anything but 0 is a bug.";
    IN_FLIGHT_RECORDS = "aqueduct_in_flight_records",
        "Records read whose fate is not decided yet, by topic and partition.";
    LAG_RECORDS = "aqueduct_lag_records",
        "The broker's end less the stored next offset, by topic and partition.";
    LAG_SECONDS = "aqueduct_lag_seconds",
        "Age of the first record the sinks do not have, by topic and partition.";
    LINK_FILL_RATIO = "aqueduct_link_fill_ratio",
        "How full the link from one actor (from) into another is, 0 to 1.";
    BLOCKED_SECONDS_TOTAL = "aqueduct_blocked_seconds_total",
        "Time an actor was held up by full outputs.";
    ACTOR_STATE = "aqueduct_actor_state",
        "1 for the state an actor is in, 0 for the others.";
    RESTARTS_TOTAL = "aqueduct_restarts_total",
        "Starts of an actor after its first.";
    DEAD_LETTERS_TOTAL = "aqueduct_dead_letters_total",
        "Records an actor rejected, by reason.";
    DEAD_LETTERS = "aqueduct_dead_letters",
        "Letters that are not replayed, by state (new, failed-again); counted now and then, up to a bound.";
    DEAD_LETTER_AGE_SECONDS = "aqueduct_dead_letter_age_seconds",
        "Age of the oldest letter that is not replayed; 0 without any.";
    DEAD_LETTERS_DELETED_TOTAL = "aqueduct_dead_letters_deleted_total",
        "Letters deleted because they were older than the retention of the dead letter.";
    BOTTLENECK = "aqueduct_bottleneck",
        "1 for an actor whose inputs are full while its outputs are not: the others wait for it.";
    FLUSH_SECONDS = "aqueduct_flush_seconds",
        "How long a sink took to make a batch durable.";
    CACHE_HIT_RATIO = "aqueduct_cache_hit_ratio",
        "Share of the cache's reads that found their key.";
    CACHE_AGE_SECONDS = "aqueduct_cache_age_seconds",
        "Age of the newest value a cache holds.";
    QUALITY_SCORE = "aqueduct_quality_score",
        "Score of a key by its quality gate, 1 (nothing is wrong) to 0 (a limit is reached); the worst keys.";
    GATE_VERDICT = "aqueduct_gate_verdict",
        "1 for what the rules of a quality gate say of a key (trade, watch, halt), 0 for the others; the worst keys.";
    GATE_KEYS = "aqueduct_gate_keys",
        "Keys a quality gate knows, by what its rules say of them (trade, watch, halt).";
    GATE_KEYS_FORGOTTEN_TOTAL = "aqueduct_gate_keys_forgotten_total",
        "Keys a quality gate has forgotten because it knew as many as it may.";
    GATE_MISSED_RECORDS_TOTAL = "aqueduct_gate_missed_records_total",
        "Records a quality gate was not given because it lagged.";
    QUALITY_VIOLATIONS_TOTAL = "aqueduct_quality_violations_total",
        "Rows that broke a rule of a quality gate, by rule.";
    CONFIG_GENERATION = "aqueduct_config_generation",
        "Rises by one with each topology applied; 1 since the start.";
    BUILD_INFO = "aqueduct_build_info",
        "1, with the version as a label.";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn names_are_ours_unique_and_explained() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|metric| metric.name.starts_with("aqueduct_") && metric.help.ends_with('.')));
    }
}
