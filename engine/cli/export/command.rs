//! `aqueduct export FILE`: plan, watermark, lock, record; then Spark; then the record again.

use super::describe::{Described, describe, open, partition_columns};
use super::options::{How, Sessions, Which, range};
use super::order::{Order, SLICE_ROWS, Workshop};
use super::submit::{Ended, submit};
use super::{lock, spark};
use crate::environment::host_name;
use crate::exit::Exit;
use crate::output::{Format, counted, say, time};
use crate::stores::{answered, block_on, wrong};
use crate::{exit, file};
use anyhow::{Context, Result};
use aqueduct_actors::export::limits::DAY_US;
use aqueduct_actors::export::run::{self, Outcome, Request, Run};
use aqueduct_actors::export::spans::spans;
use aqueduct_actors::export::watermark::{Watermark, sinks_of, watermark};
use aqueduct_actors::kafka::logs::Logs;
use aqueduct_actors::timescale::offsets::stands;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_stack::progress::{self, Progress};
use aqueduct_topology::model::Topology;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

#[derive(clap::Args, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How files are parted: the day, then columns of the table.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', default_value = "day")]
    partition_by: Vec<String>,
    /// Export parts again whose rows have changed in the table since.
    #[arg(long)]
    late: bool,
    /// How far an event may trail its record in Kafka; the range ends that much before what is durable.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    lateness: Duration,
    /// Export although nobody can tell that the range is closed: you say so.
    #[arg(long)]
    assume_closed: bool,
    /// About how many rows one task reads: what a kill may cost.
    #[arg(long, value_name = "N", default_value_t = SLICE_ROWS, value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    slice_rows: i64,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    sessions: Sessions,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn duration(text: &str) -> Result<Duration, String> {
    aqueduct_topology::duration(text).ok_or_else(|| format!("`{text}` is no duration; write 0s, 15m or 2h"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(arguments.which.file()?)?.accepted()?;
    let table = arguments.which.table(&topology)?;
    let place = arguments.which.place()?;
    if let (Some(from), Some(to)) = (arguments.which.from, arguments.which.to) {
        range(from, to)?;
    }
    let Some(from_us) = arguments.which.from else {
        return wrong("say from which event time on: --from 2026-11-29".into());
    };
    let progress = progress::on_stderr();
    block_on(async {
        let described = describe(&topology, &arguments.which, &table).await?;
        let partition_by = partition_columns(&described.shape, &arguments.partition_by)?;
        let closed = closed(arguments, &topology, &table, &described).await?;
        let range = range(from_us, closed.to_us)?;
        let spark = spark::find(&*progress)?;
        let _held = lock::hold(&place, &format!("the export of {table}"))?;
        let spans = answered(spans(&described.connection, &described.shape, range).await)?;
        let request = Request {
            topology: topology.name.value.clone(),
            table: described.shape.table.plain(),
            into: place.clone(),
            range,
            partition_by: arguments.partition_by.clone(),
            late: arguments.late,
            watermark: closed.watermark.as_ref().map(|watermark| json!(watermark)),
            node: host_name(),
        };
        let taken = answered(run::take(&described.connection, &request).await)?;
        say_begun(&request, taken);
        let order = Order {
            run: taken.id,
            partition_by: &partition_by,
            range: Some(range),
            spans: &spans,
            into: &place,
            late: arguments.late,
            parallel: arguments.sessions.parallel,
            slice_rows: arguments.slice_rows,
            watermark: closed.watermark.as_ref(),
        };
        let workshop = Workshop::new(&order.to_json(&described))?;
        let mut resumed = 0;
        let mut heard = |event: &Value| {
            resumed = resumed.max(event["resumed"].as_u64().unwrap_or(0));
            show(&*progress, event);
        };
        let ended = submit(
            &spark,
            &arguments.how,
            &workshop,
            "export.py",
            described.address.password.as_ref(),
            &mut heard,
        );
        record(&described, taken, &ended).await?;
        end(arguments.format, &request, taken, resumed, ended?)
    })
}

/// The end of what can be exported, and what is known about it.
struct Closed {
    to_us: i64,
    watermark: Option<Watermark>,
}

/// Refused where rows may still come into the range.
async fn closed(
    arguments: &Arguments,
    topology: &Topology,
    table: &str,
    described: &Described,
) -> Result<Closed> {
    let wanted = arguments.which.to;
    if arguments.assume_closed {
        return match wanted {
            Some(to_us) => Ok(Closed { to_us, watermark: None }),
            None => wrong("say with --to up to which event time the table is closed".into()),
        };
    }
    let sinks = sinks_of(topology, table);
    let Some(kafka) = topology.connections.kafka.as_ref().filter(|_| !sinks.is_empty()) else {
        return wrong(format!(
            "no sink of the file writes {table}, so nobody can tell which of its rows may still come; say with \
             --assume-closed that none come before --to"
        ));
    };
    let stands = answered(stands(&described.connection, &topology.name.value).await)?;
    let logs = Logs::new(kafka, &topology.name.value)?;
    let lateness_us = i64::try_from(arguments.lateness.as_micros()).unwrap_or(i64::MAX);
    let now_us = Clock::system().wall_us();
    let watermark = answered(watermark(topology, &sinks, &stands, &logs, (now_us, lateness_us)))
        .context("no watermark; with --assume-closed you say that no rows come before --to")?;
    // Whole days unless told otherwise: the day that runs would be cut into parts.
    let to_us = wanted.unwrap_or(watermark.time_us.div_euclid(DAY_US) * DAY_US);
    if to_us <= watermark.time_us {
        return Ok(Closed { to_us, watermark: Some(watermark) });
    }
    let why = match watermark.holders() {
        none if none.is_empty() => {
            format!("an event may reach Kafka {:?} after its time", arguments.lateness)
        }
        holders => format!("not durable yet: {holders}"),
    };
    let message = format!(
        "rows may still come before {}: {table} is closed up to {} ({why}); export up to there, or wait",
        time(to_us),
        time(watermark.time_us)
    );
    Err(Error::new(Class::Config, message).into())
}

fn say_begun(request: &Request, run: Run) {
    let (from, to) = (time(request.range.from_us), time(request.range.to_us));
    let again = if run.attempts > 1 { format!(", attempt {}", run.attempts) } else { String::new() };
    say!("export {} of {} from {from} to {to} into {}{again}", run.id, request.table, request.into);
}

/// An event on its way.
fn show(progress: &dyn Progress, event: &Value) {
    let number = |name: &str| event[name].as_u64().unwrap_or(0);
    match event["event"].as_str() {
        Some("slices") => {
            let resumed = match number("resumed") {
                0 => String::new(),
                slices => format!(", {slices} slices of an earlier attempt"),
            };
            let step = format!("{} rows{resumed}", number("rows"));
            progress.step("export", number("done"), number("of"), &step);
        }
        Some("late") => {
            let changed = event["changed"].as_array().map_or(0, Vec::len);
            progress.note(&format!("late rows: {changed} of {} parts have changed", number("looked_at")));
        }
        Some("publishing") => progress.note(&format!("publishing {} files", number("files"))),
        _ => {}
    }
}

/// The record gets what became of the run. The connection that held it may be gone by now.
async fn record(described: &Described, run: Run, ended: &Result<Ended>) -> Result<()> {
    // The first line says it; a log's end below it is for the terminal.
    let failed = |message: &str| {
        let line = message.lines().next().unwrap_or_default().to_owned();
        ("failed", Outcome { message: Some(line), ..Outcome::default() })
    };
    let (state, outcome) = match ended {
        Ok(Ended::Done(event)) => ("published", published(event)),
        Ok(Ended::Refused(message) | Ended::Failed(message)) => failed(message),
        Err(error) => failed(&format!("{error:#}")),
    };
    let mine = &described.connection;
    if !mine.is_broken() && run::finish(mine, run, state, &outcome).await.is_ok() {
        return Ok(());
    }
    let again = async {
        let session = open(&described.connector).await?;
        answered(run::finish(&session, run, state, &outcome).await)
    };
    match again.await {
        Ok(()) => Ok(()),
        // What was published is published: the manifest says so, and the same command finds it.
        Err(error) if exit::of(&error) == Exit::Unavailable => {
            say!("export {} is {state}, and its record could not be written: {error:#}", run.id);
            say!("run the same command once the database is back: it completes the record");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn published(event: &Value) -> Outcome {
    let nothing = event["event"] == "nothing";
    let number = |name: &str| if nothing { Some(0) } else { event[name].as_i64() };
    Outcome {
        rows: number("rows"),
        files: number("files"),
        bytes: number("bytes"),
        checksum: event["checksum"].as_str().map(str::to_owned),
        parts: Some(json!({ "parts": event["parts"] })),
        message: nothing.then(|| "the place had all of it".to_owned()),
    }
}

/// `resumed` slices were done by an earlier attempt.
fn end(format: Format, request: &Request, run: Run, resumed: u64, ended: Ended) -> Result<Exit> {
    let event = match ended {
        Ended::Done(event) => event,
        Ended::Refused(message) => return Err(Error::new(Class::Config, message).into()),
        Ended::Failed(message) => {
            say!("error: {message}");
            say!("export {} is not published; the same command goes on where it stopped", run.id);
            return Ok(Exit::Failed);
        }
    };
    let outcome = published(&event);
    let (rows, files) = (outcome.rows.unwrap_or(0), outcome.files.unwrap_or(0));
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(
            out,
            "{:#}",
            json!({
                "run": run.id, "attempts": run.attempts, "slices_resumed": resumed, "table": request.table, "into": request.into,
                "from": time(request.range.from_us), "to": time(request.range.to_us), "rows": rows, "files": files,
                "bytes": outcome.bytes, "parts": event["parts"], "manifest_sha256": outcome.checksum,
                "watermark": request.watermark,
            })
        )?,
        Format::Text if event["event"] == "nothing" => {
            writeln!(out, "nothing to export: {} has all of it", request.into)?;
        }
        Format::Text => {
            let files = counted(usize::try_from(files).unwrap_or(usize::MAX), "file");
            writeln!(out, "{rows} rows in {files} are published in {}", request.into)?;
        }
    }
    Ok(Exit::Ok)
}
