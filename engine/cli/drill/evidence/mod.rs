//! The table of evidence: what is claimed, what shows it, and what came of that here and now.
//!
//! Invariant: a result is that of a run of this very call, or it says that there was none. Deliberately absent: results that
//! are kept from earlier.

mod checks;
mod scene;

use super::all::Carried;
use super::report::{Figure, cell};
use crate::output::{second, time};
use anyhow::{Context, Result};
use aqueduct_engine::Clock;
use checks::{CHECKS, Check, Finding};
use scene::Scene;
use serde::Deserialize;
use serde_json::{Value, json};

/// One claim, as `config/evidence.json` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    topic: String,
    claim: String,
    by: Vec<Proof>,
}

/// What shows a claim.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Proof {
    /// The drill of that name.
    Drill(String),
    /// A short check that is carried out beside the drills.
    Check(String),
    /// A command that takes the sources and its time; it is named, and not run.
    Command(String),
}

/// What became of one proof.
#[derive(Clone, Debug, PartialEq)]
struct Ran {
    command: String,
    at_us: i64,
    finding: Finding,
}

/// A line of the table.
#[derive(Debug, PartialEq)]
struct Line {
    topic: String,
    claim: String,
    command: String,
    /// What came of it, and when; `None` if it was not run.
    ran: Option<(i64, Finding)>,
}

/// See the module.
pub(super) struct Evidence {
    lines: Vec<Line>,
}

impl Evidence {
    /// Carries out the checks; what the drills came to is known.
    pub(super) fn gather(carried: &[Carried], i_know: bool) -> Result<Self> {
        let mut ran = check_all(i_know);
        ran.extend(
            carried.iter().map(|drill| (Proof::Drill(drill.report.name().to_owned()), of_drill(drill))),
        );
        Ok(Self {
            lines: lines(&claims()?, |proof| ran.iter().find(|(of, _)| of == proof).map(|(_, ran)| ran)),
        })
    }

    /// Whether nothing that was run speaks against a claim.
    pub(super) fn holds(&self) -> bool {
        let refuted = |line: &Line| matches!(line.ran, Some((_, Finding::Refuted(_))));
        !self.lines.iter().any(refuted)
    }

    pub(super) fn json(&self) -> Value {
        self.lines.iter().map(Line::json).collect()
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = "| topic | claim | shown by | when | result |\n|---|---|---|---|---|\n".to_owned();
        for Line { topic, claim, command, ran } in &self.lines {
            let when = ran.as_ref().map(|(at_us, _)| second(*at_us)).unwrap_or_default();
            let result = match ran {
                None => "not run here".to_owned(),
                Some((_, Finding::Shown(what))) => format!("shown: {what}"),
                Some((_, Finding::Refuted(what))) => format!("**did not hold**: {what}"),
                Some((_, Finding::Absent(why))) => format!("not run here: {why}"),
            };
            let (claim, command, result) = (cell(claim), cell(command), cell(&result));
            text.push_str(&format!("| {topic} | {claim} | `{command}` | {when} | {result} |\n"));
        }
        text
    }
}

impl Line {
    fn json(&self) -> Value {
        let (result, what) = match &self.ran {
            None => ("not_run", None),
            Some((_, Finding::Shown(what))) => ("shown", Some(what)),
            Some((_, Finding::Refuted(what))) => ("did_not_hold", Some(what)),
            Some((_, Finding::Absent(why))) => ("not_run", Some(why)),
        };
        json!({
            "topic": self.topic, "claim": self.claim, "command": self.command, "result": result, "found": what,
            "at": self.ran.as_ref().map(|(at_us, _)| time(*at_us)),
        })
    }
}

fn claims() -> Result<Vec<Claim>> {
    serde_json::from_str(aqueduct_config::EVIDENCE).context("read the claims")
}

fn lines<'a>(claims: &[Claim], ran: impl Fn(&Proof) -> Option<&'a Ran>) -> Vec<Line> {
    let line = |claim: &Claim, proof: &Proof| {
        let ran = ran(proof);
        Line {
            topic: claim.topic.clone(),
            claim: claim.claim.clone(),
            command: ran.map_or_else(|| proof.command(), |ran| ran.command.clone()),
            ran: ran.map(|ran| (ran.at_us, ran.finding.clone())),
        }
    };
    claims.iter().flat_map(|claim| claim.by.iter().map(move |proof| line(claim, proof))).collect()
}

impl Proof {
    /// What would show it.
    fn command(&self) -> String {
        match self {
            Proof::Drill(name) => format!("aqueduct drill {name}"),
            Proof::Check(name) => {
                let check = CHECKS.iter().find(|check| check.name == name);
                check.map_or(name.as_str(), |check| check.how).to_owned()
            }
            Proof::Command(command) => command.clone(),
        }
    }
}

