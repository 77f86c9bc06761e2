//! The gate as an actor: what it reads it settles, what it says it says on its beat, and it speaks only of what is its own.

use super::columns::KeyValue;
use super::evidence::Evidence;
use super::judge::{Judge, Moment};
use super::partitions::Partitions;
use crate::json::rows::Rows;
use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
use aqueduct_engine::{Batch, Origin, PartitionKey, RawRecords};
use aqueduct_topology::model::{CountRule, Expr, GateMode, GateOverride, GateRules, QualityGate};
use aqueduct_topology::{Span, Spanned};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn named(name: &str) -> Spanned<String> {
    Spanned::new(name.to_owned(), Span::default())
}

fn gate(mode: GateMode, keys_max: u32) -> QualityGate {
    QualityGate {
        by: vec![named("symbol")],
        every: Spanned::new(Duration::from_secs(1), Span::default()),
        mode,
        window: Duration::from_secs(10),
        watch_at: 0.5,
        rows_min: 10,
        keys_max,
        rules: GateRules {
            stale_after: Duration::from_secs(4),
            gap: Some(CountRule { field: named("id"), limit: 1 }),
            ..GateRules::default()
        },
        overrides: Vec::new(),
    }
}

fn judge(gate: &QualityGate) -> Judge {
    Judge::new("gate".into(), gate, None, BTreeSet::new())
}

/// Rows of one message each, from offset `first` of `partition` on.
fn batch(partition: i32, first: i64, rows: &[(&str, i64)]) -> Batch {
    let offsets: Vec<i64> = (first..first + rows.len() as i64).collect();
    let raw = RawRecords {
        offsets: offsets.clone().into(),
        keys: BinaryArray::from(vec![None::<&[u8]>; rows.len()]),
        values: BinaryArray::from(vec![Some(&b"{}"[..]); rows.len()]),
        times_ms: Int64Array::from(vec![0; rows.len()]),
        headers: None,
    };
    let key = PartitionKey { source: "ticks".into(), topic: "md".into(), partition };
    let next = first + rows.len() as i64;
    let schema = with_hidden_columns([
        Field::new("symbol", DataType::Utf8, false),
        Field::new("id", DataType::Int64, false),
    ]);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
    ];
    columns.extend(hidden_columns(offsets, vec![0; rows.len()]));
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    Batch::raw(Origin { key, epoch: 1, first, next }, raw).with_rows(rows)
}

fn at(seconds: i64) -> Moment {
    Moment { now_us: seconds * 1_000_000, wall_us: 1_000_000_000 + seconds * 1_000_000 }
}

fn observe(judge: &mut Judge, partitions: &mut Partitions, batch: &Batch, moment: Moment) {
    let given = partitions.given(&batch.origin);
    judge.observe(batch, &given, moment).unwrap();
}

