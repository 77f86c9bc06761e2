//! `aqueduct cache rebuild FILE`: brings back from TimescaleDB what Redis has lost.

use crate::environment::host_name;
use crate::exit::Exit;
use crate::file;
use crate::output::Format;
use anyhow::Result;
use aqueduct_actors::redis_cache::rebuild::{Rebuilt, Request, Step, rebuild};
use aqueduct_engine::Clock;
use aqueduct_stack::progress;
use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Write the newest value of each key from the table that takes the same rows; nodes may run beside it, and no key is
    /// ever lowered.
    Rebuild(Arguments),
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// The one redis_cache to rebuild; all of them unless said.
    #[arg(long, value_name = "ACTOR")]
    cache: Option<String>,
    /// Only rows of an event time before this, such as 2026-11-24T12:00:00Z: where an earlier run was cut.
    #[arg(long, value_name = "TIME", value_parser = micros)]
    before: Option<i64>,
    /// Only rows of this event time or later.
    #[arg(long, value_name = "TIME", value_parser = micros)]
    since: Option<i64>,
    /// Count what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Microseconds since 1970 UTC.
fn micros(text: &str) -> Result<i64, String> {
    let time = text.parse::<jiff::Timestamp>();
    time.map(|time| time.as_microsecond())
        .map_err(|_| format!("`{text}` is no time; write 2026-11-24T12:00:00Z"))
}

fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    let Command::Rebuild(arguments) = command;
    let topology = file::read(&arguments.file)?.accepted()?;
    let request = Request {
        cache: arguments.cache.clone(),
        before_us: arguments.before,
        since_us: arguments.since,
        dry_run: arguments.dry_run,
    };
    let progress = progress::on_stderr();
    let last = Cell::new(None);
    let on_step = |step: &Step<'_>| {
        last.set(step.back_to_us);
        let back_to = step.back_to_us.map(time).unwrap_or_default();
        progress.step(step.cache, step.done_us, step.total_us, &format!("back to {back_to}"));
    };
    let rebuilt = actix_rt::System::new()
        .block_on(async { rebuild(&topology, &host_name(), &Clock::system(), &request, &on_step).await });
    let rebuilt = rebuilt.inspect_err(|_| {
        if let Some(back_to) = last.get() {
            crate::output::say!("cut; go on with: --before {}", time(back_to));
        }
    })?;
    print(arguments.format, &rebuilt)?;
    let refused = rebuilt.iter().any(|one| one.counts.refused > 0);
    Ok(if refused { Exit::Failed } else { Exit::Ok })
}

fn print(format: Format, rebuilt: &[Rebuilt]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(rebuilt)?)?,
        Format::Text => rebuilt.iter().try_for_each(|one| writeln!(out, "{one}"))?,
    }
    Ok(())
}
