//! `aqueduct drill all`: every drill, each on a stack of its own, and what they prove.
//!
//! One that fails does not keep the next from being carried out.

mod summary;

use super::evidence::Evidence;
use super::procedures::{PRACTISED, Practised, parse};
use super::report::{Form, Report};
use super::{Common, guard, page};
use crate::environment::host_name;
use crate::exit::Exit;
use crate::output::say;
use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use summary::Summary;

/// Where the report lies unless one says otherwise.
const REPORT: &str = "aqueduct-report";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Carry out the checks of the evidence too, and write drills.md, drills.json, evidence.md and evidence.json into this
    /// folder.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = REPORT)]
    report: Option<PathBuf>,
    /// These drills alone.
    #[arg(long, value_name = "DRILLS", value_delimiter = ',', value_parser = PossibleValuesParser::new(PRACTISED.map(|one| one.name)))]
    only: Vec<String>,
    /// With fewer rows and shorter loads.
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    common: Common,
}

/// A drill that was carried out.
pub(super) struct Carried {
    /// By this.
    pub(super) command: String,
    pub(super) report: Report,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit> {
    let common = &arguments.common;
    guard::allow("all", common.i_know)?;
    let is_wanted =
        |one: &&Practised| arguments.only.is_empty() || arguments.only.iter().any(|name| name == one.name);
    let wanted: Vec<&Practised> = PRACTISED.iter().filter(is_wanted).collect();
    let sections: Vec<&str> = wanted.iter().map(|one| one.name).chain(["all"]).collect();
    page::check(&common.into, &sections)?;
    if let Some(folder) = &arguments.report {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    let carried: Vec<Carried> = wanted.iter().map(|one| carry_out(one, arguments)).collect();
    let summary = Summary::of(&carried);
    let evidence = match &arguments.report {
        Some(folder) => Some(write(folder, &summary, &carried, common.i_know)?),
        None => None,
    };
    print(common.format, &summary)?;
    for drill in &carried {
        page::insert(&common.into, drill.report.name(), &drill.report.section(&drill.command))?;
    }
    page::insert(&common.into, "all", &summary.section())?;
    common.keep(&carried.iter().map(|drill| &drill.report).collect::<Vec<_>>())?;
    let holds = summary.passed() && evidence.is_none_or(|evidence| evidence.holds());
    Ok(if holds { Exit::Ok } else { Exit::Failed })
}

fn carry_out(practised: &Practised, arguments: &Arguments) -> Carried {
    let words = practised.words(arguments.short, arguments.common.i_know);
    let command = format!("aqueduct drill {}", words.join(" "));
    say!("{command}");
    let carried =
        parse(&words).map_err(anyhow::Error::from).and_then(|procedure| procedure.drill().carry_out());
    let report = carried.unwrap_or_else(|error| {
        let mut report = Report::begin(practised.name, practised.name, &host_name());
        report.end(Some(format!("{error:#}")));
        report
    });
    let verdict = if report.passed() { "passed" } else { "did not pass" };
    say!("{command}: {verdict} after {:.1} s\n", report.seconds());
    Carried { command, report }
}

/// Writes the report, for which the checks are carried out.
fn write(folder: &Path, summary: &Summary, carried: &[Carried], i_know: bool) -> Result<Evidence> {
    let put = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))
    };
    put("drills.md", summary.markdown())?;
    put("drills.json", format!("{:#}\n", summary.json()))?;
    say!("checks of the evidence");
    let evidence = Evidence::gather(carried, i_know)?;
    put("evidence.md", format!("# Evidence\n\n{}\n\n{}", summary.origin(), evidence.markdown()))?;
    put("evidence.json", format!("{:#}\n", evidence.json()))?;
    say!("written: drills.md, drills.json, evidence.md, evidence.json in {}", folder.display());
    Ok(evidence)
}

fn print(form: Form, summary: &Summary) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match form {
        Form::Text => summary.text(&mut out)?,
        Form::Json => writeln!(out, "{:#}", summary.json())?,
        Form::Markdown => write!(out, "{}", summary.markdown())?,
    }
    Ok(())
}
