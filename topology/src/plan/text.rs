//! A plan for people, in the look of terraform's.

use super::consequence::{ActorPlan, Fate, Plan};
use super::diff::{Change, Verdict};
use super::notes::Aspect;
use serde_json::Value;
use std::fmt::{self, Display, Formatter};

/// The longest value that is shown whole.
const VALUE_CHARS_MAX: usize = 100;

impl Display for Plan {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if !self.changes {
            return writeln!(out, "no changes: {} actors untouched", self.summary.untouched);
        }
        if let Some((from, to)) = &self.renamed {
            writeln!(out, "! topology  \"{from}\" -> \"{to}\"\n")?;
        }
        for part in &self.connections {
            writeln!(out, "{} connection {}", sign(part.verdict), part.name)?;
            changes(out, part.verdict, &part.changes)?;
            writeln!(out)?;
        }
        for supervisor in &self.supervisors {
            writeln!(out, "{} supervisor {}", sign(supervisor.verdict), supervisor.name)?;
            changes(out, supervisor.verdict, &supervisor.changes)?;
            for because in &supervisor.because {
                writeln!(out, "    # {because}")?;
            }
            writeln!(out)?;
        }
        for plan in self.actors.iter().filter(|actor| actor.fate != Fate::Untouched) {
            actor(out, plan)?;
        }
        notes(out, self)?;
        let untouched: Vec<&str> = self
            .actors
            .iter()
            .filter(|actor| actor.fate == Fate::Untouched)
            .map(|actor| actor.name.as_str())
            .collect();
        if !untouched.is_empty() {
            writeln!(out, "untouched: {}", untouched.join(", "))?;
        }
        let sums = self.summary;
        writeln!(
            out,
            "plan: {} to add, {} to remove, {} to change, {} to restart, {} untouched",
            sums.added, sums.removed, sums.changed, sums.restarted, sums.untouched
        )
    }
}

fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Added => '+',
        Verdict::Removed => '-',
        Verdict::Changed => '~',
    }
}

fn actor(out: &mut Formatter<'_>, actor: &ActorPlan) -> fmt::Result {
    let (verdict, what) = match actor.fate {
        Fate::Added => (Verdict::Added, "is started"),
        Fate::Removed => (Verdict::Removed, "finishes what it has, then is stopped"),
        Fate::Changed => (Verdict::Changed, "restarts"),
        Fate::Adjusted => (Verdict::Changed, "works on"),
        Fate::Restarted => (Verdict::Changed, "restarts for another's sake"),
        Fate::Untouched => return Ok(()),
    };
    writeln!(out, "{} actor {} ({}) {what}", sign(verdict), actor.name, actor.kind)?;
    changes(out, verdict, &actor.changes)?;
    for because in &actor.because {
        writeln!(out, "    # {because}")?;
    }
    writeln!(out)
}

fn changes(out: &mut Formatter<'_>, verdict: Verdict, changes: &[Change]) -> fmt::Result {
    let width = changes.iter().map(|change| change.key.len()).max().unwrap_or(0).min(40);
    for Change { key, from, to } in changes {
        match (verdict, from, to) {
            (Verdict::Changed, Some(from), Some(to)) => {
                writeln!(out, "    ~ {key:width$}  {} -> {}", shown(from), shown(to))?;
            }
            (_, _, Some(to)) => writeln!(out, "    + {key:width$}  {}", shown(to))?,
            (_, Some(from), None) => writeln!(out, "    - {key:width$}  {}", shown(from))?,
            (_, None, None) => {}
        }
    }
    Ok(())
}

/// As JSON, which escapes what a terminal would obey; cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(VALUE_CHARS_MAX).collect();
    format!("{head}..")
}

fn notes(out: &mut Formatter<'_>, plan: &Plan) -> fmt::Result {
    let mut last = None;
    for note in &plan.notes {
        if last != Some(note.aspect) {
            writeln!(out, "{}:", title(note.aspect))?;
            last = Some(note.aspect);
        }
        writeln!(out, "  {}: {}", note.actor, note.text)?;
    }
    if last.is_some() { writeln!(out) } else { Ok(()) }
}

fn title(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Problem => "problems",
        Aspect::Offsets => "offsets",
        Aspect::Order => "order",
        Aspect::Duplicates => "duplicates",
        Aspect::State => "state",
        Aspect::Migrations => "migrations",
    }
}
