//! `aqueduct export verify FILE`: what was exported, against the table.

use super::describe::describe;
use super::options::{How, Sessions, Which, range};
use super::order::{Order, SLICE_ROWS, Workshop};
use super::spark;
use super::submit::{Ended, submit};
use crate::exit::Exit;
use crate::file;
use crate::output::{Format, counted, say, table};
use crate::stores::{block_on, wrong};
use anyhow::Result;
use aqueduct_engine::{Class, Error};
use aqueduct_stack::progress;
use serde_json::Value;
use std::io::Write;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    sessions: Sessions,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(arguments.which.file()?)?.accepted()?;
    let name = arguments.which.table(&topology)?;
    let place = arguments.which.place()?;
    let range = match (arguments.which.from, arguments.which.to) {
        (Some(from_us), Some(to_us)) => Some(range(from_us, to_us)?),
        (None, None) => None,
        _ => return wrong("give both --from and --to, or neither for all that the place holds".into()),
    };
    let progress = progress::on_stderr();
    block_on(async {
        let described = describe(&topology, &arguments.which, &name).await?;
        let spark = spark::find(&*progress)?;
        let order = Order {
            run: 0,
            partition_by: &[],
            range,
            spans: &[],
            into: &place,
            late: false,
            parallel: arguments.sessions.parallel,
            slice_rows: SLICE_ROWS,
            watermark: None,
        };
        let workshop = Workshop::new(&order.to_json(&described))?;
        let mut heard = |event: &Value| {
            if event["event"] == "verifying" {
                let number = |name: &str| event[name].as_u64().unwrap_or(0);
                let step = format!("{} rows, {} differences", number("rows"), number("differences"));
                progress.step("verify", number("done"), number("of"), &step);
            }
        };
        match submit(
            &spark,
            &arguments.how,
            &workshop,
            "verify.py",
            described.address.password.as_ref(),
            &mut heard,
        )? {
            Ended::Done(event) => print(arguments.format, &place, &event),
            Ended::Refused(message) => Err(Error::new(Class::Config, message).into()),
            Ended::Failed(message) => {
                say!("error: {message}");
                Ok(Exit::Failed)
            }
        }
    })
}

fn print(format: Format, place: &str, event: &Value) -> Result<Exit> {
    let different = event["different"].as_u64().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{event:#}")?,
        Format::Text => {
            let parts = counted(usize::try_from(event["parts"].as_u64().unwrap_or(0)).unwrap_or(0), "part");
            let rows = &event["rows"];
            if different == 0 {
                writeln!(out, "{rows} rows in {parts} of {place} are those of the table")?;
            } else {
                writeln!(out, "{different} differences in {parts} of {place}:")?;
                let differences = event["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
                table(&differences.iter().map(cells).collect::<Vec<_>>(), &mut out)?;
            }
        }
    }
    Ok(if different == 0 { Exit::Ok } else { Exit::Failed })
}

fn cells(difference: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    ["part", "partition", "file", "table", "files", "what"]
        .map(|name| (name.to_owned(), text(&difference[name])))
        .into_iter()
        .filter(|(name, value)| !(name == "file" && value.is_empty()))
        .collect()
}
