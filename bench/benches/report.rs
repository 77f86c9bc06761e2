//! One command that measures everything and leaves a report: Markdown, JSON, charts.
//!
//! `cargo bench --profile dist -p aqueduct-bench --bench report -- --out DIR`; `--quick` ends within three minutes.

use anyhow::{Context, Result};
use aqueduct_bench::ceiling::{self, Target};
use aqueduct_bench::limits;
use aqueduct_bench::parts::scale::Axis;
use aqueduct_bench::parts::steady::Rate;
use aqueduct_bench::parts::{Outcome, drain, kill, nodes, outage, scale, steady};
use aqueduct_bench::profile;
use aqueduct_bench::programs::Program;
use aqueduct_bench::progress::{self, say};
use aqueduct_bench::report::{self, Made, Report};
use aqueduct_bench::stage::Stage;
use aqueduct_bench::workload::{Load, Sinks, Work};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ticks a second at which latency is taken, beside half of what a program sustains.
const SLOW_PER_SECOND: u64 = 1_000;

/// How long TimescaleDB is stopped.
const OUTAGE: Duration = Duration::from_secs(600);
const OUTAGE_QUICK: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Arguments {
    /// Trades of each run.
    #[arg(long)]
    rows: Option<u64>,
    /// Runs of each program in a drain; medians are told.
    #[arg(long)]
    runs: Option<usize>,
    /// Seconds of each steady rate.
    #[arg(long)]
    seconds: Option<u64>,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these works of a drain.
    #[arg(long, value_delimiter = ',')]
    works: Vec<Work>,
    /// Others' programs to run: their names with commas between, `all`, or `none`.
    #[arg(long, default_value = "none")]
    peers: String,
    /// Fetch those of the asked for peers that are not there yet.
    #[arg(long)]
    install_peers: bool,
    /// Every size of the part `scale`, not only three of each kind.
    #[arg(long)]
    whole: bool,
    /// Small and short, to see that all of it works.
    #[arg(long)]
    quick: bool,
    /// Sample the engine with `perf`, and keep a flame graph.
    #[arg(long)]
    profile_engine: bool,
    /// Where the report goes; `target/bench` unless said.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Pages whose section between `<!-- bench -->` and `<!-- /bench -->` shall show the figures.
    #[arg(long, num_args = 1..)]
    into: Vec<PathBuf>,
    /// This program of the engine's, instead of one built beside this one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A full topic is drained.
    Drain,
    /// Latency at steady rates.
    Steady,
    /// `kill -9`.
    Kill,
    /// TimescaleDB is stopped for ten minutes.
    Outage,
    /// What a row costs as things grow.
    Scale,
    /// Two and three nodes share a topic.
    Nodes,
}

/// What is measured in a process of its own, so that its CPU and memory are its own.
#[derive(Subcommand)]
enum Child {
    /// The program without an engine.
    #[command(hide = true)]
    Ceiling {
        #[command(flatten)]
        target: Target,
    },
    /// Messages taken and dropped.
    #[command(hide = true)]
    Consume {
        #[arg(long, env = "KAFKA_BOOTSTRAP")]
        kafka: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        partitions: u32,
        #[arg(long)]
        count: u64,
    },
    /// COPY from memory.
    #[command(hide = true)]
    Copy {
        #[arg(long, env = "TIMESCALE_URL", hide_env_values = true)]
        timescale: String,
        #[arg(long)]
        work: Work,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        count: u64,
    },
}

