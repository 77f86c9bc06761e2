//! `aqueduct tap ACTOR`: a few of the records that an actor of a running node hands on, as they pass.
//!
//! Sampling, conditions and redaction are the node's; here is only a reader that connects again. A node that is not there
//! at the beginning is an error, one that goes away later is waited for: it may be restarting.

mod print;

use crate::exit::{Exit, NoAnswer, WrongUsage};
use crate::http::{Event, Node, Streamed, encoded};
use crate::output::say;
use anyhow::{Result, bail};
use print::Printer;
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// How long to wait before a node that went away is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The actor, by its name in the topology; of one with `parallelism` all clones.
    actor: String,
    /// What it is handed, instead of what it hands on; of a sink, which hands on nothing, it always is.
    #[arg(long)]
    input: bool,
    /// At most so many records a second, 1 to 100: `10/s`.
    #[arg(long, value_name = "N/s", default_value = "10/s", value_parser = rate)]
    rate: u32,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only records whose field has this value; dots lead into JSON.
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    condition: Option<String>,
    /// Only these fields, apart by commas.
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
    /// Hide the values of these fields, too, apart by commas; those whose names speak of secrets are always hidden.
    #[arg(long, value_name = "FIELDS")]
    redact: Option<String>,
    /// `table`, or `json`: an object a line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    node: Node,
}

/// The form of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// `10/s` or `10`.
fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
    number.filter(|rate| (1..=100).contains(rate)).ok_or_else(|| "write 1/s to 100/s".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let path = path(arguments);
    let mut tap = Tap { printer: Printer::new(arguments.format == Format::Json), left: arguments.limit };
    let mut connected = false;
    while tap.left != Some(0) {
        match arguments.node.stream(&path) {
            Ok(Streamed::Events(mut events)) => {
                if connected {
                    say!("the node at {} is there again", arguments.node.shown());
                }
                connected = true;
                while let Ok(Some(event)) = events.next() {
                    tap.take(&event)?;
                    if tap.left == Some(0) {
                        return Ok(Exit::Ok);
                    }
                }
                say!("the node at {} is away; this waits for it", arguments.node.shown());
            }
            // One that is just starting, or has another topology for now.
            Ok(Streamed::Answer(answer)) if connected && !matches!(answer.status, 401 | 403) => {}
            Ok(Streamed::Answer(answer)) => return Err(refusal(arguments, answer.status, &answer.body)),
            Err(error) if connected && error.is::<NoAnswer>() => {}
            Err(error) => return Err(error),
        }
        thread::sleep(AGAIN_AFTER);
    }
    Ok(Exit::Ok)
}

fn path(arguments: &Arguments) -> String {
    let mut path = format!("/api/tap/{}?rate={}", encoded(&arguments.actor), arguments.rate);
    if arguments.input {
        path.push_str("&input=true");
    }
    let asked =
        [("where", &arguments.condition), ("fields", &arguments.fields), ("redact", &arguments.redact)];
    for (name, value) in asked {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    path
}

/// Why there is no stream, and what to do.
fn refusal(arguments: &Arguments, status: u16, body: &[u8]) -> anyhow::Error {
    let text = String::from_utf8_lossy(body);
    let said = serde_json::from_str::<Value>(&text).ok();
    let said = said.as_ref().and_then(|said| said["error"].as_str()).unwrap_or_else(|| text.trim());
    match status {
        400 => WrongUsage(said.to_owned()).into(),
        404 => match actors(&arguments.node) {
            Ok(names) => WrongUsage(format!("{said}; there are: {}", names.join(", "))).into(),
            Err(_) => anyhow::anyhow!("{said}; does that node have taps? ask it: aqueduct --version"),
        },
        401 | 403 => {
            anyhow::anyhow!("{said}; a tap shows rows: set AQUEDUCT_ADMIN_TOKEN to the node's token")
        }
        _ => anyhow::anyhow!("the node answered {status}: {said}"),
    }
}

fn actors(node: &Node) -> Result<Vec<String>> {
    let answer = node.get("/api/actors")?;
    if answer.status != 200 {
        bail!("it answered {}", answer.status);
    }
    let actors: Vec<Value> = serde_json::from_slice(&answer.body)?;
    Ok(actors.iter().filter_map(|actor| Some(actor["name"].as_str()?.to_owned())).collect())
}

struct Tap {
    printer: Printer,
    /// Records that are still wanted; `None` = all.
    left: Option<u64>,
}

impl Tap {
    fn take(&mut self, event: &Event) -> Result<()> {
        match event.name.as_str() {
            "record" => {
                self.left = self.left.map(|left| left - 1);
                self.printer.record(&event.data)
            }
            "missed" => {
                say!("{} records were not shown: they came faster than they were read", event.data);
                Ok(())
            }
            "note" => {
                say!("{}", event.data);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
