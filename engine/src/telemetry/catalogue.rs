//! The page that explains every metric, and the same for programs, made from [`super::names`].

use super::names::{ALL, Kind, Metric, Scope};
use crate::limits::{FIGURE_SERIES_MAX, LABEL_BYTES_MAX, SERIES_PARTITIONS_MAX};
use serde_json::{Value, json};
use std::fmt::Write;

/// `engine/docs/metrics.md`.
pub fn markdown() -> String {
    let mut page = format!(
        "# Metrics\n\
         \n\
         What `/metrics` of a node tells, in Prometheus' text format. This page is made by `aqueduct schema --of metrics \
         --format markdown`; a test\n\
         keeps it current. Names, kinds and labels are a contract: changing one is a breaking change.\n\
         \n\
         The page is written from memory at the time of the scrape, so it is answered while every server is away, and a series \
         disappears\n\
         with what it describes: an actor that a reload removed, a partition that another node has.\n\
         \n\
         - **Budget.** {SERIES_PARTITIONS_MAX} partitions have series of their own, for lag those furthest behind; the others of \
         a source are\n  \
           summed (for seconds: the oldest) under `partition=\"other\"`, and `aqueduct_folded_partitions` says how many they \
         are. An actor\n  \
           shows {FIGURE_SERIES_MAX} series of a metric of its own; `aqueduct_full_metrics` says for how many metrics either was not enough. \
         Labels are cut\n  \
           after {LABEL_BYTES_MAX} bytes.\n\
         - **Nodes.** A partition is told by the node that has it; while nobody has it, by every node that knows of it. Take \
         `max by (topic,\n  \
           partition)` before a sum over nodes.\n\
         - **Lag** is counted in offsets, from the last stable offset: markers of transactions, and records of aborted ones, \
         are in it until\n  \
           they are passed, and not at the end. `aqueduct_lag_sample_age_seconds` says how far to trust it: it grows while the \
         broker or the\n  \
           database does not answer.\n"
    );
    for (scope, title) in [
        (Scope::Partition, "Of a partition"),
        (Scope::Actor, "Of an actor"),
        (Scope::Topology, "Of the topology and its stores"),
        (Scope::Process, "Of the process"),
    ] {
        let labels: Vec<String> = scope.labels().iter().map(|label| format!("`{label}`")).collect();
        let with = if labels.is_empty() { String::new() } else { format!(" Labels: {}.", labels.join(", ")) };
        let _ = write!(page, "\n## {title}\n\n");
        if !with.is_empty() {
            let _ = write!(page, "{}\n\n", with.trim_start());
        }
        page.push_str("| metric | kind | unit | further labels | what it says |\n|---|---|---|---|---|\n");
        ALL.iter().filter(|metric| metric.scope == scope).for_each(|metric| row(&mut page, metric));
    }
    page.push_str("\n## Bounds of the histograms\n\n| metric | upper bounds |\n|---|---|\n");
    for metric in ALL.iter().filter(|metric| matches!(metric.kind, Kind::Histogram(_))) {
        let bounds: Vec<String> = metric.kind.bounds().iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "| `{}` | {} |", metric.name, bounds.join(", "));
    }
    page
}

fn row(page: &mut String, metric: &Metric) {
    let own: Vec<String> = metric.own_labels.iter().map(|label| format!("`{label}`")).collect();
    let Metric { name, unit, help, .. } = metric;
    let _ = writeln!(page, "| `{name}` | {} | {unit} | {} | {help} |", metric.kind.as_str(), own.join(", "));
}

/// The same for programs.
pub fn json() -> Value {
    let metric = |metric: &Metric| {
        json!({
            "name": metric.name,
            "kind": metric.kind,
            "unit": metric.unit,
            "labels": metric.labels().collect::<Vec<_>>(),
            "bounds": metric.kind.bounds(),
            "help": metric.help,
        })
    };
    ALL.iter().map(metric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_current() {
        let committed = include_str!("../../docs/metrics.md");
        assert!(
            committed == markdown(),
            "write it anew: aqueduct schema --of metrics --format markdown > engine/docs/metrics.md"
        );
    }

    #[test]
    fn programs_get_every_metric_with_all_its_labels() {
        let listed = json();
        assert_eq!(listed.as_array().unwrap().len(), ALL.len());
        let records = &listed[0];
        assert_eq!(records["labels"], json!(["topology", "actor", "kind", "topic", "partition", "fate"]));
    }
}