fn main() -> Result<()> {
    // The program without an engine has what the engine has.
    aqueduct_engine::allocator::keep_freed_memory();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    match &arguments.child {
        Some(Child::Ceiling { target }) => runtime.block_on(local.run_until(ceiling::run(target))),
        Some(Child::Consume { kafka, topic, partitions, count }) => {
            let reached = limits::consume(kafka, topic, *partitions, *count)?;
            println!("{}", serde_json::to_string(&reached)?);
            Ok(())
        }
        Some(Child::Copy { timescale, work, connections, count }) => {
            let copy = limits::copy(timescale, *work, *count, *connections);
            println!("{}", serde_json::to_string(&runtime.block_on(local.run_until(copy))?)?);
            Ok(())
        }
        None => runtime.block_on(local.run_until(Run::whole(&arguments))),
    }
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn rows(&self) -> u64 {
        self.rows.unwrap_or(if self.quick { 100_000 } else { 2_000_000 })
    }

    fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }

    fn lasting(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 5 } else { 30 }))
    }

    fn peers(&self) -> Result<Vec<Program>> {
        match self.peers.as_str() {
            "none" => Ok(Vec::new()),
            "all" => Ok(Program::PEERS.to_vec()),
            names => names.split(',').map(peer).collect(),
        }
    }

    /// The command that makes this report, without what does not change its figures.
    fn command(&self) -> String {
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench").collect::<Vec<_>>();
        let is_of = |word: &String, option: &str| word == option || word.starts_with(&format!("{option}="));
        for option in ["--out", "--into", "--binary"] {
            while let Some(at) = words.iter().position(|word| is_of(word, option)) {
                let values = words[at + 1..].iter().take_while(|word| !word.starts_with("--")).count();
                words.drain(at..=at + if words[at].contains('=') { 0 } else { values });
            }
        }
        // target/<profile>/deps/<this program>
        let own = std::env::current_exe().unwrap_or_default();
        let profile =
            own.ancestors().nth(2).and_then(|folder| folder.file_name()?.to_str()).unwrap_or("dist");
        format!("cargo bench --profile {profile} -p aqueduct-bench --bench report -- {}", words.join(" "))
    }
}

fn peer(name: &str) -> Result<Program> {
    let program = Program::from_str(name, true).ok().filter(|program| Program::PEERS.contains(program));
    program.with_context(|| {
        let names: Vec<&str> = Program::PEERS.into_iter().map(Program::word).collect();
        format!("no peer `{name}`: say some of {}, or `all`, or `none`", names.join(","))
    })
}

/// One run of all that was asked for.
struct Run<'a> {
    arguments: &'a Arguments,
    stage: Stage,
    peers: Vec<Program>,
    report: Report,
    out: PathBuf,
}

impl<'a> Run<'a> {
    async fn whole(arguments: &'a Arguments) -> Result<()> {
        progress::begin();
        report::check_pages(&arguments.into)?;
        let peers = arguments.peers()?;
        let stage = Stage::up(arguments.binary.clone()).await?;
        let made = Made::now(&stage.binary, arguments.command())?;
        let in_target = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");
        let out = arguments.out.clone().unwrap_or_else(|| in_target.into());
        let mut run = Run { arguments, stage, peers, report: Report::new(made), out };
        run.install();
        for part in Part::value_variants().iter().filter(|part| arguments.wants(**part)) {
            run.part(*part).await?;
        }
        if arguments.profile_engine {
            let folded = run.profile().await;
            run.report.profile = Some(folded.into());
            run.keep()?;
        }
        report::insert_into(&arguments.into, &run.report.section())?;
        say(&format!("done: {}", run.out.join("report.md").display()));
        anyhow::ensure!(run.report.failures.is_empty(), "some parts failed: {:?}", run.report.failures);
        Ok(())
    }

    /// A peer that cannot be fetched is told in its place.
    fn install(&mut self) {
        for peer in self.peers.iter().filter(|_| self.arguments.install_peers) {
            if let Err(error) = peer.install(&self.stage.dir) {
                say(&format!("{} could not be installed: {error}", peer.title()));
                self.report.failures.push((format!("install {}", peer.word()), error.to_string()));
            }
        }
    }

    /// Whatever becomes of a part, what was measured is kept, and the others have their turn.
    async fn part(&mut self, part: Part) -> Result<()> {
        let name = part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        say(&format!("part {name}"));
        let ended = match part {
            Part::Drain => self.drain().await,
            Part::Steady => self.steady().await,
            Part::Kill => self.kill().await,
            Part::Outage => self.outage().await,
            Part::Scale => self.scale().await,
            Part::Nodes => self.nodes().await,
        };
        if let Err(error) = ended {
            say(&format!("part {name} failed: {error:#}"));
            self.report.failures.push((name, format!("{error:#}")));
        }
        self.keep()
    }

    fn keep(&mut self) -> Result<()> {
        self.report.seconds = progress::seconds();
        self.report.write(&self.out)
    }

    fn fill(&self, work: Work) -> Result<Load> {
        let rows = self.arguments.rows();
        say(&format!("filling a topic with {rows} trades: {}", work.title()));
        self.stage.fill_usual(work, rows)
    }

