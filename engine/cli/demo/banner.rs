//! What a demo in memory says about itself before it begins: what is real, what is not, why, and how to get the rest.

use aqueduct_stack::Missing;
use std::fmt::Write;

const WHAT: &str = "\
real      the engine with its supervisors, links and ledger; the Kafka client, source and normalizer;
          the page, /metrics and the API
not real  Kafka: librdkafka's mock broker, in this process; it keeps the newest 5 MiB of a partition
          TimescaleDB: a table in memory that keeps the newest 1,000 rows, and the offsets beside it
          Redis: hashes in memory
Nothing is left when it ends. Its rates say nothing about a real broker or database.";

/// `lacking` is what the machine lacks for the real servers; empty = memory was asked for.
pub(super) fn in_process(lacking: &[Missing]) -> String {
    let mut text = String::from("== demo in process: no Kafka, TimescaleDB or Redis ==\n");
    if !lacking.is_empty() {
        text.push_str("They cannot be started on this machine, which lacks:\n");
        for one in lacking {
            let _ = writeln!(text, "  - {one}");
        }
        text.push_str(
            "Once these are there, the same command starts them; `--in-process` leaves them out.\n",
        );
    }
    text.push_str(WHAT);
    if lacking.is_empty() {
        text.push_str("\n`aqueduct demo` without --in-process starts the real ones.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_why_and_how_to_get_the_real_ones() {
        let lacking = [Missing { what: "`java` 17".into(), remedy: "apt-get install java".into() }];
        let text = in_process(&lacking);
        assert!(text.contains("`java` 17") && text.contains("apt-get install java"), "{text}");
        assert!(text.contains("not real  Kafka"), "{text}");
        let asked = in_process(&[]);
        assert!(!asked.contains("lacks") && asked.contains("`aqueduct demo` without"), "{asked}");
    }
}
