//! The core of a gate: rows in, verdicts out. No link, no claim, no clock: both times are passed.

use super::columns::{Columns, KeyColumns};
use super::evidence::Evidence;
use super::key::Key;
use super::limits::Limits;
use super::output::Given;
use super::partitions::{Continuation, Partitions, Place};
use super::rules::{Finding, WORDS};
use super::table::Table;
use super::verdict::{Verdict, reason, worst};
use crate::json::rows::Rows;
use aqueduct_engine::limits::GATE_KEYS_SHOWN_MAX;
use aqueduct_engine::quality::{GateView, KeyView, RuleView};
use aqueduct_engine::{Batch, Error};
use aqueduct_topology::model::{GateMode, QualityGate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A moment: by a clock that never goes back, and by the wall's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now_us: i64,
    pub(super) wall_us: i64,
}

/// See the module.
pub(super) struct Judge {
    gate: QualityGate,
    name: Arc<str>,
    fields: Vec<Arc<str>>,
    event_time: Option<String>,
    json: BTreeSet<String>,
    limits: Limits,
    keys: Table<Key>,
    evidence: Evidence,
    violations: [u64; WORDS.len()],
}

impl Judge {
    pub(super) fn new(
        name: Arc<str>,
        gate: &QualityGate,
        event_time: Option<&str>,
        json: BTreeSet<String>,
    ) -> Self {
        Self {
            name,
            fields: gate.by.iter().map(|field| field.value.as_str().into()).collect(),
            event_time: event_time.map(str::to_owned),
            json,
            limits: Limits::new(gate),
            keys: Table::new(gate.keys_max as usize),
            evidence: Evidence::default(),
            violations: [0; WORDS.len()],
            gate: gate.clone(),
        }
    }

    /// Takes the rows of a batch in.
    pub(super) fn observe(
        &mut self,
        batch: &Batch,
        place: &Continuation,
        moment: Moment,
    ) -> Result<(), Error> {
        if place.anew {
            self.forget(|home| home != place.place);
        }
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        self.limits.prepare(&batch.rows)?;
        let limits = &self.limits;
        let keys = KeyColumns::of(batch, &self.gate)?;
        let mut columns: Vec<Option<Columns>> = (0..limits.len()).map(|_| None).collect();
        let mut shown: Option<Rows> = None;
        let mut bytes = Vec::new();
        for index in 0..batch.rows.num_rows() {
            if !keys.write(index, &mut bytes) {
                continue;
            }
            let key = self.keys.seen(&bytes, |bytes| {
                let of_key = limits.of(&batch.rows, index);
                let state = limits.rules(of_key).begin(moment.now_us);
                Key::new(bytes.clone(), keys.values(index), (place.place, moment.wall_us), (of_key, state))
            });
            (key.home, key.seen_us) = (place.place, moment.wall_us);
            let rules = limits.rules(key.limits);
            let columns = match &mut columns[usize::from(key.limits)] {
                Some(columns) => columns,
                none => none.insert(Columns::of(batch, rules.said(), self.event_time.as_deref())?),
            };
            let row = columns.row(index, place.run);
            let broken = rules.observe(&mut key.state, moment.now_us, &row);
            if !broken.any() {
                continue;
            }
            for rule in broken.rules() {
                self.violations[rule] += 1;
                if !key.may_sample(rule, moment.now_us) {
                    continue;
                }
                let shown = match &mut shown {
                    Some(shown) => shown,
                    none => none.insert(Rows::new(&batch.rows, &self.json)?),
                };
                self.evidence.take(&bytes, WORDS[rule], moment.wall_us, (shown, index));
            }
        }
        Ok(())
    }

    /// Forgets the keys whose home does not stay.
    pub(super) fn forget(&mut self, stays: impl Fn(Place) -> bool) {
        self.keys.retain(|key| stays(key.home));
    }

    /// The numbers of the partitions that there is something to say of.
    pub(super) fn spoken_of(&self, partitions: &Partitions) -> BTreeSet<i32> {
        self.keys.values().map(|key| partitions.number(key.home)).collect()
    }

