//! `aqueduct dlq show FILE [ID..]`.
//!
//! Letters come from the database page by page and are written as they come: there may be more than memory holds.

use super::filter::Filter;
use super::{WHAT, list, named};
use crate::exit::Exit;
use crate::output::{counted, say, time};
use crate::{file, stores};
use anyhow::{Result, bail};
use aqueduct_actors::base64;
use aqueduct_actors::dlq::{self, Page, Payload};
use aqueduct_actors::replay_source::Message;
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Letters of one page.
const PAGE: i64 = 1000;
/// Letters that are shown to people unless they say otherwise.
const SHOWN: usize = 20;

/// The form of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// An array.
    Json,
    /// The record as it came, one a line: what `try --envelope` reads.
    Jsonl,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// The letters of these ids; without any, those that the filters mean.
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many; as text 20 unless said, else all.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The form of the letters.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let name = &topology.name.value;
    let filter = arguments.filter.of(&arguments.ids, &topology);
    let limit = match (arguments.limit, arguments.format) {
        (Some(limit), _) => limit,
        (None, Format::Text) if arguments.ids.is_empty() => SHOWN,
        (None, _) => usize::MAX,
    };
    stores::block_on(async {
        let connection = stores::database(&topology, WHAT).await?;
        let mut printer = Printer::new(arguments.format);
        let mut missing = arguments.ids.clone();
        let mut after = 0;
        while printer.printed < limit {
            let left = (limit - printer.printed).min(PAGE as usize) as i64;
            let page = Page { after, limit: left };
            let mut letters = stores::answered(dlq::payloads(&connection, name, &filter, page).await)?;
            let Some(last) = letters.last() else { break };
            after = last.letter.id;
            for letter in &mut letters {
                named(&topology, &mut letter.letter);
                missing.retain(|id| *id != letter.letter.id);
                printer.print(letter)?;
            }
        }
        let ended_early = printer.printed == limit;
        printer.end()?;
        if !ended_early && !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            bail!(
                "topology `{name}` has no letter {} among those meant; `aqueduct dlq list {}` shows what there is",
                missing.join(", "),
                arguments.file.display()
            );
        }
        Ok(Exit::Ok)
    })
}

/// Writes letters one after another.
struct Printer {
    out: BufWriter<std::io::StdoutLock<'static>>,
    format: Format,
    printed: usize,
}

impl Printer {
    fn new(format: Format) -> Self {
        Self { out: BufWriter::new(std::io::stdout().lock()), format, printed: 0 }
    }

    fn print(&mut self, letter: &Payload) -> Result<()> {
        let first = self.printed == 0;
        self.printed += 1;
        match self.format {
            Format::Jsonl => writeln!(self.out, "{}", message(letter).envelope())?,
            Format::Json => {
                write!(self.out, "{}\n  {}", if first { "[" } else { "," }, payload_json(letter))?;
            }
            Format::Text => {
                let blank = if first { "" } else { "\n" };
                write!(self.out, "{blank}{}", text(letter))?;
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        match (self.format, self.printed) {
            (Format::Json, 0) => writeln!(self.out, "[]")?,
            (Format::Json, _) => writeln!(self.out, "\n]")?,
            _ => {}
        }
        self.out.flush()?;
        if self.format != Format::Json {
            say!("{}", counted(self.printed, "letter"));
        }
        Ok(())
    }
}

/// The record of a letter.
pub(super) fn message(payload: &Payload) -> Message {
    Message {
        key: payload.key.clone(),
        value: payload.value.clone(),
        time_ms: payload.letter.record_time_us.map(|us| us.div_euclid(1000)),
        headers: payload.headers.clone(),
        partition: u32::try_from(payload.letter.place.partition).ok(),
    }
}

/// Text where the bytes are text, else `{ base64 }`.
fn bytes_json(bytes: &Option<Vec<u8>>) -> Value {
    match bytes.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => text.into(),
        Some((bytes, Err(_))) => json!({ "base64": base64::encode(bytes) }),
    }
}

fn payload_json(payload: &Payload) -> Value {
    let mut json = list::letter_json(&payload.letter);
    json["key"] = bytes_json(&payload.key);
    json["payload"] = bytes_json(&payload.value);
    let header = |(name, value): &(std::sync::Arc<str>, Option<Vec<u8>>)| json!({ "name": &**name, "value": bytes_json(value) });
    json["headers"] = payload.headers.iter().map(header).collect();
    json
}

/// A letter for people: what is wrong, where it came from, what it is.
fn text(payload: &Payload) -> String {
    let letter = &payload.letter;
    let place = &letter.place;
    let mut text = format!(
        "letter {} ({})\n  rejected    by {} on {} at {}, class {}\n  reason      {}\n  detail      {}\n  from        {} {}/{} offset {}, row {}\n",
        letter.id,
        letter.state,
        letter.actor,
        letter.node,
        time(letter.at_us),
        letter.class,
        letter.reason,
        letter.detail.escape_debug(),
        place.source,
        place.topic,
        place.partition,
        place.offset,
        letter.row
    );
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12}{value}\n"));
    if let Some(us) = letter.record_time_us {
        line("record time", time(us));
    }
    if let Some(us) = letter.replayed_at_us {
        let outcome = letter.outcome.as_deref().unwrap_or("replayed");
        line("replayed", format!("{outcome} at {}, to {}", time(us), letter.replayed_to.join(", ")));
    }
    if let Some(again) = &letter.again {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let times = counted(letter.attempts as usize, "attempt");
        let (actor, reason) = (or_empty(&again.actor), or_empty(&again.reason));
        line(
            "failed again",
            format!(" {times}, last by {actor}: {reason}: {}", or_empty(&again.detail).escape_debug()),
        );
    }
    for (name, value) in &payload.headers {
        line("header", format!("{name}: {}", bytes_text(value)));
    }
    line("key", bytes_text(&payload.key));
    line("payload", bytes_text(&payload.value));
    text
}

fn bytes_text(bytes: &Option<Vec<u8>>) -> String {
    match bytes.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "(none)".to_owned(),
        // A control character would break the terminal.
        Some((_, Ok(text))) => text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"),
        Some((bytes, Err(_))) => format!("base64:{}", base64::encode(bytes)),
    }
}