/// Every check on a stage of its own. Where that cannot be had, each says why.
fn check_all(i_know: bool) -> Vec<(Proof, Ran)> {
    let clock = Clock::system();
    let scene = Scene::set(i_know);
    let one = |check: &Check| {
        let at_us = clock.wall_us();
        let finding = match &scene {
            Ok(scene) => {
                (check.carry_out)(scene).unwrap_or_else(|error| Finding::Refuted(format!("{error:#}")))
            }
            Err(why) => Finding::Absent(format!("{why:#}")),
        };
        (Proof::Check(check.name.to_owned()), Ran { command: check.how.to_owned(), at_us, finding })
    };
    CHECKS.iter().map(one).collect()
}

/// The figures that were held against something; of a drill that did not pass, those that did not hold.
fn of_drill(drill: &Carried) -> Ran {
    let report = &drill.report;
    let told = |pick: &dyn Fn(&Figure) -> bool| {
        let figures = report.figures().iter().filter(|figure| figure.is_bound() && pick(figure));
        figures.map(|figure| format!("{} {}", figure.name(), figure.amount())).collect::<Vec<_>>().join(", ")
    };
    let finding = match (report.passed(), report.failure()) {
        (true, _) => Finding::Shown(told(&|_| true)),
        (false, Some(why)) => Finding::Refuted(why.to_owned()),
        (false, None) => Finding::Refuted(told(&|figure| !figure.holds())),
    };
    Ran { command: drill.command.clone(), at_us: report.started_us(), finding }
}

#[cfg(test)]
mod tests {
    use super::super::procedures::PRACTISED;
    use super::super::report::{Bound, Report};
    use super::*;
    use std::collections::BTreeMap;

    /// The rows of the brief.
    const TOPICS: [&str; 13] = [
        "TimescaleDB",
        "Redis",
        "Kafka",
        "Spark",
        "supervised runtime",
        "migrations",
        "pooling",
        "rotation",
        "probes",
        "alerts",
        "drills",
        "audits",
        "sweeps",
    ];

    #[test]
    fn every_topic_has_a_proof_and_every_proof_is_one_that_there_is() {
        let claims = claims().expect("claims");
        let by: BTreeMap<&str, &[Proof]> =
            claims.iter().map(|claim| (claim.topic.as_str(), claim.by.as_slice())).collect();
        assert_eq!(by.len(), claims.len(), "a topic stands twice");
        for topic in TOPICS {
            assert!(by.get(topic).is_some_and(|proofs| !proofs.is_empty()), "{topic} is shown by nothing");
        }
        let proofs: Vec<&Proof> = claims.iter().flat_map(|claim| &claim.by).collect();
        for proof in &proofs {
            match proof {
                Proof::Drill(name) => {
                    assert!(PRACTISED.iter().any(|one| one.name == name), "no drill {name}")
                }
                Proof::Check(name) => assert!(CHECKS.iter().any(|one| one.name == name), "no check {name}"),
                Proof::Command(command) => assert!(command.starts_with("cargo "), "{command}"),
            }
        }
        for one in &PRACTISED {
            assert!(proofs.contains(&&Proof::Drill(one.name.into())), "drill {} shows nothing", one.name);
        }
        for check in &CHECKS {
            assert!(proofs.contains(&&Proof::Check(check.name.into())), "check {} shows nothing", check.name);
        }
    }

    fn carried(lost: f64) -> Carried {
        let mut report = Report::begin("restore", "t", "a");
        report.figure("rows_lost", lost, "rows", Bound::Exactly(0.0));
        report.figure("rows_total", 7.0, "rows", Bound::Free);
        report.end(None);
        Carried { command: "aqueduct drill restore --rows 9".into(), report }
    }

    fn evidence(lost: f64) -> Evidence {
        let by = ["restore", "export"].map(|name| Proof::Drill(name.into())).to_vec();
        let claim = Claim { topic: "Kafka".into(), claim: "a | b".into(), by };
        let drill = of_drill(&carried(lost));
        let restore = Proof::Drill("restore".into());
        Evidence { lines: lines(&[claim], |proof| (*proof == restore).then_some(&drill)) }
    }

    #[test]
    fn what_was_run_is_told_with_its_figures_and_what_was_not_is_told_as_such() {
        let evidence = evidence(0.0);
        let page = evidence.markdown();
        assert!(page.contains("| `aqueduct drill restore --rows 9` | 20"), "{page}");
        assert!(page.contains("| shown: rows_lost 0 rows |"), "{page}");
        assert!(page.contains("| Kafka | a \\| b | `aqueduct drill export` |  | not run here |"), "{page}");
        assert!(evidence.holds());
        assert_eq!(evidence.json()[1]["result"], "not_run");
    }

    #[test]
    fn a_drill_that_did_not_pass_speaks_against_the_claim_by_the_figures_that_did_not_hold() {
        let evidence = evidence(1.0);
        assert!(evidence.markdown().contains("| **did not hold**: rows_lost 1 rows |"));
        assert!(!evidence.holds());
        assert_eq!(evidence.json()[0]["result"], "did_not_hold");
    }
}
