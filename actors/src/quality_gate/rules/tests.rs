//! Each rule: what breaks it, what does not, and for how long it is held against the key.

use super::*;
use aqueduct_topology::model::{BandRule, CountRule, CrossedRule, FrozenRule, LateRule};
use aqueduct_topology::{Span, Spanned};
use std::time::Duration;

const SECOND: i64 = 1_000_000;

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::default())
}

fn named(name: &str) -> Spanned<String> {
    spanned(name.to_owned())
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A key under the rules that `set` sets, with a window of 8 s; shares are judged from 10 rows on.
struct Case {
    rules: Rules,
    state: State,
    now_us: i64,
}

impl Case {
    fn of(set: impl FnOnce(&mut GateRules)) -> Self {
        let mut rules = GateRules { stale_after: secs(3600), ..GateRules::default() };
        set(&mut rules);
        let rules = Rules::new(&rules, secs(8), 10);
        let state = rules.begin(0);
        Self { rules, state, now_us: 0 }
    }

    fn wait(&mut self, us: i64) -> &mut Self {
        self.now_us += us;
        self
    }

    /// Whether the row breaks `rule`.
    fn row(&mut self, rule: usize, row: Row) -> bool {
        let broken = self.rules.observe(&mut self.state, self.now_us, &row);
        broken.rules().any(|broken| broken == rule)
    }

    fn finding(&mut self, rule: usize) -> Finding {
        let mut findings = Vec::new();
        self.rules.judge(&mut self.state, self.now_us, &mut findings);
        *findings.iter().find(|finding| finding.rule == rule).expect("the rule is there")
    }

    fn used(&mut self, rule: usize) -> f64 {
        self.finding(rule).used
    }
}

#[test]
fn a_silence_uses_up_its_limit_and_a_row_ends_it() {
    let mut case = Case::of(|rules| rules.stale_after = secs(5));
    case.row(STALE, Row::default());
    assert_eq!(case.wait(2_500_000).used(STALE), 0.5);
    assert!(case.wait(2_499_999).used(STALE) < 1.0);
    assert!(case.wait(1).used(STALE) >= 1.0);
    assert_eq!(case.finding(STALE).figure.to_string(), "nothing for 5.0 s");
    case.row(STALE, Row::default());
    assert_eq!(case.used(STALE), 0.0);
}

fn counted(limit: u32) -> Option<CountRule> {
    Some(CountRule { field: named("id"), limit })
}

fn gap(number: i64, run: u32) -> Row {
    Row { gap: Some(number), run, ..Row::default() }
}

#[test]
fn every_number_left_out_is_counted_for_a_window() {
    let mut case = Case::of(|rules| rules.gap = counted(4));
    let broken: Vec<bool> = [7, 8, 10, 11, 14].map(|number| case.row(GAP, gap(number, 0))).to_vec();
    assert_eq!(broken, [false, false, true, false, true]);
    assert_eq!((case.finding(GAP).count, case.used(GAP)), (3, 0.75));
    assert!(!case.row(GAP, gap(13, 0)), "it comes late; that it was left out stays counted");
    assert!(case.row(GAP, gap(16, 0)));
    assert_eq!(case.used(GAP), 1.0);
    assert_eq!(case.wait(9 * SECOND).used(GAP), 0.0, "it is forgiven");
}

#[test]
fn a_hole_of_the_gates_own_making_is_no_gap() {
    let mut case = Case::of(|rules| rules.gap = counted(1));
    case.row(GAP, gap(1, 0));
    assert!(!case.row(GAP, gap(1000, 1)));
    assert!(!case.row(GAP, gap(1001, 1)));
    assert!(case.row(GAP, gap(1003, 1)));
}

#[test]
fn a_sequence_that_begins_anew_is_followed_after_a_few_rows() {
    let mut case = Case::of(|rules| (rules.gap, rules.repeat) = (counted(1), counted(100)));
    let row = |number| Row { gap: Some(number), repeat: Some(number), ..Row::default() };
    case.row(GAP, row(1_000_000));
    let repeats = (1..=20).filter(|&number| case.row(REPEAT, row(number))).count();
    assert_eq!(repeats, 8, "then it is another sequence");
    assert_eq!(case.finding(GAP).count, 0);
    assert!(case.row(GAP, row(22)));
}

#[test]
fn extremes_of_a_sequence_do_not_overflow() {
    let mut case = Case::of(|rules| rules.gap = counted(1));
    case.row(GAP, gap(i64::MIN, 0));
    assert!(case.row(GAP, gap(i64::MAX, 0)));
    assert!(case.used(GAP) >= 1.0);
}

#[test]
fn a_number_that_does_not_rise_is_a_repetition() {
    let mut case = Case::of(|rules| rules.repeat = counted(2));
    let row = |number| Row { repeat: Some(number), ..Row::default() };
    let broken: Vec<bool> = [1, 2, 2, 5, 4].map(|number| case.row(REPEAT, row(number))).to_vec();
    assert_eq!(broken, [false, false, true, false, true]);
    assert_eq!(case.used(REPEAT), 1.0);
}

#[test]
fn shares_are_judged_once_there_are_enough_rows() {
    let mut case = Case::of(|rules| rules.out_of_order = Some(spanned(0.4)));
    let row = |event_us| Row { event_us: Some(event_us), ..Row::default() };
    for step in 0..9 {
        // Every other one is behind the one before it.
        case.row(OUT_OF_ORDER, row(if step % 2 == 0 { step * 10 } else { step * 10 - 15 }));
    }
    assert_eq!(
        (case.finding(OUT_OF_ORDER).count, case.used(OUT_OF_ORDER)),
        (4, 0.0),
        "nine rows are too few"
    );
    assert!(!case.row(OUT_OF_ORDER, row(80)), "the same time is in order");
    assert_eq!(case.used(OUT_OF_ORDER), 1.0);
    assert_eq!(case.finding(OUT_OF_ORDER).figure.to_string(), "4 of 10 rows out of order");
}

#[test]
fn late_is_by_the_record_and_not_by_when_it_is_read() {
    let mut case =
        Case::of(|rules| rules.late = Some(LateRule { after: secs(2), share: 0.5, span: Span::default() }));
    let row = |age_us: i64| Row { event_us: Some(0), record_us: Some(age_us), ..Row::default() };
    let late = (0..10)
        .filter(|&step| case.row(LATE, row(if step < 5 { 2 * SECOND + 1 } else { 2 * SECOND })))
        .count();
    assert_eq!((late, case.used(LATE)), (5, 1.0));
    assert!(!case.row(LATE, Row { record_us: None, ..row(0) }), "without a record's time nothing is late");
}

#[test]
fn a_price_is_held_against_the_median_of_those_before_it() {
    let rule = BandRule { field: named("price"), within: 0.05, median_of: 16 };
    let mut case = Case::of(|rules| rules.price_band = Some(rule));
    let row = |price| Row { price: Some(price), ..Row::default() };
    assert!(!case.row(BAND, row(1.0)), "nothing is known yet");
    for _ in 0..16 {
        assert!(!case.row(BAND, row(100.0)));
    }
    assert!(!case.row(BAND, row(105.0)), "just at the limit is within");
    assert!(case.used(BAND) < 1.0);
    assert!(case.row(BAND, row(105.1)));
    assert!(case.row(BAND, row(50.0)));
    assert_eq!(case.finding(BAND).count, 2);
    assert!(case.used(BAND) >= 1.0);
    assert!(!case.row(BAND, row(100.0)), "a wrong price does not move the median");
    let followed = (0..16).filter(|_| !case.row(BAND, row(120.0))).count();
    assert!(followed >= 5, "a market that moves is followed: {followed}");
    assert!(!case.row(BAND, row(f64::NAN)));
}

#[test]
fn a_quote_is_wrong_for_as_long_as_it_stands_crossed() {
    let rule = CrossedRule { bid: named("bid"), ask: named("ask"), limit: 1 };
    let mut case = Case::of(|rules| rules.crossed = Some(rule));
    let row = |bid, ask| Row { bid: Some(bid), ask: Some(ask), ..Row::default() };
    assert!(!case.row(CROSSED, row(1.0, 1.1)));
    assert!(case.row(CROSSED, row(1.1, 1.1)), "locked");
    assert!(case.wait(60 * SECOND).used(CROSSED) >= 1.0, "nothing has come since");
    assert!(!case.row(CROSSED, row(1.0, 1.1)));
    assert_eq!(case.used(CROSSED), 0.0);
}

#[test]
fn a_value_is_frozen_by_rows_or_by_time_and_a_silence_is_not() {
    let rule = FrozenRule { field: named("price"), rows: Some(10), lasting: Some(secs(30)) };
    let mut case = Case::of(|rules| rules.frozen = Some(rule));
    let row = |value| Row { value: Some(value), ..Row::default() };
    let broken = (0..10).filter(|_| case.row(FROZEN, row(1))).count();
    assert_eq!((broken, case.used(FROZEN)), (1, 1.0), "the tenth");
    case.row(FROZEN, row(2));
    assert!(case.wait(3600 * SECOND).used(FROZEN) < 1.0, "nothing came");
    case.row(FROZEN, row(2));
    assert!(case.used(FROZEN) >= 1.0);
}

#[test]
fn only_an_event_in_the_future_of_its_record_is_a_skew() {
    let mut case = Case::of(|rules| rules.clock_skew = Some(spanned(secs(1))));
    let row = |ahead_us: i64| Row { event_us: Some(ahead_us), record_us: Some(0), ..Row::default() };
    assert!(!case.row(SKEW, row(-3600 * SECOND)));
    assert!(!case.row(SKEW, row(SECOND - 1)));
    assert!(case.used(SKEW) < 1.0);
    assert!(case.row(SKEW, row(SECOND)));
    assert_eq!((case.finding(SKEW).count, case.used(SKEW)), (1, 1.0));
    assert_eq!(case.finding(SKEW).figure.to_string(), "1.000 s ahead of its record");
}

#[test]
fn a_rate_collapses_against_its_own_history_only() {
    let mut case = Case::of(|rules| rules.rate_collapse = Some(0.1));
    for _ in 0..10 * 8 {
        (0..50).for_each(|_| assert!(!case.row(RATE, Row::default())));
        case.wait(SECOND).used(RATE);
    }
    assert!(case.used(RATE) < 0.2, "{:?}", case.finding(RATE));
    for _ in 0..9 {
        case.row(RATE, Row::default());
        case.wait(SECOND).used(RATE);
    }
    assert!(case.used(RATE) >= 1.0, "{:?}", case.finding(RATE));
    let mut slow = Case::of(|rules| rules.rate_collapse = Some(0.1));
    for _ in 0..100 {
        slow.row(RATE, Row::default());
        slow.wait(8 * SECOND).used(RATE);
    }
    assert_eq!(slow.wait(9 * SECOND).used(RATE), 0.0, "what is rare has no rate to lose");
}

#[test]
fn the_field_with_most_nulls_decides() {
    let mut case = Case::of(|rules| rules.nulls = vec![(named("a"), 0.5), (named("b"), 0.1)]);
    for row in 0..10 {
        case.row(NULLS, Row { nulls: if row == 0 { 0b11 } else { 0 }, ..Row::default() });
    }
    let finding = case.finding(NULLS);
    assert_eq!(case.rules.detail(&finding), "b null in 1 of 10 rows");
    assert_eq!(finding.used, 1.0);
}
