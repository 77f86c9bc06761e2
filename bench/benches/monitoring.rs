//! What it costs to be watched: the engine on the same topic with a scrape every second and the page's stream open, and
//! without, in turn; CPU per row of each pair, and the median of the differences.
//!
//! `cargo bench --profile dist -p aqueduct-bench --bench monitoring -- --rows 4000000 --pairs 7`
//!
//! Which of a pair is first changes from pair to pair, so that a machine that grows slower favours neither.

use anyhow::Result;
use aqueduct_bench::parts::watch::{self, Arrival};
use aqueduct_bench::programs::Program;
use aqueduct_bench::stage::Stage;
use aqueduct_bench::watcher::{self, Watcher};
use aqueduct_bench::workload::{self, Load, Sinks, Work};
use clap::Parser;
use std::path::PathBuf;

#[derive(Parser)]
struct Arguments {
    /// Trades per run: enough for several scrapes.
    #[arg(long, default_value_t = 4_000_000)]
    rows: u64,
    /// Pairs of runs.
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// This binary of the engine, instead of one built beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Fail if the median difference is above this share; without it the figures are only printed.
    #[arg(long)]
    share_max: Option<f64>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(compare(&arguments)))
}

async fn compare(arguments: &Arguments) -> Result<()> {
    let stage = Stage::up(arguments.binary.clone()).await?;
    eprintln!("filling a topic with {} trades", arguments.rows);
    let bench = Bench { load: stage.fill_usual(Work::Ticks, arguments.rows)?, stage: &stage };
    let mut shares = Vec::new();
    println!("| pair | unwatched, CPU us/row | watched, CPU us/row | difference |\n|---|---|---|---|");
    for pair in 0..arguments.pairs {
        let watched_first = pair % 2 == 1;
        let first = bench.run(pair, watched_first).await?;
        let second = bench.run(pair, !watched_first).await?;
        let (alone, watched) = if watched_first { (second, first) } else { (first, second) };
        let share = watched / alone - 1.0;
        println!("| {} | {alone:.3} | {watched:.3} | {:+.2} % |", pair + 1, share * 100.0);
        shares.push(share);
    }
    stage.stack.delete_topic(&bench.load.topic)?;
    shares.sort_by(f64::total_cmp);
    let median = shares[shares.len() / 2];
    println!(
        "\nmedian difference over {} pairs: {:+.2} %, ratio {:.4}",
        shares.len(),
        median * 100.0,
        median + 1.0
    );
    let is_too_much = arguments.share_max.is_some_and(|max| median > max);
    anyhow::ensure!(!is_too_much, "being watched costs more than was allowed");
    Ok(())
}

struct Bench<'a> {
    stage: &'a Stage,
    load: Load,
}

impl Bench<'_> {
    /// CPU per row, in microseconds.
    async fn run(&self, pair: usize, is_watched: bool) -> Result<f64> {
        workload::empty_table(&self.stage.client, self.load.work).await?;
        let task = self.stage.task("monitoring", &self.load, Sinks::Both)?;
        let address = watcher::free_address()?;
        let watcher = is_watched.then(|| Watcher::new(address));
        let mut running = [Program::Aqueduct.start_at(self.stage, &task, address)?];
        let arrival = Arrival::Last(&self.load.last);
        let drained = watch::drain(self.stage, &mut running, &arrival, self.load.rows).await?;
        let seen = watcher.map(|watcher| (watcher.scrapes(), watcher.streamed_bytes()));
        eprintln!("pair {pair}: {drained:?}, scrapes and bytes of the stream: {seen:?}");
        anyhow::ensure!(seen.is_none_or(|(scrapes, _)| scrapes > 0), "nobody could scrape: take more rows");
        Ok(drained.program_us)
    }
}
