//! Which SQLSTATE or socket error means what for what happens next, and what somebody should do about it.
//!
//! Deliberately absent: retries. The class alone decides, elsewhere.

use crate::tls;
use aqueduct_engine::{Class, Error};
use tokio_postgres::error::SqlState;

/// The class of a SQLSTATE.
pub fn class_of_state(state: &str) -> Class {
    match state {
        // A trigger of the user's refused the row; the row, or its entry in an index, is too large.
        "P0001" | "54000" => Class::Data,
        // Serialization, deadlock, lock not available, demoted to a standby, statement or connection cut.
        "40001" | "40P01" | "55P03" | "25006" | "53300" | "25P03" | "25P04" | "57014" | "55006" => {
            Class::Transient
        }
        "57P04" | "XX001" | "XX002" | "42501" | "0A000" | "0LP01" | "3D000" | "3F000" => Class::Config,
        // A value's bytes do not fit its binary format: our encoder's fault.
        "22P03" => Class::Bug,
        _ => match &state[..2.min(state.len())] {
            "08" | "57" | "40" => Class::Transient,
            // An internal error of the server is met when a chunk is dropped under a writer; it is not our crash.
            "XX" => Class::Transient,
            "53" | "58" => Class::Capacity,
            "21" | "22" | "23" | "44" => Class::Data,
            "28" | "42" | "2B" | "F0" | "TS" => Class::Config,
            _ => Class::Bug,
        },
    }
}

/// `error`, met while `doing` something, as an error that knows its class and says what to do.
pub fn classify(doing: &str, error: &tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        return without_state(doing, error);
    };
    let state = db.code().code();
    let class = class_of_state(state);
    let detail = db.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let remedy = remedy(db.code()).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Error::new(class, format!("{doing}: {} (SQLSTATE {state}){detail}{remedy}", db.message()))
}

/// Errors of the driver itself: sockets, TLS, login.
fn without_state(doing: &str, error: &tokio_postgres::Error) -> Error {
    let chain = chain(error);
    let class = if tls::is_refusal(error) {
        Class::Config
    } else if error.is_closed() || find_io(error) {
        Class::Transient
    } else if CONFIGURATION.iter().any(|word| chain.contains(word)) {
        Class::Config
    } else {
        Class::Bug
    };
    let remedy = match class {
        Class::Transient => "",
        _ => "; see the connection's `url`, `password_file` and `tls`",
    };
    Error::new(class, format!("{doing}: {chain}{remedy}"))
}

/// The driver has no codes for what it refuses by itself: its words for a server without TLS, a login it cannot do, a
/// password that nobody gave.
const CONFIGURATION: [&str; 4] = ["TLS", "certificate", "authentication", "invalid configuration"];

fn find_io(error: &tokio_postgres::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() != std::io::ErrorKind::InvalidData
                && io.kind() != std::io::ErrorKind::InvalidInput;
        }
        source = error.source();
    }
    false
}

/// The error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// What somebody should do.
fn remedy(state: &SqlState) -> Option<&'static str> {
    Some(match state.code() {
        "42P01" | "3F000" => {
            "create it: `aqueduct migrate new FILE` writes the migration, `aqueduct migrate up FILE` applies it"
        }
        "42703" | "42804" => {
            "bring the table in line with the topology: `aqueduct migrate new FILE` shows the columns it needs"
        }
        "42883" => "apply the engine's migrations: `aqueduct migrate up FILE`",
        "42P10" => "`unique` needs a unique index over exactly those columns",
        "28P01" | "28000" => "check user and password of the connection (`url`, `password_file`)",
        "3D000" => "create the database, or correct the connection's `url`",
        "42501" => "grant it to the connection's user; `aqueduct migrate new FILE` lists the grants",
        "0A000" => "this server or edition cannot do it",
        "25006" => "the server is read-only: a standby, or a primary that was demoted",
        "53100" => "the database's disk is full: free space; nothing is lost meanwhile",
        "53200" => "the database is out of memory; nothing is lost meanwhile",
        "53300" => "raise the server's max_connections, or lower `pool` and `parallelism`",
        "53400" => "rows for a compressed chunk: decompress it, or let `event_time.past_max` reject them",
        "55P03" => "another session holds the lock: a migration, or a writer that hangs",
        _ => return None,
    })
}

/// The condition name of a SQLSTATE: the `reason` of a dead letter, a metric label.
pub fn condition_name(state: &str) -> &'static str {
    match state {
        "21000" => "cardinality_violation",
        "22001" => "string_data_right_truncation",
        "22003" => "numeric_value_out_of_range",
        "22007" => "invalid_datetime_format",
        "22008" => "datetime_field_overflow",
        "22012" => "division_by_zero",
        "22021" => "character_not_in_repertoire",
        "22023" => "invalid_parameter_value",
        "22P02" => "invalid_text_representation",
        "22P05" => "untranslatable_character",
        "23000" => "integrity_constraint_violation",
        "23001" => "restrict_violation",
        "23502" => "not_null_violation",
        "23503" => "foreign_key_violation",
        "23505" => "unique_violation",
        "23514" => "check_violation",
        "23P01" => "exclusion_violation",
        "44000" => "with_check_option_violation",
        "54000" => "program_limit_exceeded",
        "P0001" => "raise_exception",
        _ if state.starts_with("22") => "data_exception",
        _ => "refused_by_database",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_protocol_has_its_class() {
        let table = [
            (
                Class::Transient,
                "08000 08006 57P01 57P02 57P03 40001 40P01 55P03 25006 53300 57014 25P03 XX000",
            ),
            (Class::Capacity, "53000 53100 53200 53400 58030"),
            (Class::Data, "22001 22003 22008 22021 22P02 23502 23505 23514 21000 54000 P0001"),
            (Class::Config, "42P01 42703 42804 28P01 28000 3D000 42501 0A000 42883 3F000 57P04 XX001 TS001"),
            (Class::Bug, "22P03 25P02 25001 34000 2D000"),
        ];
        for (class, states) in table {
            for state in states.split(' ') {
                assert_eq!(class_of_state(state), class, "{state}");
            }
        }
    }

    #[test]
    fn a_reason_is_a_stable_word() {
        assert_eq!(condition_name("22003"), "numeric_value_out_of_range");
        assert_eq!(condition_name("22999"), "data_exception");
        assert_eq!(condition_name("23999"), "refused_by_database");
    }
}
