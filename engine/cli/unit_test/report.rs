//! Verdicts as text, JUnit XML or TAP.

use super::judge::Failure;
use super::{Format, Verdict};
use crate::output;
use anyhow::Result;
use aqueduct_topology::{Source, SourceMap, point_at, xml};
use std::io::Write;

pub(super) fn print(source: &Source, verdicts: &[Verdict], format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => text(source, verdicts, &mut out),
        Format::Junit => junit(source, verdicts, &mut out),
        Format::Tap => tap(source, verdicts, &mut out),
    }
}

fn text(source: &Source, verdicts: &[Verdict], out: &mut impl Write) -> Result<()> {
    for verdict in verdicts {
        writeln!(out, "{} {}", if verdict.failures.is_empty() { "ok    " } else { "FAILED" }, verdict.name)?;
        for failure in &verdict.failures {
            let colours = output::colours();
            let shown =
                point_at(source, failure.span, &failure.message, "expected here", &failure.notes, colours);
            writeln!(out, "{shown}")?;
        }
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
    writeln!(out, "{} passed, {failed} failed", verdicts.len() - failed)?;
    Ok(())
}

/// `file:line:column: message`, and what was seen on lines of its own.
fn plain(source: &Source, failure: &Failure) -> String {
    let at = SourceMap::new(&source.text).position(failure.span.start);
    let head = format!("{}:{}:{}: {}", source.name, at.line, at.column, failure.message);
    std::iter::once(head).chain(failure.notes.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn junit(source: &Source, verdicts: &[Verdict], out: &mut impl Write) -> Result<()> {
    let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let name = escaped(&source.name);
    writeln!(out, r#"<testsuite name="{name}" tests="{}" failures="{failed}">"#, verdicts.len())?;
    for verdict in verdicts {
        let (case, seconds) = (escaped(&verdict.name), verdict.seconds);
        write!(out, r#"  <testcase classname="{name}" name="{case}" time="{seconds:.3}""#)?;
        if verdict.failures.is_empty() {
            writeln!(out, "/>")?;
            continue;
        }
        writeln!(out, ">")?;
        for failure in &verdict.failures {
            let (message, whole) = (escaped(&failure.message), escaped(&plain(source, failure)));
            writeln!(out, r#"    <failure message="{message}">{whole}</failure>"#)?;
        }
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

fn tap(source: &Source, verdicts: &[Verdict], out: &mut impl Write) -> Result<()> {
    writeln!(out, "TAP version 13\n1..{}", verdicts.len())?;
    for (index, verdict) in verdicts.iter().enumerate() {
        // `#` would begin a directive.
        let name = verdict.name.replace('#', "\\#").replace('\n', " ");
        let word = if verdict.failures.is_empty() { "ok" } else { "not ok" };
        writeln!(out, "{word} {} - {name}", index + 1)?;
        for line in verdict
            .failures
            .iter()
            .flat_map(|failure| plain(source, failure).lines().map(str::to_owned).collect::<Vec<_>>())
        {
            writeln!(out, "# {line}")?;
        }
    }
    Ok(())
}
