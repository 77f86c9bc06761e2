//! `aqueduct test FILE`: the examples of a topology, run on stand-ins in virtual time.
//!
//! A run follows from its seed: how long answers take, who runs first, in which pieces records are read. Deliberately
//! absent: parallel runs; a run is one thread, and short.

mod align;
mod judge;
mod play;
mod report;
mod script;
mod value;
mod watch;

use crate::exit::Exit;
use crate::{file, output};
use anyhow::Result;
use aqueduct_actors::stand_in::CALM;
use aqueduct_topology::model::{Test, Topology};
use report::Replay;
use std::path::{Path, PathBuf};

/// The form of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
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
    /// Run under this seed, as a run before did; 0 is the calm one, in which nothing outside takes any time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run each test under so many seeds, one after the other from `--seed` on.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Run again whenever the file, or a file that it names, has changed; until interrupted.
    #[arg(long)]
    watch: bool,
    /// The form of the results.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What became of one test.
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) failures: Vec<judge::Failure>,
    /// The seed of the failure, else the first.
    pub(crate) seed: u64,
    /// Under how many seeds it ran.
    pub(crate) runs: u64,
    pub(crate) seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    if arguments.watch {
        let named = || {
            let tests = file::read_unconnected(&arguments.file).map(|(_, tests)| tests);
            watch::files_of(&arguments.file, &tests.unwrap_or_default())
        };
        return watch::run(named, || once(arguments));
    }
    once(arguments)
}

fn once(arguments: &Arguments) -> Result<Exit> {
    let (loaded, tests) = file::read_unconnected(&arguments.file)?;
    let source = loaded.source.clone();
    let topology = loaded.accepted()?;
    let folder = arguments.file.parent().unwrap_or(Path::new("."));
    // Short enough to be typed.
    let seed = arguments.seed.unwrap_or_else(|| u64::from(fastrand::Rng::new().u32(1..)));
    let seeds = seed..seed.saturating_add(arguments.seeds);
    let wanted = |name: &str| arguments.filter.as_deref().is_none_or(|filter| name.contains(filter));
    let chosen = tests.iter().filter(|test| wanted(&test.name.value));
    let verdicts: Vec<Verdict> = chosen.map(|test| verdict(&topology, test, folder, seeds.clone())).collect();
    if verdicts.is_empty() {
        let why = if tests.is_empty() { "has no tests" } else { "has no test of that name" };
        output::say!("warning: {} {why}", arguments.file.display());
    }
    let replay = Replay { file: arguments.file.display().to_string(), seeds };
    report::print(&source, &verdicts, &replay, arguments.format)?;
    let failed = verdicts.iter().any(|verdict| !verdict.failures.is_empty());
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

/// Runs `test` under each of `seeds` until it fails.
fn verdict(topology: &Topology, test: &Test, folder: &Path, seeds: std::ops::Range<u64>) -> Verdict {
    let began = aqueduct_engine::Clock::system().wall_us();
    let (mut failures, mut failed_under, mut runs) = (Vec::new(), seeds.start, 0);
    for seed in seeds {
        runs += 1;
        failures = match play::play(topology, test, folder, seed) {
            Ok(seen) => judge::judge(topology, test, &seen),
            Err(error) => {
                vec![judge::Failure::new(test.name.span, format!("the test cannot run: {error:#}"))]
            }
        };
        if !failures.is_empty() {
            failed_under = seed;
            break;
        }
    }
    let seconds = (aqueduct_engine::Clock::system().wall_us() - began) as f64 / 1e6;
    Verdict { name: test.name.value.clone(), failures, seed: failed_under, runs, seconds }
}

const _: () = assert!(CALM == 0, "the help of `--seed` says so");
