//! The rules: what each remembers of a key, what it makes of a row, and what it says of the key at a moment.
//!
//! Invariant: pure. `now_us` is passed, so a test needs no sleep and a recorded hour takes a second. What a rule says is
//! how much of its limit is used: 0 = nothing, 1 = all of it, which is *halt*. What a key costs is bounded.
//! Deliberately absent: verdicts, and where rows come from.

mod band;
mod crossed;
mod frozen;
mod late;
mod nulls;
mod order;
mod rate;
mod sequence;
mod skew;
mod stale;
#[cfg(test)]
mod tests;

use super::windowed::{Window, Windowed};
use aqueduct_topology::model::GateRules;
use std::fmt::{self, Display, Formatter};

/// The words of the rules, as files write them.
pub(super) const WORDS: [&str; 11] = [
    "stale_after",
    "gap",
    "repeat",
    "out_of_order",
    "late",
    "price_band",
    "crossed",
    "frozen",
    "clock_skew",
    "rate_collapse",
    "nulls",
];

pub(super) const STALE: usize = 0;
pub(super) const GAP: usize = 1;
pub(super) const REPEAT: usize = 2;
pub(super) const OUT_OF_ORDER: usize = 3;
pub(super) const LATE: usize = 4;
pub(super) const BAND: usize = 5;
pub(super) const CROSSED: usize = 6;
pub(super) const FROZEN: usize = 7;
pub(super) const SKEW: usize = 8;
pub(super) const RATE: usize = 9;
pub(super) const NULLS: usize = 10;

/// What the rules need of one row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    /// The event time.
    pub(super) event_us: Option<i64>,
    /// When the record was written.
    pub(super) record_us: Option<i64>,
    /// The number that `gap` follows.
    pub(super) gap: Option<i64>,
    /// The number that `repeat` follows.
    pub(super) repeat: Option<i64>,
    /// The value in its band.
    pub(super) price: Option<f64>,
    pub(super) bid: Option<f64>,
    pub(super) ask: Option<f64>,
    /// Something equal for equal values.
    pub(super) value: Option<u64>,
    /// A bit for each field of `nulls` that is null.
    pub(super) nulls: u64,
    /// Rows with the same number follow each other without a gap of the gate's own making.
    pub(super) run: u32,
}

/// Which rules a row broke: a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Broken(u16);

impl Broken {
    fn add(&mut self, rule: usize, broken: bool) {
        self.0 |= u16::from(broken) << rule;
    }

    pub(super) fn any(self) -> bool {
        self.0 != 0
    }

    /// The rules, by their place in [`WORDS`].
    pub(super) fn rules(self) -> impl Iterator<Item = usize> {
        (0..WORDS.len()).filter(move |rule| self.0 & (1 << rule) != 0)
    }
}

/// What one rule says of one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finding {
    /// Its place in [`WORDS`].
    pub(super) rule: usize,
    /// The share of the limit that is used; may be above 1.
    pub(super) used: f64,
    /// Violations within the window.
    pub(super) count: u64,
    pub(super) figure: Figure,
}

impl Finding {
    /// Whether its rule breaks without a row that could be counted: what comes to its limit then counts once.
    pub(super) fn is_of_silence(&self) -> bool {
        matches!(self.rule, STALE | RATE)
    }

    /// 1 = nothing of the limit is used, 0 = all of it.
    pub(super) fn score(&self) -> f64 {
        1.0 - self.used.clamp(0.0, 1.0)
    }
}

/// The figure a rule decides by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    Silence { us: i64 },
    Missing(u64),
    Repeated(u64),
    OutOfOrder { count: u64, of: u64 },
    Late { count: u64, of: u64 },
    Distance(f64),
    Crossed { count: u64, now: bool },
    Same { rows: u64, us: i64 },
    Ahead { us: i64 },
    Rate { share: f64 },
    Nulls { field: usize, count: u64, of: u64 },
}

impl Display for Figure {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let seconds = |us: i64| us as f64 / 1e6;
        match *self {
            Self::Silence { us } => write!(out, "nothing for {:.1} s", seconds(us)),
            Self::Missing(count) => write!(out, "{count} numbers left out"),
            Self::Repeated(count) => write!(out, "{count} numbers repeated"),
            Self::OutOfOrder { count, of } => write!(out, "{count} of {of} rows out of order"),
            Self::Late { count, of } => write!(out, "{count} of {of} rows late"),
            Self::Distance(share) => write!(out, "{:.1} % from the median", share * 100.0),
            Self::Crossed { count, now: false } => write!(out, "{count} rows crossed"),
            Self::Crossed { count, now: true } => write!(out, "{count} rows crossed, the newest too"),
            Self::Same { rows, us } => write!(out, "the same in {rows} rows, for {:.1} s", seconds(us)),
            Self::Ahead { us } => write!(out, "{:.3} s ahead of its record", seconds(us)),
            Self::Rate { share } => write!(out, "{:.0} % of its usual rate", share * 100.0),
            Self::Nulls { count, of, .. } => write!(out, "null in {count} of {of} rows"),
        }
    }
}

/// What the rules of one gate go by.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    rules: GateRules,
    window: Window,
    window_us: i64,
    rows_min: u64,
}

/// What they remember of one key.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    rows: Windowed<u32>,
    stale: stale::Stale,
    gap: sequence::Sequence,
    repeat: sequence::Sequence,
    order: order::Order,
    late: Windowed<u32>,
    band: band::Band,
    crossed: crossed::Crossed,
    frozen: frozen::Frozen,
    skew: Windowed<f32>,
    skewed: Windowed<u32>,
    rate: rate::Rate,
    nulls: Box<[Windowed<u32>]>,
}

