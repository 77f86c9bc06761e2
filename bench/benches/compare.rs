//! Ceiling and engine in turn on the same topic: rows/s, CPU per row, peak memory, ratios; table and JSON.
//!
//! `cargo bench --profile dist -p aqueduct-bench --bench compare -- --rows 2000000 --runs 3`

use anyhow::{Context, Result};
use aqueduct_bench::ceiling::{self, Measured, Target};
use aqueduct_bench::engine;
use aqueduct_bench::report::{self, Comparison};
use aqueduct_bench::workload::{self, PARTITIONS, Work};
use aqueduct_stack::{Lifetime, Options, Stack, progress};
use clap::{Parser, Subcommand};
use std::process::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    /// Trades per run.
    #[arg(long, default_value_t = 2_000_000)]
    rows: u64,
    /// Runs of each program; medians are reported.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only this work.
    #[arg(long)]
    work: Option<Work>,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Subcommand)]
enum Child {
    /// One run of the ceiling in a process of its own, so that its CPU and memory are its own.
    #[command(hide = true)]
    Ceiling {
        #[command(flatten)]
        target: Target,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    match &arguments.child {
        Some(Child::Ceiling { target }) => {
            let measured = runtime.block_on(local.run_until(ceiling::run(target)))?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        None => {
            let options = Options::from_env("bench", Lifetime::Private)?;
            let stack = Stack::up(&options, &*progress::on_stderr())?;
            runtime.block_on(local.run_until(compare(&arguments, &stack)))
        }
    }
}

async fn compare(arguments: &Arguments, stack: &Stack) -> Result<()> {
    let binary = engine::binary()?;
    let mut comparisons = Vec::new();
    for work in [Work::Ticks, Work::Venues] {
        if arguments.work.is_none_or(|only| only == work) {
            comparisons.push(compare_work(arguments, stack, &binary, work).await?);
        }
    }
    println!("\n{}", report::table(&comparisons));
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&comparisons)?).context("write the figures")?;
    }
    Ok(())
}

async fn compare_work(
    arguments: &Arguments,
    stack: &Stack,
    binary: &std::path::Path,
    work: Work,
) -> Result<Comparison> {
    let topic = stack.fresh_topic(PARTITIONS as u32)?;
    eprintln!("{}: filling {topic} with {} trades", work.name(), arguments.rows);
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
    let migrated = Command::new(binary)
        .args(["migrate", "up"])
        .env("TIMESCALE_URL", &target.timescale)
        .status()
        .context("run the engine's migrations")?;
    anyhow::ensure!(migrated.success(), "the engine's migrations failed");
    let (mut ceilings, mut engines) = (Vec::new(), Vec::new());
    for run in 0..arguments.runs {
        workload::empty_table(&client, work).await?;
        let measured = ceiling_run(&target)?;
        check(&client, work, sent.rows).await?;
        eprintln!("{} ceiling {run}: {measured:?}", work.name());
        ceilings.push(measured);

        workload::empty_table(&client, work).await?;
        let name = format!("bench-{}-{run}-{}", work.name(), std::process::id());
        let measured = engine::run(binary, &client, &name, sent.messages, &target).await?;
        check(&client, work, sent.rows).await?;
        eprintln!("{} engine {run}: {measured:?}", work.name());
        engines.push(measured);
    }
    stack.delete_topic(&target.topic)?;
    Ok(Comparison::new(work.name(), &ceilings, &engines))
}

async fn check(client: &tokio_postgres::Client, work: Work, rows: u64) -> Result<()> {
    let found = workload::count_rows(client, work).await?;
    anyhow::ensure!(found == rows, "{found} rows in the table, {rows} were sent");
    Ok(())
}

fn ceiling_run(target: &Target) -> Result<Measured> {
    let rows = target.rows.to_string();
    let output = Command::new(std::env::current_exe()?)
        .args([
            "ceiling",
            "--kafka",
            &target.kafka,
            "--timescale",
            &target.timescale,
            "--redis",
            &target.redis,
        ])
        .args(["--topic", &target.topic, "--rows", &rows, "--work", target.work.name()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("start the ceiling")?;
    anyhow::ensure!(output.status.success(), "the ceiling failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
