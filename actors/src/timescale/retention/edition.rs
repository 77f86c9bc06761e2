//! What the server's edition of TimescaleDB can do by itself, and the SQL that asks it to.
//!
//! Pure: the edition is read elsewhere. Compression is the server's own work, or nobody's.

use crate::timescale::TableName;
use std::time::Duration;

/// The editions, by `timescaledb.license`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// Hypertables and `drop_chunks`; no compression, no policies.
    Apache,
    /// With compression and policies.
    Timescale,
}

impl Edition {
    /// Of the setting's value. What is not known has the least.
    pub fn of(license: &str) -> Self {
        if license == "timescale" { Self::Timescale } else { Self::Apache }
    }

    /// The setting's value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Apache => "apache",
            Self::Timescale => "timescale",
        }
    }

    /// Whether it compresses chunks.
    pub fn compresses(self) -> bool {
        self == Self::Timescale
    }
}

/// Has the server compress chunks of `table` once they are so old, where its edition can; fit for a migration.
pub(in crate::timescale) fn compress(table: &TableName, after: Duration) -> String {
    let quoted = table.to_string().replace('\'', "''");
    format!(
        "-- Compression (`compress_after`), where the server's edition of TimescaleDB has it; elsewhere nothing is done.\n\
         DO $compress$\nBEGIN\n    IF current_setting('timescaledb.license', true) = '{}' THEN\n        \
         ALTER TABLE {table} SET (timescaledb.compress);\n        \
         PERFORM add_compression_policy('{quoted}', INTERVAL '{}', if_not_exists => true);\n    \
         END IF;\nEND\n$compress$;\n",
        Edition::Timescale.word(),
        interval(after)
    )
}

/// `1 day`, as PostgreSQL reads it: in the largest unit that divides it.
pub fn interval(value: Duration) -> String {
    const UNITS: [(u128, &str); 4] =
        [(86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second")];
    let micros = value.as_micros();
    match UNITS.iter().find(|(unit, _)| micros.is_multiple_of(*unit)) {
        Some((unit, word)) => {
            let count = micros / unit;
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        }
        None => format!("{micros} microseconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_edition_that_can_compress_is_asked_to() {
        assert!(Edition::of("timescale").compresses());
        for license in ["apache", "", "something new"] {
            assert!(!Edition::of(license).compresses(), "{license}");
        }
        let sql = compress(&TableName::parse("market.tr'ades").unwrap(), Duration::from_secs(7 * 86_400));
        let asked = "IF current_setting('timescaledb.license', true) = 'timescale' THEN";
        let policy =
            r#"add_compression_policy('"market"."tr''ades"', INTERVAL '7 days', if_not_exists => true)"#;
        assert!(sql.contains(asked) && sql.contains(policy), "{sql}");
        assert!(sql.contains(r#"ALTER TABLE "market"."tr'ades" SET (timescaledb.compress);"#), "{sql}");
    }

    #[test]
    fn an_interval_is_in_the_largest_unit_that_divides_it() {
        let of = |seconds| interval(Duration::from_secs(seconds));
        assert_eq!(
            [of(86_400), of(3600 * 36), of(90), of(120)],
            ["1 day", "36 hours", "90 seconds", "2 minutes"]
        );
        assert_eq!(interval(Duration::from_micros(1_500_000)), "1500000 microseconds");
    }
}