impl Rules {
    pub(super) fn new(rules: &GateRules, window: std::time::Duration, rows_min: u32) -> Self {
        Self {
            rules: rules.clone(),
            window: Window::new(window),
            window_us: micros(window),
            rows_min: u64::from(rows_min),
        }
    }

    /// As the file says them.
    pub(super) fn said(&self) -> &GateRules {
        &self.rules
    }

    /// A key that has just been seen for the first time, `now_us` by a clock that never goes back.
    pub(super) fn begin(&self, now_us: i64) -> State {
        State {
            stale: stale::Stale::at(now_us),
            rate: rate::Rate::at(now_us),
            nulls: vec![Windowed::default(); self.rules.nulls.len()].into(),
            ..State::default()
        }
    }

    /// Takes a row in, and says which rules it broke.
    pub(super) fn observe(&self, state: &mut State, now_us: i64, row: &Row) -> Broken {
        let (rules, window) = (&self.rules, self.window);
        let mut broken = Broken::default();
        state.rows.add(window, now_us, 1);
        state.stale.observe(now_us);
        if let (Some(_), Some(number)) = (&rules.gap, row.gap) {
            broken.add(GAP, state.gap.left_out(window, now_us, (number, row.run)));
        }
        if let (Some(_), Some(number)) = (&rules.repeat, row.repeat) {
            broken.add(REPEAT, state.repeat.went_back(window, now_us, (number, row.run)));
        }
        if let (Some(_), Some(event_us)) = (&rules.out_of_order, row.event_us) {
            broken.add(OUT_OF_ORDER, state.order.observe(window, now_us, event_us));
        }
        if let (Some(event_us), Some(record_us)) = (row.event_us, row.record_us) {
            if let Some(rule) = &rules.late {
                broken
                    .add(LATE, late::observe(&mut state.late, (window, now_us), rule, record_us - event_us));
            }
            if let Some(limit) = &rules.clock_skew {
                let ahead = (event_us - record_us, micros(limit.value));
                broken
                    .add(SKEW, skew::observe((&mut state.skew, &mut state.skewed), (window, now_us), ahead));
            }
        }
        if let (Some(rule), Some(price)) = (&rules.price_band, row.price) {
            broken.add(BAND, state.band.observe(window, now_us, rule, price));
        }
        if let (Some(_), Some(bid), Some(ask)) = (&rules.crossed, row.bid, row.ask) {
            broken.add(CROSSED, state.crossed.observe(window, now_us, bid, ask));
        }
        if let (Some(rule), Some(value)) = (&rules.frozen, row.value) {
            broken.add(FROZEN, state.frozen.observe(now_us, rule, value));
        }
        broken.add(NULLS, nulls::observe(&mut state.nulls, (window, now_us), row.nulls));
        broken
    }

    /// What every rule says of the key at `now_us`, in the order of [`WORDS`].
    pub(super) fn judge(&self, state: &mut State, now_us: i64, findings: &mut Vec<Finding>) {
        let (rules, window) = (&self.rules, self.window);
        findings.clear();
        let rows = state.rows.sum(window, now_us);
        let enough = rows >= self.rows_min;
        findings.push(state.stale.judge(now_us, micros(rules.stale_after)));
        findings.extend(rules.gap.as_ref().map(|rule| state.gap.judge_gap(window, now_us, rule)));
        findings.extend(rules.repeat.as_ref().map(|rule| state.repeat.judge_repeat(window, now_us, rule)));
        if let Some(limit) = &rules.out_of_order {
            findings.push(state.order.judge(window, now_us, limit.value, (rows, enough)));
        }
        if let Some(rule) = &rules.late {
            findings.push(late::judge(&state.late, (window, now_us), rule, (rows, enough)));
        }
        findings.extend(rules.price_band.as_ref().map(|rule| state.band.judge(window, now_us, rule)));
        findings.extend(rules.crossed.as_ref().map(|rule| state.crossed.judge(window, now_us, rule)));
        findings.extend(rules.frozen.as_ref().map(|rule| state.frozen.judge(rule)));
        if let Some(limit) = &rules.clock_skew {
            let seen = (&state.skew, &state.skewed);
            findings.push(skew::judge(seen, (window, now_us), micros(limit.value)));
        }
        if let Some(limit) = rules.rate_collapse {
            findings.push(state.rate.judge((now_us, self.window_us), rows, limit, self.rows_min));
        }
        if !rules.nulls.is_empty() {
            let limits = rules.nulls.iter().map(|(_, share)| *share);
            findings.push(nulls::judge(&state.nulls, (window, now_us), limits, (rows, enough)));
        }
    }

    /// What is wrong, in words.
    pub(super) fn detail(&self, finding: &Finding) -> String {
        match finding.figure {
            Figure::Nulls { field, .. } => {
                let name = self.rules.nulls.get(field).map_or("", |(name, _)| name.value.as_str());
                format!("{name} {}", finding.figure)
            }
            figure => figure.to_string(),
        }
    }
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// How much of `limit` a share of `count` in `of` rows uses.
fn used_share(count: u64, (of, enough): (u64, bool), limit: f64) -> f64 {
    if enough && of > 0 { count as f64 / of as f64 / limit } else { 0.0 }
}
