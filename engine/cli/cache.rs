//! `aqueduct cache rebuild FILE`: brings back from TimescaleDB what Redis has lost. `aqueduct cache probe FILE`: whether
//! anything is lost, and whether readers find what they ask for.

use crate::environment::host_name;
use crate::exit::Exit;
use crate::file;
use crate::output::Format;
use anyhow::Result;
use aqueduct_actors::redis_cache::probe::{SAMPLE_ROWS, Sample, Seen, look};
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
    /// Compare a sample of keys with the table that takes the same rows, and say what readers find: exit 1 where a key is
    /// missing or behind. Nothing is written.
    Probe(ProbeArguments),
}

#[derive(clap::Args)]
pub(crate) struct ProbeArguments {
    /// The topology file.
    file: PathBuf,
    /// The one redis_cache to look at; all of them unless said.
    #[arg(long, value_name = "ACTOR")]
    cache: Option<String>,
    /// Rows to compare: so many of the newest, and so many from some random time.
    #[arg(long, value_name = "N", default_value_t = SAMPLE_ROWS, value_parser = rows)]
    rows: usize,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Most rows of each half of a sample; more than that is a rebuild's dry run.
const ROWS_MAX: usize = 100_000;

fn rows(text: &str) -> Result<usize, String> {
    let rows = text.parse().ok().filter(|rows| (1..=ROWS_MAX).contains(rows));
    rows.ok_or_else(|| {
        format!("write a number from 1 to {ROWS_MAX}; `cache rebuild --dry-run` compares everything")
    })
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
    match command {
        Command::Rebuild(arguments) => run_rebuild(arguments),
        Command::Probe(arguments) => run_probe(arguments),
    }
}

fn run_probe(arguments: &ProbeArguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let (node, clock) = (host_name(), Clock::system());
    let seen = actix_rt::System::new().block_on(async {
        look(&topology, (&node, &clock), arguments.cache.as_deref(), arguments.rows).await
    })?;
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&seen)?)?,
        Format::Text => seen.iter().try_for_each(|one| write!(out, "{}", in_words(one)))?,
    }
    let drifted = seen.iter().filter_map(|one| one.sample.as_ref()).any(|sample| sample.drifted() > 0);
    Ok(if drifted { Exit::Failed } else { Exit::Ok })
}

fn in_words(seen: &Seen) -> String {
    let mut text = format!("{}\n", seen.cache);
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:<14}{value}\n"));
    match seen.hit_ratio {
        Some(ratio) => line("readers find", format!("{:.1} % of what they ask for", ratio * 100.0)),
        None => line(
            "readers find",
            "unknown: no reader counts (HINCRBY aqueduct:reads:TOPOLOGY:ACTOR hit 1)".into(),
        ),
    }
    if let (Some(keys), Some(evicted)) = (seen.server_keys, seen.evicted_keys) {
        line("server", format!("{keys} keys, {evicted} thrown out for want of memory"));
    }
    match &seen.sample {
        None => {
            line("table", "nothing to compare with: no rows, no event time, or no table beside it".into())
        }
        Some(sample) => {
            let Sample { keys, missing, behind, refused, behind_seconds_max, named } = sample;
            line(
                "table",
                format!(
                    "{keys} keys compared, {missing} missing, {behind} behind, {refused} of another type"
                ),
            );
            if *behind > 0 {
                line("", format!("at most {behind_seconds_max:.1} s behind"));
            }
            if sample.drifted() > 0 {
                line("", format!("among them {}", named.join(", ")));
                line("", format!("cure: aqueduct cache rebuild FILE --cache {}", seen.cache));
            }
        }
    }
    text
}

fn run_rebuild(arguments: &Arguments) -> Result<Exit> {
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