    /// Judges every key, and gives the verdicts of those whose partition `speaks` is true of.
    pub(super) fn give(
        &mut self,
        moment: Moment,
        partitions: &Partitions,
        speaks: impl Fn(i32) -> bool,
    ) -> BTreeMap<i32, Vec<Given>> {
        let mut given: BTreeMap<i32, Vec<Given>> = BTreeMap::new();
        let mut findings = Vec::new();
        for key in self.keys.values_mut() {
            let rules = self.limits.rules(key.limits);
            rules.judge(&mut key.state, moment.now_us, &mut findings);
            for finding in findings.iter().filter(|finding| finding.is_of_silence()) {
                self.violations[finding.rule] += u64::from(key.fell_silent(finding));
            }
            let worst = worst(&findings);
            let verdict = Verdict::of(worst.map_or(0.0, |worst| worst.used), self.gate.watch_at);
            if verdict != key.verdict {
                (key.verdict, key.since_us) = (verdict, moment.wall_us);
            }
            let partition = partitions.number(key.home);
            if !speaks(partition) {
                continue;
            }
            let meant = if self.gate.mode == GateMode::Shadow { Verdict::Trade } else { verdict };
            given.entry(partition).or_default().push(Given {
                key: key.values.clone(),
                verdict: meant.word(),
                would: verdict.word(),
                score: score(worst),
                reason: reason(rules, verdict, worst),
                since_us: key.since_us,
            });
        }
        given
    }

    /// What people see of it.
    pub(super) fn view(&mut self, moment: Moment, records_missed: u64) -> GateView {
        let mut findings = Vec::new();
        let (mut halted, mut watched) = (0, 0);
        let mut places: Vec<(f64, usize)> = Vec::with_capacity(self.keys.len());
        for (index, key) in self.keys.values_mut().enumerate() {
            self.limits.rules(key.limits).judge(&mut key.state, moment.now_us, &mut findings);
            places.push((score(worst(&findings)), index));
            halted += u64::from(key.verdict == Verdict::Halt);
            watched += u64::from(key.verdict == Verdict::Watch);
        }
        if places.len() > GATE_KEYS_SHOWN_MAX {
            places.select_nth_unstable_by(GATE_KEYS_SHOWN_MAX, |left, right| left.0.total_cmp(&right.0));
            places.truncate(GATE_KEYS_SHOWN_MAX);
        }
        let shown: BTreeSet<usize> = places.into_iter().map(|(_, index)| index).collect();
        let mut keys = Vec::with_capacity(shown.len());
        for (_, key) in self.keys.values_mut().enumerate().filter(|(index, _)| shown.contains(index)) {
            self.limits.rules(key.limits).judge(&mut key.state, moment.now_us, &mut findings);
            keys.push(view_of(&self.fields, &self.limits, key, &findings, &self.evidence));
        }
        keys.sort_by(|left, right| {
            left.score.total_cmp(&right.score).then_with(|| left.label.cmp(&right.label))
        });
        let violations = WORDS.into_iter().zip(self.violations).filter(|(_, count)| *count > 0);
        GateView {
            gate: self.name.clone(),
            mode: self.gate.mode.word(),
            at_us: moment.wall_us,
            keys_total: self.keys.len() as u64,
            halted,
            watched,
            keys_forgotten: self.keys.forgotten(),
            records_missed,
            violations: violations.collect(),
            keys,
        }
    }
}

fn view_of(
    fields: &[Arc<str>],
    limits: &Limits,
    key: &Key,
    findings: &[Finding],
    evidence: &Evidence,
) -> KeyView {
    let rules = limits.rules(key.limits);
    let rule = |finding: &Finding| RuleView {
        rule: WORDS[finding.rule],
        score: rounded(finding.score()),
        count: finding.count,
        detail: rules.detail(finding),
    };
    let worst = worst(findings);
    KeyView {
        key: fields.iter().cloned().zip(key.values.iter().map(super::columns::KeyValue::json)).collect(),
        label: key.label(),
        limits: limits.name(key.limits),
        verdict: key.verdict.word(),
        score: score(worst),
        reason: reason(rules, key.verdict, worst),
        since_us: key.since_us,
        at_us: key.seen_us,
        rules: findings.iter().map(rule).collect(),
        evidence: evidence.of(&key.bytes),
    }
}

fn score(worst: Option<&Finding>) -> f64 {
    rounded(worst.map_or(1.0, Finding::score))
}

/// Four digits are plenty, and short in a cache.
fn rounded(score: f64) -> f64 {
    (score * 10_000.0).round() / 10_000.0
}
