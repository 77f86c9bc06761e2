//! What it costs to be watched: the engine on the same topic with a scrape every second and the page's stream open, and
//! without, in turn; CPU per row of each pair, and the median of the differences.
//!
//! `cargo bench --profile dist -p aqueduct-bench --bench monitoring -- --rows 4000000 --pairs 7`
//!
//! Which of a pair is first changes from pair to pair, so that a machine that grows slower favours neither.

use anyhow::{Context, Result};
use aqueduct_bench::ceiling::{Measured, Target};
use aqueduct_bench::engine;
use aqueduct_bench::watcher::{self, Watcher};
use aqueduct_bench::workload::{self, PARTITIONS, Work};
use aqueduct_stack::{Lifetime, Options, Stack, progress};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio_postgres::Client;

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
    let options = Options::from_env("bench", Lifetime::Private)?;
    let stack = Stack::up(&options, &*progress::on_stderr())?;
    runtime.block_on(local.run_until(compare(&arguments, &stack)))
}

async fn compare(arguments: &Arguments, stack: &Stack) -> Result<()> {
    let work = Work::Ticks;
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => engine::binary()?,
    };
    let topic = stack.fresh_topic(PARTITIONS as u32)?;
    eprintln!("filling {topic} with {} trades", arguments.rows);
    let sent = workload::fill(work, &stack.kafka_bootstrap(), &topic, arguments.rows)?;
    let target = Target {
        kafka: stack.kafka_bootstrap(),
        timescale: stack.timescale_url(),
        redis: stack.redis_url(),
        topic,
        rows: sent.rows,
        work,
    };
    let client = workload::connect(&target.timescale).await?;
    let migrated = Command::new(&binary)
        .args(["migrate", "up"])
        .env("TIMESCALE_URL", &target.timescale)
        .status()
        .context("run the engine's migrations")?;
    anyhow::ensure!(migrated.success(), "the engine's migrations failed");
    let bench = Bench { binary: &binary, client: &client, messages: sent.messages, target: &target };
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
    stack.delete_topic(&target.topic)?;
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
    binary: &'a Path,
    client: &'a Client,
    messages: u64,
    target: &'a Target,
}

impl Bench<'_> {
    /// CPU per row, in microseconds.
    async fn run(&self, pair: usize, is_watched: bool) -> Result<f64> {
        workload::empty_table(self.client, self.target.work).await?;
        let address = watcher::free_address()?;
        let watcher = is_watched.then(|| Watcher::new(address));
        let name = format!("monitoring-{pair}-{is_watched}-{}", std::process::id());
        let admin = address.to_string();
        let run = engine::run_at(&admin, self.binary, self.client, &name, self.messages, self.target);
        let measured: Measured = run.await?;
        let found = workload::count_rows(self.client, self.target.work).await?;
        anyhow::ensure!(found == self.target.rows, "{found} rows in the table, {} sent", self.target.rows);
        let seen = watcher.map(|watcher| (watcher.scrapes(), watcher.streamed_bytes()));
        eprintln!("pair {pair}: {measured:?}, scrapes and bytes of the stream: {seen:?}");
        anyhow::ensure!(seen.is_none_or(|(scrapes, _)| scrapes > 0), "nobody could scrape: take more rows");
        Ok(measured.cpu_seconds * 1e6 / measured.rows as f64)
    }
}
