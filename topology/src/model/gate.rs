//! What a `quality_gate` is told: whom it judges, how often, and by which rules.
//!
//! A rule has one limit. How much of it is used decides the score (1 = nothing of it, 0 = all of it or more), so that
//! every rule speaks the same language and a verdict needs no table of thresholds.

use super::{Column, Expr, FieldType};
use crate::Spanned;
use std::time::Duration;

/// Whether verdicts are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateMode {
    /// They are: `verdict` is what the rules say.
    #[default]
    Enforce,
    /// They are tried out: `verdict` is always `trade`, and `would` is what the rules say.
    Shadow,
}

/// Options of `quality_gate`.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityGate {
    /// The fields whose values together are a key.
    pub by: Vec<Spanned<String>>,
    /// The beat on which each key's verdict is given.
    pub every: Spanned<Duration>,
    /// Whether verdicts are meant.
    pub mode: GateMode,
    /// How long what a rule saw is held against its key.
    pub window: Duration,
    /// The share of a limit from which on the verdict is `watch`.
    pub watch_at: f64,
    /// Rows in the window from which on shares are judged.
    pub rows_min: u32,
    /// Most keys remembered; beyond, the one not seen for longest is forgotten.
    pub keys_max: u32,
    /// The rules.
    pub rules: GateRules,
    /// Other rules for some keys; the first whose condition is true of a key counts.
    pub overrides: Vec<GateOverride>,
}

/// Rules of single keys.
#[derive(Clone, Debug, PartialEq)]
pub struct GateOverride {
    /// Its name, for people.
    pub name: Spanned<String>,
    /// True of the keys that have these rules; it names fields of the key alone.
    pub when: Expr,
    /// What it says itself; a `stale_after` of nothing is the gate's.
    pub rules: GateRules,
}

/// The rules of a gate; what is not there is not judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateRules {
    /// Nothing came for so long.
    pub stale_after: Duration,
    /// Numbers that a sequence leaves out.
    pub gap: Option<CountRule>,
    /// Numbers that a sequence has had.
    pub repeat: Option<CountRule>,
    /// Share of rows older than one before them.
    pub out_of_order: Option<Spanned<f64>>,
    /// Rows whose event is long past when they are recorded.
    pub late: Option<LateRule>,
    /// A value far from the median of those before it.
    pub price_band: Option<BandRule>,
    /// A bid that is not below the ask.
    pub crossed: Option<CrossedRule>,
    /// A value that does not move any more.
    pub frozen: Option<FrozenRule>,
    /// How far an event may lie in the future of its record.
    pub clock_skew: Option<Spanned<Duration>>,
    /// The share of its usual rate below which a key has collapsed.
    pub rate_collapse: Option<f64>,
    /// Share of rows in which a field may be null, by field.
    pub nulls: Vec<(Spanned<String>, f64)>,
}

impl GateRules {
    /// These, with those of `own` in the place of their namesakes.
    pub fn overridden(&self, own: &Self) -> Self {
        Self {
            stale_after: if own.stale_after.is_zero() { self.stale_after } else { own.stale_after },
            gap: own.gap.as_ref().or(self.gap.as_ref()).cloned(),
            repeat: own.repeat.as_ref().or(self.repeat.as_ref()).cloned(),
            out_of_order: own.out_of_order.as_ref().or(self.out_of_order.as_ref()).cloned(),
            late: own.late.as_ref().or(self.late.as_ref()).cloned(),
            price_band: own.price_band.as_ref().or(self.price_band.as_ref()).cloned(),
            crossed: own.crossed.as_ref().or(self.crossed.as_ref()).cloned(),
            frozen: own.frozen.as_ref().or(self.frozen.as_ref()).cloned(),
            clock_skew: own.clock_skew.as_ref().or(self.clock_skew.as_ref()).cloned(),
            rate_collapse: own.rate_collapse.or(self.rate_collapse),
            nulls: if own.nulls.is_empty() { self.nulls.clone() } else { own.nulls.clone() },
        }
    }