/// Symbol, verdict, what it would be; by symbol.
fn verdicts(
    judge: &mut Judge,
    partitions: &Partitions,
    moment: Moment,
) -> Vec<(String, &'static str, &'static str)> {
    let given = judge.give(moment, partitions, |_| true);
    let symbol = |key: &[KeyValue]| match &key[0] {
        KeyValue::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    let mut verdicts: Vec<_> =
        given.into_values().flatten().map(|one| (symbol(&one.key), one.verdict, one.would)).collect();
    verdicts.sort();
    verdicts
}

#[test]
fn each_key_has_its_own_verdict_and_a_silent_one_goes_by_watch_to_halt() {
    let (mut judge, mut partitions) = (judge(&gate(GateMode::Enforce, 10)), Partitions::default());
    observe(&mut judge, &mut partitions, &batch(0, 0, &[("A", 1), ("B", 1), ("B", 3), ("A", 2)]), at(0));
    let of =
        |word: &'static str, other: &'static str| vec![("A".into(), word, word), ("B".into(), other, other)];
    assert_eq!(verdicts(&mut judge, &partitions, at(1)), of("trade", "halt"));
    assert_eq!(verdicts(&mut judge, &partitions, at(2)), of("watch", "halt"));
    assert_eq!(verdicts(&mut judge, &partitions, at(4)), of("halt", "halt"));
    observe(&mut judge, &mut partitions, &batch(0, 4, &[("A", 3)]), at(5));
    assert_eq!(verdicts(&mut judge, &partitions, at(5)), of("trade", "halt"));
    let view = judge.view(at(5), 0);
    assert_eq!((view.keys_total, view.halted, view.watched), (2, 1, 0));
    assert_eq!(view.keys[0].label, "B", "the worst first");
    assert_eq!(view.keys[0].evidence.len(), 1);
    assert_eq!(view.keys[0].evidence[0].row["id"], 3);
    assert_eq!(view.violations["gap"], 1);
}

#[test]
fn in_shadow_mode_the_verdict_is_trade_and_would_tells() {
    let (mut judge, mut partitions) = (judge(&gate(GateMode::Shadow, 10)), Partitions::default());
    observe(&mut judge, &mut partitions, &batch(0, 0, &[("A", 1), ("A", 3)]), at(0));
    assert_eq!(verdicts(&mut judge, &partitions, at(1)), [("A".into(), "trade", "halt")]);
}

#[test]
fn what_was_passed_over_is_no_gap_and_is_counted() {
    let (mut judge, mut partitions) = (judge(&gate(GateMode::Enforce, 10)), Partitions::default());
    observe(&mut judge, &mut partitions, &batch(0, 0, &[("A", 1)]), at(0));
    observe(&mut judge, &mut partitions, &batch(0, 10, &[("A", 11)]), at(1));
    assert_eq!(verdicts(&mut judge, &partitions, at(1)), [("A".into(), "trade", "trade")]);
    assert_eq!(partitions.missed(), 9);
}

#[test]
fn a_partition_read_anew_begins_cautiously() {
    let (mut judge, mut partitions) = (judge(&gate(GateMode::Enforce, 10)), Partitions::default());
    observe(&mut judge, &mut partitions, &batch(0, 0, &[("A", 1)]), at(0));
    observe(&mut judge, &mut partitions, &batch(1, 0, &[("B", 1)]), at(0));
    let mut again = batch(0, 0, &[("C", 1)]);
    again.origin.epoch = 2;
    observe(&mut judge, &mut partitions, &again, at(1));
    let names: Vec<String> = verdicts(&mut judge, &partitions, at(1)).into_iter().map(|one| one.0).collect();
    assert_eq!(names, ["B", "C"]);
}

#[test]
fn a_million_symbols_cost_what_the_bound_says_and_the_figures_are_clear() {
    let (mut judge, mut partitions) = (judge(&gate(GateMode::Enforce, 500)), Partitions::default());
    for part in 0..100 {
        let names: Vec<String> = (0..1000).map(|index| format!("S{part}-{index}")).collect();
        let rows: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        observe(&mut judge, &mut partitions, &batch(0, part * 1000, &rows), at(0));
    }
    let view = judge.view(at(0), 0);
    assert_eq!((view.keys_total, view.keys_forgotten), (500, 99_500));
    assert_eq!(view.keys.len(), aqueduct_engine::limits::GATE_KEYS_SHOWN_MAX);
    assert_eq!(verdicts(&mut judge, &partitions, at(0)).len(), 500);
}

#[test]
fn evidence_is_bounded_by_key_and_altogether() {
    let batch = batch(0, 0, &[("quote \" and\nnewline", 1)]);
    let rows = Rows::new(&batch.rows, &BTreeSet::new()).unwrap();
    let mut evidence = Evidence::default();
    for key in 0..5_000_u32 {
        evidence.take(&key.to_be_bytes(), "gap", key.into(), (&rows, 0));
    }
    assert_eq!(evidence.len(), 2_000);
    assert!(evidence.of(&0_u32.to_be_bytes()).is_empty(), "the oldest went first");
    let newest = 4_999_u32.to_be_bytes();
    for second in 0..20 {
        evidence.take(&newest, "gap", second, (&rows, 0));
    }
    assert_eq!(evidence.of(&newest).len(), 5);
    assert_eq!(evidence.of(&newest)[0].at_us, 19, "the newest first");
    assert_eq!(evidence.of(&newest)[0].row["symbol"], "quote \" and\nnewline");
    assert!(evidence.len() <= 2_000);
}

#[test]
fn the_first_override_that_is_true_of_a_key_counts_and_says_only_what_differs() {
    let own = |name: &str, when: &str, rules: GateRules| GateOverride {
        name: named(name),
        when: Expr { text: when.to_owned(), span: Span::default() },
        rules,
    };
    let mut gate = gate(GateMode::Enforce, 10);
    gate.overrides = vec![
        own(
            "patient",
            "symbol == \"B\"",
            GateRules { stale_after: Duration::from_secs(9), ..GateRules::default() },
        ),
        own(
            "lenient",
            "symbol != \"A\"",
            GateRules { gap: Some(CountRule { field: named("id"), limit: 5 }), ..GateRules::default() },
        ),
    ];
    let (mut judge, mut partitions) = (judge(&gate), Partitions::default());
    let rows = [("A", 1), ("B", 1), ("C", 1), ("A", 4), ("B", 4), ("C", 4)];
    observe(&mut judge, &mut partitions, &batch(0, 0, &rows), at(0));
    let said = |judge: &mut Judge, partitions: &Partitions, seconds| -> Vec<&'static str> {
        verdicts(judge, partitions, at(seconds)).into_iter().map(|(_, verdict, _)| verdict).collect()
    };
    assert_eq!(
        said(&mut judge, &partitions, 1),
        ["halt", "halt", "trade"],
        "two numbers are left out; only C may lack four"
    );
    let row = [("A", 5), ("B", 5), ("C", 5)];
    observe(&mut judge, &mut partitions, &batch(0, 6, &row), at(20));
    assert_eq!(
        said(&mut judge, &partitions, 25),
        ["halt", "watch", "halt"],
        "B alone may be silent for so long"
    );
    let view = judge.view(at(25), 0);
    let mut names: Vec<_> = view.keys.iter().map(|key| (&*key.label, key.limits.as_deref())).collect();
    names.sort_unstable();
    assert_eq!(names, [("A", None), ("B", Some("patient")), ("C", Some("lenient"))]);
    assert_eq!(view.violations["gap"], 3, "what broke is counted, whoever forgives it");
}

#[test]
fn a_silence_counts_once_however_long_it_lasts() {
    let (mut judge, mut partitions) = (judge(&gate(GateMode::Enforce, 10)), Partitions::default());
    let mut counted = Vec::new();
    for (second, row) in [(0, 0), (5, 1), (10, 2)] {
        observe(&mut judge, &mut partitions, &batch(0, row, &[("A", row)]), at(second));
        for beat in second..second + 5 {
            verdicts(&mut judge, &partitions, at(beat));
        }
        counted.push(judge.view(at(second), 0).violations.get("stale_after").copied().unwrap_or(0));
    }
    assert_eq!(counted, [1, 2, 3]);
}
