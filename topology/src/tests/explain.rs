//! Explanations of the whole library, as their snapshots show, and the rules behind them.

use super::{accepted, library};
use crate::explain::{self, Explanation};

fn explained(text: &str) -> Explanation {
    // A `temporary` actor is worth a warning, and is explained all the same.
    explain::explain(&accepted(text), 16)
}

#[test]
fn every_topology_of_the_library_is_explained_as_its_snapshot_shows() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/explain"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for text in library::ALL {
            let explanation = explained(text);
            let shown = explain::to_text(&explanation);
            for word in ["where a restart begins", "together", "what is promised"] {
                assert!(shown.contains(word), "{} does not say `{word}`", explanation.topology);
            }
            insta::assert_snapshot!(explanation.topology.as_str(), shown);
        }
    });
}

const SUPERVISED: &str = "\
topology: demo
supervisors:
  root: { strategy: one_for_all, children: [read, c] }
  read: { strategy: rest_for_one, intensity: 2, period: 1m, children: [a, n, x] }
actors:
  a: { kind: kafka_source, topic: t }
  n: { kind: normalizer, from: a, fields: { ts: { type: timestamp, expr: record_time } } }
  x: { kind: kafka_sink, from: n, topic: o, restart: temporary }
  c: { kind: redis_cache, from: n, key: k, value: [ts], order_by: ts }
";

#[test]
fn a_crash_takes_along_whom_the_strategy_names() {
    let explanation = explained(SUPERVISED);
    let crash = |name: &str| explanation.crashes.iter().find(|one| one.actor == name).expect("the actor");
    assert_eq!(crash("n").restarted, ["n"]);
    assert_eq!(crash("n").stopped_for_good, ["x"], "a temporary actor is not started again");
    assert_eq!(crash("a").restarted, ["a", "n"]);
    assert_eq!(
        crash("c").restarted,
        ["dead_letter", "a", "n", "c"],
        "one_for_all takes what is beneath its children"
    );
    assert!(crash("x").restarted.is_empty() && crash("x").escalations.is_empty());
    let steps = &crash("n").escalations;
    assert_eq!(
        (steps[0].supervisor.as_str(), steps[0].more_than, steps[0].within.as_str()),
        ("read", 2, "1m")
    );
    assert_eq!(steps[0].restarted.as_deref().map(<[String]>::len), Some(5), "{steps:?}");
    assert_eq!((steps[1].supervisor.as_str(), steps[1].restarted.is_none()), ("root", true));
}

#[test]
fn links_count_for_each_pair_of_clones_and_the_sum_is_that_of_its_parts() {
    let text = SUPERVISED.replace("from: a,", "from: a, parallelism: 3, link: { bytes: 1MiB },");
    let memory = explained(&text).memory;
    let of = |actor: &str, what: &str| {
        let found = memory.addends.iter().find(|one| one.actor == actor && one.what == what);
        found.map(|one| (one.bytes, one.times)).expect("the addend")
    };
    assert_eq!(of("n", "link from a"), (1 << 20, 3));
    assert_eq!(of("c", "link from n"), (6 << 20, 3));
    assert_eq!(memory.total_bytes, memory.addends.iter().map(|one| one.bytes * one.times).sum::<u64>());
    assert_eq!(memory.per_partition_bytes, 1 << 20);
}

#[test]
fn offsets_live_where_the_topology_can_keep_them() {
    let in_kafka = explained(SUPERVISED);
    assert_eq!(in_kafka.restart_points[0].offsets_in, "Kafka's commits of group demo");
    assert_eq!(in_kafka.restart_points[0].decided_by, ["x", "c"]);
    let both = explained(library::MD_TRADES);
    assert_eq!(both.restart_points[0].offsets_in, "table aqueduct.offsets");
    let promises: Vec<(&str, &str)> =
        both.sinks.iter().map(|sink| (sink.sink.as_str(), sink.guarantee)).collect();
    assert_eq!(promises, [("history", "exactly once"), ("last_price", "newest wins")]);
}

#[test]
fn a_budget_is_exceeded_by_one_byte_and_not_by_none() {
    let topology = accepted(SUPERVISED);
    let total = explain::memory(&topology).total_bytes;
    assert_eq!(explain::over_budget(&topology, total), None);
    let finding = explain::over_budget(&topology, total - 1).expect("a finding");
    assert!(finding.message.contains("memory_budget"), "{}", finding.message);
}
