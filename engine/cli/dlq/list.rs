//! `aqueduct dlq list FILE`.

use super::filter::Filter;
use super::{WHAT, name_of, named};
use crate::exit::Exit;
use crate::output::{Format, counted, say, second, shortened, table, time};
use crate::{file, stores};
use anyhow::Result;
use aqueduct_actors::dlq::{self, Count, Letter, Page};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Characters of a detail that a table shows.
const DETAIL_SHOWN_MAX: usize = 60;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    #[command(flatten)]
    filter: Filter,
    /// Count them by actor, reason and state instead.
    #[arg(long)]
    count: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    /// Go on after the letter of this id.
    #[arg(long, value_name = "ID", default_value_t = 0, conflicts_with = "count")]
    after: i64,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let (name, filter) = (&topology.name.value, arguments.filter.of(&[], &topology));
    stores::block_on(async {
        let connection = stores::database(&topology, WHAT).await?;
        if arguments.count {
            let mut counts = stores::answered(dlq::counts(&connection, name, &filter).await)?;
            counts.iter_mut().for_each(|count| count.actor = name_of(&topology, &count.actor));
            return print_counts(&counts, arguments.format);
        }
        // One more than is shown says whether there are more.
        let page = Page { after: arguments.after, limit: arguments.limit + 1 };
        let mut letters = stores::answered(dlq::list(&connection, name, &filter, page).await)?;
        let more = letters.len() as i64 > arguments.limit;
        letters.truncate(arguments.limit as usize);
        letters.iter_mut().for_each(|letter| named(&topology, letter));
        print(&letters, more, arguments.format)
    })?;
    Ok(Exit::Ok)
}

fn print(letters: &[Letter], more: bool, format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let last = letters.last().map(|letter| letter.id).filter(|_| more);
    match format {
        Format::Json => {
            let letters: Vec<Value> = letters.iter().map(letter_json).collect();
            writeln!(out, "{:#}", json!({ "letters": letters, "after": last }))?;
        }
        Format::Text => {
            table(&letters.iter().map(cells).collect::<Vec<_>>(), &mut out)?;
            out.flush()?;
            match last {
                Some(last) => say!("{}; more follow: --after {last}", counted(letters.len(), "letter")),
                None => say!("{}", counted(letters.len(), "letter")),
            }
        }
    }
    Ok(())
}

fn cells(letter: &Letter) -> Vec<(String, String)> {
    let state = match letter.attempts {
        0 => letter.state.clone(),
        times => format!("{} ({times}x)", letter.state),
    };
    [
        ("id", letter.id.to_string()),
        ("at", second(letter.at_us)),
        ("actor", letter.actor.clone()),
        ("topic", letter.place.topic.clone()),
        ("partition", letter.place.partition.to_string()),
        ("offset", letter.place.offset.to_string()),
        ("row", letter.row.to_string()),
        ("reason", letter.reason.clone()),
        ("state", state),
        ("detail", shortened(&letter.detail, DETAIL_SHOWN_MAX)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// A letter without its bytes, times as RFC 3339.
pub(super) fn letter_json(letter: &Letter) -> Value {
    let mut json = serde_json::to_value(letter).expect("invariant: a letter has only texts and numbers");
    json["at"] = time(letter.at_us).into();
    json["replayed_at"] = letter.replayed_at_us.map(time).into();
    json["record_time"] = letter.record_time_us.map(time).into();
    if let Some(again) = &letter.again {
        json["again"]["at"] = again.at_us.map(time).into();
    }
    json
}

fn print_counts(counts: &[Count], format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let json = counts.iter().map(|count| {
                let mut json = serde_json::to_value(count)?;
                json["oldest"] = time(count.oldest_us).into();
                json["newest"] = time(count.newest_us).into();
                Ok(json)
            });
            writeln!(out, "{:#}", Value::Array(json.collect::<serde_json::Result<_>>()?))?;
        }
        Format::Text => {
            let cells = |count: &Count| {
                [
                    ("actor", count.actor.clone()),
                    ("reason", count.reason.clone()),
                    ("state", count.state.clone()),
                    ("letters", count.letters.to_string()),
                    ("oldest", second(count.oldest_us)),
                    ("newest", second(count.newest_us)),
                ]
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec()
            };
            table(&counts.iter().map(cells).collect::<Vec<_>>(), &mut out)?;
            out.flush()?;
            say!("{}", counted(counts.iter().map(|count| count.letters as usize).sum(), "letter"));
        }
    }
    Ok(())
}
