//! The command line: one file a command, joined here and nowhere else.
//!
//! Standard output is for what was asked, standard error for what is said about it. A reader that goes away early is no
//! failure. Deliberately absent: anything that another program could want; that is in the crates.

mod archive;
mod audit;
mod backfill;
mod cache;
mod check;
mod demo;
mod dlq;
mod drill;
mod environment;
mod exit;
mod explain;
mod export;
mod file;
mod graph;
mod http;
mod identity;
mod man;
mod migrate;
mod new;
mod node;
mod offsets;
mod output;
mod plan;
mod preview;
mod rehearsal;
mod reload;
mod rotate;
mod run;
mod schema;
mod settings;
mod settled;
mod stack;
mod staging;
mod status;
mod stores;
mod tap;
mod top;
mod unit_test;
mod version;

use clap::{CommandFactory, Parser, Subcommand};
use exit::Exit;
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A supervised stream engine: Kafka to TimescaleDB and Redis, each record with exactly one fate.
#[derive(Parser)]
#[command(name = "aqueduct", version = version::short(), long_version = version::long(), arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a topology until it is told to stop.
    Run(run::Arguments),
    /// Say everything that is wrong with a topology, before anything runs.
    Check(check::Arguments),
    /// Show what a topology makes of some records, without any service.
    Try(preview::Arguments),
    /// Run the tests of a topology, in virtual time and without any service.
    Test(unit_test::Arguments),
    /// Say what a topology file would change on a running node: exit 0 for nothing, 2 for something.
    Plan(plan::Arguments),
    /// Have a running node read its topology file again and apply what changed, without stopping what did not.
    Reload(reload::Arguments),
    /// Report how a node is: health, ingest, lag, cache, quality, drills, known gaps; exit 1 if it is not ready.
    Status(status::Arguments),
    /// Export rows of a table to Parquet, with Spark.
    Export(export::Arguments),
    /// Compare what is said with what runs.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Write a commented topology to begin with, a node's settings, or what watches nodes.
    New(new::Arguments),
    /// Explain a topology (restarts, guarantees, memory), or a diagnostic code.
    Explain(explain::Arguments),
    /// Draw a topology: who supervises whom, and where data flows.
    Graph(graph::Arguments),
    /// Print the language, a node's settings or its metrics, for editors, programs and people.
    Schema(schema::Arguments),
    /// Watch a running node: its actors, what flows between them, and what happens.
    Top(top::Arguments),
    /// Look at a few of the records that an actor of a running node hands on.
    Tap(tap::Arguments),
    /// Look at dead letters, and send them through their topology again.
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Fill a time range of a table again, beside the live topology: from the log, or from a file.
    Backfill(backfill::Arguments),
    /// Look at where every sink stands, and move it.
    #[command(subcommand)]
    Offsets(offsets::Command),
    /// Draft, apply and verify database migrations.
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Exchange what nodes log in with, while data flows: create, verify, switch, wait for every node, revoke.
    Rotate(rotate::Arguments),
    /// The values that Redis keeps.
    #[command(subcommand)]
    Cache(cache::Command),
    /// A private Kafka, TimescaleDB and Redis on this machine.
    #[command(subcommand)]
    Stack(stack::Command),
    /// What production has, on this machine: TLS, passwords, a standby, Sentinel, Prometheus and two nodes.
    #[command(subcommand)]
    Staging(staging::Command),
    /// Watch recorded and synthetic trades flow from Kafka into TimescaleDB and Redis.
    Demo(demo::Arguments),
    /// Carry a procedure out on real servers that nobody misses, and judge it; exit 1 if it does not hold.
    #[command(subcommand)]
    Drill(drill::Command),
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    Man(man::Arguments),
}

fn main() -> ExitCode {
    aqueduct_engine::allocator::keep_freed_memory();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to clap; a pipe that is gone is none to us.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(arguments.command) {
        Ok(exit) => exit.into(),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            crate::output::say!("error: {error:#}");
            exit::of(&error).into()
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Test(arguments) => unit_test::run(&arguments),
        Command::Try(arguments) => preview::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Audit(command) => audit::run(&command),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Tap(arguments) => tap::run(&arguments),
        Command::Dlq(command) => dlq::run(&command),
        Command::Backfill(arguments) => backfill::run(&arguments),
        Command::Offsets(command) => offsets::run(&command),
        Command::Migrate(command) => migrate::run(command),
        Command::Rotate(arguments) => rotate::run(&arguments),
        Command::Cache(command) => cache::run(&command),
        Command::Stack(command) => stack::run(command),
        Command::Staging(command) => staging::run(command),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Drill(command) => drill::run(&command),
        Command::Completions { shell } => {
            // Into memory first: the generator panics on a pipe that is gone.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "aqueduct", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Exit::Ok)
        }
        Command::Man(arguments) => man::run(&arguments, &Arguments::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
