//! Verdicts as text, JSON, JUnit XML or TAP; each names the seed, and how to run the same again.

use super::judge::Failure;
use super::{Format, Verdict};
use crate::output;
use anyhow::Result;
use aqueduct_topology::{Source, SourceMap, point_at, xml};
use serde_json::json;
use std::io::Write;
use std::ops::Range;

/// What a run was started with.
pub(super) struct Replay {
    pub(super) file: String,
    pub(super) seeds: Range<u64>,
}

impl Replay {
    /// The command that runs the same again.
    fn command(&self, verdict: &Verdict) -> String {
        let name = verdict.name.replace('\'', r"'\''");
        format!(
            "aqueduct test '{}' --filter '{name}' --seed {}",
            self.file.replace('\'', r"'\''"),
            verdict.seed
        )
    }

    /// `seed 7`, `seeds 7 to 31`.
    fn seeds(&self) -> String {
        match self.seeds.end - self.seeds.start {
            0 | 1 => format!("seed {}", self.seeds.start),
            _ => format!("seeds {} to {}", self.seeds.start, self.seeds.end - 1),
        }
    }
}

pub(super) fn print(source: &Source, verdicts: &[Verdict], replay: &Replay, format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => text(source, verdicts, replay, &mut out),
        Format::Json => as_json(source, verdicts, replay, &mut out),
        Format::Junit => junit(source, verdicts, replay, &mut out),
        Format::Tap => tap(source, verdicts, replay, &mut out),
    }
}

fn failed(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count()
}

fn text(source: &Source, verdicts: &[Verdict], replay: &Replay, out: &mut impl Write) -> Result<()> {
    for verdict in verdicts {
        if verdict.failures.is_empty() {
            writeln!(out, "ok     {}", verdict.name)?;
            continue;
        }
        writeln!(out, "FAILED {}", verdict.name)?;
        for failure in &verdict.failures {
            let colours = output::colours();
            let shown =
                point_at(source, failure.span, &failure.message, "expected here", &failure.notes, colours);
            writeln!(out, "{shown}")?;
        }
        writeln!(out, "again: {}\n", replay.command(verdict))?;
    }
    let failed = failed(verdicts);
    writeln!(out, "{} passed, {failed} failed ({})", verdicts.len() - failed, replay.seeds())?;
    Ok(())
}

fn as_json(source: &Source, verdicts: &[Verdict], replay: &Replay, out: &mut impl Write) -> Result<()> {
    let lines = SourceMap::new(&source.text);
    let failure = |failure: &Failure| {
        let at = lines.position(failure.span.start);
        json!({
            "message": failure.message, "notes": failure.notes,
            "file": source.name, "line": at.line, "column": at.column,
        })
    };
    let test = |verdict: &Verdict| {
        json!({
            "name": verdict.name,
            "passed": verdict.failures.is_empty(),
            "seed": verdict.seed,
            "runs": verdict.runs,
            "seconds": verdict.seconds,
            "failures": verdict.failures.iter().map(failure).collect::<Vec<_>>(),
        })
    };
    let failed = failed(verdicts);
    let whole = json!({
        "file": source.name,
        "seed": replay.seeds.start,
        "seeds": replay.seeds.end - replay.seeds.start,
        "passed": verdicts.len() - failed,
        "failed": failed,
        "tests": verdicts.iter().map(test).collect::<Vec<_>>(),
    });
    writeln!(out, "{}", serde_json::to_string_pretty(&whole)?)?;
    Ok(())
}

/// `file:line:column: message`, and what was seen on lines of its own.
fn plain(source: &Source, failure: &Failure) -> String {
    let at = SourceMap::new(&source.text).position(failure.span.start);
    let head = format!("{}:{}:{}: {}", source.name, at.line, at.column, failure.message);
    std::iter::once(head).chain(failure.notes.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn junit(source: &Source, verdicts: &[Verdict], replay: &Replay, out: &mut impl Write) -> Result<()> {
    let failed = failed(verdicts);
    let seed = |indent: &str, seed: u64| {
        format!("{indent}<properties><property name=\"seed\" value=\"{seed}\"/></properties>")
    };
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let name = escaped(&source.name);
    writeln!(out, r#"<testsuite name="{name}" tests="{}" failures="{failed}">"#, verdicts.len())?;
    writeln!(out, "{}", seed("  ", replay.seeds.start))?;
    for verdict in verdicts {
        let (case, seconds) = (escaped(&verdict.name), verdict.seconds);
        write!(out, r#"  <testcase classname="{name}" name="{case}" time="{seconds:.3}""#)?;
        if verdict.failures.is_empty() {
            writeln!(out, "/>")?;
            continue;
        }
        writeln!(out, ">\n{}", seed("    ", verdict.seed))?;
        for failure in &verdict.failures {
            let (message, whole) = (escaped(&failure.message), escaped(&plain(source, failure)));
            writeln!(out, r#"    <failure message="{message}">{whole}</failure>"#)?;
        }
        writeln!(out, "    <system-out>{}</system-out>", escaped(&replay.command(verdict)))?;
        writeln!(out, "  </testcase>")?;
    }
    writeln!(out, "</testsuite>")?;
    Ok(())
}

/// Text for XML; what XML cannot hold at all becomes a replacement character.
fn escaped(text: &str) -> String {
    xml::escaped(text, |control| match control {
        '\n' => "&#10;",
        '\t' => " ",
        _ => "\u{fffd}",
    })
}

fn tap(source: &Source, verdicts: &[Verdict], replay: &Replay, out: &mut impl Write) -> Result<()> {
    writeln!(out, "TAP version 13\n1..{}\n# {}", verdicts.len(), replay.seeds())?;
    for (index, verdict) in verdicts.iter().enumerate() {
        // `#` would begin a directive.
        let name = verdict.name.replace('#', "\\#").replace('\n', " ");
        let word = if verdict.failures.is_empty() { "ok" } else { "not ok" };
        writeln!(out, "{word} {} - {name}", index + 1)?;
        for failure in &verdict.failures {
            for line in plain(source, failure).lines() {
                writeln!(out, "# {line}")?;
            }
        }
        if !verdict.failures.is_empty() {
            writeln!(out, "# again: {}", replay.command(verdict))?;
        }
    }
    Ok(())
}