    /// The words of the rules that are there, in the order of the reference.
    pub fn words(&self) -> Vec<&'static str> {
        let there = [
            ("stale_after", !self.stale_after.is_zero()),
            ("gap", self.gap.is_some()),
            ("repeat", self.repeat.is_some()),
            ("out_of_order", self.out_of_order.is_some()),
            ("late", self.late.is_some()),
            ("price_band", self.price_band.is_some()),
            ("crossed", self.crossed.is_some()),
            ("frozen", self.frozen.is_some()),
            ("clock_skew", self.clock_skew.is_some()),
            ("rate_collapse", self.rate_collapse.is_some()),
            ("nulls", !self.nulls.is_empty()),
        ];
        there.into_iter().filter_map(|(word, there)| there.then_some(word)).collect()
    }

    /// A rule that compares event times, with its word and its place.
    pub(crate) fn needs_event_time(&self) -> Option<(&'static str, crate::Span)> {
        let order = self.out_of_order.as_ref().map(|rule| ("out_of_order", rule.span));
        let late = || self.late.as_ref().map(|rule| ("late", rule.span));
        let skew = || self.clock_skew.as_ref().map(|rule| ("clock_skew", rule.span));
        order.or_else(late).or_else(skew)
    }
}

/// So many within the window are too many.
#[derive(Clone, Debug, PartialEq)]
pub struct CountRule {
    /// The sequence number.
    pub field: Spanned<String>,
    /// So many.
    pub limit: u32,
}

/// See [`GateRules::late`].
#[derive(Clone, Debug, PartialEq)]
pub struct LateRule {
    /// Later than this is late.
    pub after: Duration,
    /// The share of late rows that is too much.
    pub share: f64,
    /// Where it was written.
    pub span: crate::Span,
}

/// See [`GateRules::price_band`].
#[derive(Clone, Debug, PartialEq)]
pub struct BandRule {
    /// The value; where the file names none, `price`.
    pub field: Spanned<String>,
    /// The greatest distance from the median, as a share of it.
    pub within: f64,
    /// The median is of so many values.
    pub median_of: u32,
}

/// See [`GateRules::crossed`].
#[derive(Clone, Debug, PartialEq)]
pub struct CrossedRule {
    /// What somebody pays.
    pub bid: Spanned<String>,
    /// What somebody asks for.
    pub ask: Spanned<String>,
    /// So many within the window are too many.
    pub limit: u32,
}

/// See [`GateRules::frozen`].
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenRule {
    /// The value.
    pub field: Spanned<String>,
    /// Alike in so many rows.
    pub rows: Option<u32>,
    /// Or for so long, while rows come.
    pub lasting: Option<Duration>,
}

/// When the verdict was given: the gate's clock.
pub const GATE_AT: &str = "at";
/// `trade`, `watch` or `halt`.
pub const GATE_VERDICT: &str = "verdict";
/// 1 = nothing is wrong, 0 = a limit is reached.
pub const GATE_SCORE: &str = "score";
/// The rule that decided, with its figure.
pub const GATE_REASON: &str = "reason";
/// What the verdict is, or in shadow mode would be.
pub const GATE_WOULD: &str = "would";
/// Since when it has been that.
pub const GATE_SINCE: &str = "since";

/// The fields that a gate adds to those of its key.
pub const GATE_FIELDS: [(&str, FieldType); 6] = [
    (GATE_AT, FieldType::Timestamp),
    (GATE_VERDICT, FieldType::Text),
    (GATE_SCORE, FieldType::Float64),
    (GATE_REASON, FieldType::Text),
    (GATE_WOULD, FieldType::Text),
    (GATE_SINCE, FieldType::Timestamp),
];

impl QualityGate {
    /// The rules of every key, one set for each override, then the gate's own.
    pub fn rule_sets(&self) -> impl Iterator<Item = GateRules> {
        let overridden = self.overrides.iter().map(|one| self.rules.overridden(&one.rules));
        overridden.chain([self.rules.clone()])
    }

    /// The columns of a verdict, where the rows it judges have the columns `input`.
    pub fn columns(&self, input: &[Column]) -> Vec<Column> {
        let key = self.by.iter().filter_map(|name| {
            let column = input.iter().find(|column| column.name == name.value)?;
            Some(Column { nullable: false, ..column.clone() })
        });
        let added = GATE_FIELDS.iter().map(|(name, kind)| Column {
            name: (*name).to_owned(),
            kind: *kind,
            nullable: false,
        });
        key.chain(added).collect()
    }
}