    async fn drain(&mut self) -> Result<()> {
        let works = &self.arguments.works;
        for work in Work::ALL.into_iter().filter(|work| works.is_empty() || works.contains(work)) {
            let load = self.fill(work)?;
            let mut programs = vec![Program::Aqueduct, Program::ByHand];
            // Who has no decoder for the venues is told once, and not in each table.
            if work == Work::Ticks {
                programs.extend(&self.peers);
            }
            for sinks in [Sinks::Both, Sinks::History] {
                if work != Work::Ticks && sinks == Sinks::History {
                    continue;
                }
                let compared =
                    drain::compare(&self.stage, &load, sinks, &programs, self.arguments.runs()).await?;
                self.report.drains.push(compared);
                self.keep()?;
            }
            self.stage.stack.delete_topic(&load.topic)?;
        }
        Ok(())
    }

    /// What a program sustains, by the drain of flat ticks, which is made now if it was not before.
    async fn sustained(&self, program: Program) -> Result<f64> {
        let sinks =
            if program.cannot(Work::Ticks, Sinks::Both).is_none() { Sinks::Both } else { Sinks::History };
        let drained = self.report.drains.iter().find(|one| one.work == Work::Ticks && one.sinks == sinks);
        if let Some(figures) = drained.and_then(|one| one.figures(program)) {
            return Ok(figures.rows_per_second.median);
        }
        let load = self.fill(Work::Ticks)?;
        let drained = drain::once(&self.stage, &load, sinks, program).await;
        self.stage.stack.delete_topic(&load.topic)?;
        Ok(drained?.rows_per_second())
    }

    async fn steady(&mut self) -> Result<()> {
        let programs = [&[Program::Aqueduct], self.peers.as_slice()].concat();
        for program in programs {
            if let Some(why) = program.absent(&self.stage.dir) {
                self.report.steady.push((program, SLOW_PER_SECOND, Outcome::not_run(why)));
                continue;
            }
            let lasting = self.arguments.lasting();
            let slow = steady::run(&self.stage, program, Rate::slow(SLOW_PER_SECOND), lasting).await;
            self.report.steady.push((program, SLOW_PER_SECOND, slow.into()));
            let (half, fast) = match self.sustained(program).await {
                Ok(rows) => {
                    let half = (rows / 2.0) as u64;
                    (half, steady::run(&self.stage, program, Rate::fast(half), lasting).await)
                }
                Err(error) => (0, Err(error.context("what it sustains is not known"))),
            };
            self.report.steady.push((program, half, fast.into()));
            self.keep()?;
        }
        Ok(())
    }

    async fn kill(&mut self) -> Result<()> {
        let load = self.fill(Work::Ticks)?;
        let programs = [&[Program::Aqueduct], self.peers.as_slice()].concat();
        for program in programs {
            let killed = match program.absent(&self.stage.dir) {
                Some(why) => Outcome::not_run(why),
                None => kill::run(&self.stage, &load, program).await.into(),
            };
            self.report.kills.push((program, killed));
            self.keep()?;
        }
        Ok(self.stage.stack.delete_topic(&load.topic)?)
    }

    async fn outage(&mut self) -> Result<()> {
        let load = self.fill(Work::Ticks)?;
        let lasting = if self.arguments.quick { OUTAGE_QUICK } else { OUTAGE };
        let outage = outage::run(&mut self.stage, &load, lasting).await;
        self.report.outage = Some(outage.into());
        self.stage.know_anew().await?;
        Ok(self.stage.stack.delete_topic(&load.topic)?)
    }

    async fn scale(&mut self) -> Result<()> {
        // Many points, so each is half a drain.
        let rows = self.arguments.rows() / 2;
        for axis in Axis::ALL {
            let series = scale::run(&self.stage, axis, rows, self.arguments.whole).await;
            self.report.scale.push(series);
            self.keep()?;
        }
        Ok(())
    }

    async fn nodes(&mut self) -> Result<()> {
        let load = self.fill(Work::Ticks)?;
        for count in [1, 2, 3] {
            let shared = nodes::run(&self.stage, &load, count).await;
            self.report.nodes.push((count, shared.into()));
            self.keep()?;
        }
        Ok(self.stage.stack.delete_topic(&load.topic)?)
    }

    async fn profile(&self) -> Result<profile::Folded> {
        let load = self.fill(Work::Ticks)?;
        std::fs::create_dir_all(&self.out)?;
        let folded = profile::run(&self.stage, &load, &self.out).await;
        self.stage.stack.delete_topic(&load.topic)?;
        folded
    }
}
