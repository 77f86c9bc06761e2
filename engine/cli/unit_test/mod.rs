//! `aqueduct test FILE`: the examples of a topology, run on stand-ins in virtual time.

mod judge;
mod play;
mod report;
mod value;

use crate::exit::Exit;
use crate::{file, output};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The form of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// JUnit XML.
    Junit,
    /// The Test Anything Protocol, version 13.
    Tap,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// Run only tests whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The form of the results.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What became of one test.
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) failures: Vec<judge::Failure>,
    pub(crate) seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let (loaded, tests) = file::read_unconnected(&arguments.file)?;
    let source = loaded.source.clone();
    let topology = Arc::new(loaded.accepted()?);
    let folder = arguments.file.parent().unwrap_or(Path::new("."));
    let wanted = |name: &str| arguments.filter.as_deref().is_none_or(|filter| name.contains(filter));
    let mut verdicts = Vec::new();
    for test in tests.iter().filter(|test| wanted(&test.name.value)) {
        let began = aqueduct_engine::Clock::system().wall_us();
        let failures = match play::play(&topology, test, folder) {
            Ok(seen) => judge::judge(&topology, test, &seen),
            Err(error) => {
                vec![judge::Failure::new(test.name.span, format!("the test cannot run: {error:#}"))]
            }
        };
        let seconds = (aqueduct_engine::Clock::system().wall_us() - began) as f64 / 1e6;
        verdicts.push(Verdict { name: test.name.value.clone(), failures, seconds });
    }
    if verdicts.is_empty() {
        let why = if tests.is_empty() { "has no tests" } else { "has no test of that name" };
        output::say!("warning: {} {why}", arguments.file.display());
    }
    report::print(&source, &verdicts, arguments.format)?;
    let failed = verdicts.iter().any(|verdict| !verdict.failures.is_empty());
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}
