//! What quality gates say, as series. Bounded by their boards: the worst keys have series of their own, the others are
//! counted.

use super::exposition::Exposition;
use super::names::{self, Metric};
use crate::actor::ActorIdentity;
use crate::quality::{GateView, KeyView};
use std::sync::Arc;

/// The verdicts, the best first.
const VERDICTS: [&str; 3] = ["trade", "watch", "halt"];

/// One series: its labels beside those of the actor, and its value.
type Line = (Vec<(&'static str, String)>, f64);

/// Writes the series of every gate.
pub(super) fn render(page: &mut Exposition, topology: &str, gates: &[(ActorIdentity, Arc<GateView>)]) {
    if gates.is_empty() {
        return;
    }
    let mut write = |metric: Metric, lines: fn(&GateView) -> Vec<Line>| {
        let mut series = page.metric(metric);
        for (actor, view) in gates {
            for (own, value) in lines(view) {
                let of_actor = [("topology", topology), ("actor", &*actor.name), ("kind", actor.kind)];
                let own = own.iter().map(|(name, text)| (*name, text.as_str()));
                series.value(&of_actor.into_iter().chain(own).collect::<Vec<_>>(), value);
            }
        }
    };
    write(names::QUALITY_SCORE, |view| {
        view.keys.iter().map(|key| (vec![("key", key.label.clone())], key.score)).collect()
    });
    write(names::GATE_VERDICT, |view| view.keys.iter().flat_map(verdicts).collect());
    write(names::GATE_KEYS, |view| {
        let trading = view.keys_total.saturating_sub(view.halted + view.watched);
        let counts = [trading, view.watched, view.halted];
        let line = |(word, count): (&str, u64)| (vec![("verdict", word.to_owned())], count as f64);
        VERDICTS.into_iter().zip(counts).map(line).collect()
    });
    write(names::GATE_KEYS_FORGOTTEN_TOTAL, |view| vec![(Vec::new(), view.keys_forgotten as f64)]);
    write(names::GATE_MISSED_RECORDS_TOTAL, |view| vec![(Vec::new(), view.records_missed as f64)]);
    write(names::QUALITY_VIOLATIONS_TOTAL, |view| {
        let rules = view.violations.iter();
        rules.map(|(rule, count)| (vec![("rule", (*rule).to_owned())], *count as f64)).collect()
    });
}

fn verdicts(key: &KeyView) -> [Line; 3] {
    VERDICTS.map(|word| {
        let labels = vec![("key", key.label.clone()), ("verdict", word.to_owned())];
        (labels, f64::from(u8::from(key.verdict == word)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_whatever_a_symbol_is_and_the_sum_is_of_all_keys() {
        let key = KeyView {
            key: Default::default(),
            label: "a\"b\n".to_owned(),
            limits: None,
            verdict: "halt",
            score: 0.25,
            reason: String::new(),
            since_us: 0,
            at_us: 0,
            rules: Vec::new(),
            evidence: Vec::new(),
        };
        let view = GateView {
            gate: "gate".into(),
            mode: "enforce",
            at_us: 0,
            keys_total: 10,
            halted: 3,
            watched: 2,
            keys_forgotten: 7,
            records_missed: 0,
            violations: [("gap", 4)].into(),
            keys: vec![key],
        };
        let actor = ActorIdentity {
            topology: "t".into(),
            name: "gate".into(),
            id: "gate".into(),
            kind: "quality_gate",
            clone: 0,
        };
        let mut page = Exposition::default();
        render(&mut page, "t", &[(actor, Arc::new(view))]);
        let text = page.finish();
        let labels = r#"topology="t",actor="gate",kind="quality_gate""#;
        for line in [
            format!(r#"aqueduct_quality_score{{{labels},key="a\"b\n"}} 0.25"#),
            format!(r#"aqueduct_gate_verdict{{{labels},key="a\"b\n",verdict="halt"}} 1"#),
            format!(r#"aqueduct_gate_keys{{{labels},verdict="trade"}} 5"#),
            format!(r#"aqueduct_gate_keys{{{labels},verdict="halt"}} 3"#),
            format!(r#"aqueduct_quality_violations_total{{{labels},rule="gap"}} 4"#),
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` in:\n{text}");
        }
    }
}
