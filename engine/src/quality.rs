//! What quality gates say of their keys, for probes, pages and metrics.
//!
//! A gate puts a whole view on its board once a beat; readers take it as it is. So reading costs a lock and no more, and
//! what one gate shows is of one moment. Invariant: a view is bounded, whatever the number of keys ([`GATE_KEYS_SHOWN_MAX`]).
//! Deliberately absent: judging, which is the kind's own.
//!
//! [`GATE_KEYS_SHOWN_MAX`]: crate::limits::GATE_KEYS_SHOWN_MAX

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One gate at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateView {
    /// The actor.
    pub gate: Arc<str>,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// When this was so, microseconds since 1970 UTC.
    pub at_us: i64,
    /// How many keys it knows.
    pub keys_total: u64,
    /// .. whose verdict is (in shadow mode: would be) `halt`.
    pub halted: u64,
    /// .. or `watch`.
    pub watched: u64,
    /// Keys it has forgotten, because it knew too many.
    pub keys_forgotten: u64,
    /// Records it was not given, because it lagged.
    pub records_missed: u64,
    /// Violations so far, by rule: the rows that broke it; of `stale_after` and `rate_collapse`, which break without a row,
    /// how often a key came to the limit.
    pub violations: BTreeMap<&'static str, u64>,
    /// The worst keys, worst first.
    pub keys: Vec<KeyView>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyView {
    /// Its fields and their values.
    pub key: BTreeMap<Arc<str>, serde_json::Value>,
    /// The values alone, for a label.
    #[serde(skip)]
    pub label: String,
    /// The override whose rules it has; the gate's own without one.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Arc<str>>,
    /// `trade`, `watch` or `halt`: what the rules say, in shadow mode too.
    pub verdict: &'static str,
    /// 1 = nothing is wrong, 0 = a limit is reached.
    pub score: f64,
    /// The rule that decided, with its figure.
    pub reason: String,
    /// Since when the verdict is that.
    pub since_us: i64,
    /// When a row of this key last came.
    pub at_us: i64,
    /// What each rule makes of it.
    pub rules: Vec<RuleView>,
    /// Rows that broke a rule: the last few.
    pub evidence: Vec<EvidenceView>,
}

/// One rule on one key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleView {
    /// Its word in the file.
    pub rule: &'static str,
    /// 1 = nothing of its limit is used, 0 = all of it.
    pub score: f64,
    /// Violations within the window.
    pub count: u64,
    /// The figure, in words.
    pub detail: String,
}

/// A row that broke a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvidenceView {
    /// When it came.
    pub at_us: i64,
    /// Which rule.
    pub rule: &'static str,
    /// The row; text where it was too long to keep whole.
    pub row: serde_json::Value,
}

/// Where one gate's view lies. Empty for every other actor.
#[derive(Debug, Default)]
pub struct QualityBoard {
    view: Mutex<Option<Arc<GateView>>>,
}

impl QualityBoard {
    /// Shows `view` from now on.
    pub fn show(&self, view: GateView) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(view));
    }

    /// Shows nothing: whoever spoke here has ended.
    pub fn clear(&self) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is shown.
    pub fn view(&self) -> Option<Arc<GateView>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What one gate says of its keys, in figures alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateTotals {
    /// The actor.
    pub gate: Arc<str>,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// How many keys it knows.
    pub keys_total: u64,
    /// .. whose verdict is (in shadow mode: would be) `halt`.
    pub halted: u64,
    /// .. or `watch`.
    pub watched: u64,
}

impl GateView {
    /// The same without any key.
    pub fn totals(&self) -> GateTotals {
        let Self { gate, mode, keys_total, halted, watched, .. } = self;
        GateTotals { gate: gate.clone(), mode, keys_total: *keys_total, halted: *halted, watched: *watched }
    }

    /// The same without its keys and their rows: what may be read without the token.
    pub fn without_payload(&self) -> Self {
        Self { keys: Vec::new(), ..self.clone() }
    }
}
