//! `aqueduct reload`: asks a running node to read its topology file again and to apply what changed.

mod apply;
mod serve;
mod watched;

pub(crate) use serve::{Origin, serve};

use crate::exit::Exit;
use crate::http::Node;
use crate::output::Format;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// How long a reload may take: actors are stopped in turn, and what was started must hold for a moment.
const RELOAD_MAX: Duration = Duration::from_secs(180);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    node: Node,
    /// The form of what came of it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let answer = arguments.node.post("/api/reload", RELOAD_MAX)?;
    let words = String::from_utf8_lossy(&answer.body);
    if let 401 | 403 = answer.status {
        bail!("the node refuses: {}", words.trim());
    }
    let body: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("the node answered {}: {}", answer.status, words.trim()))?;
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Json => writeln!(out, "{body:#}")?,
        Format::Text => write!(out, "{}", text(&body))?,
    }
    Ok(match answer.status {
        200 => Exit::Ok,
        422 => Exit::Refused,
        _ => Exit::Failed,
    })
}

/// The answer for people: what is wrong or what was done, then where the node stands.
fn text(body: &Value) -> String {
    let word = |key: &str| body[key].as_str().unwrap_or_default();
    let mut text = String::new();
    for part in [word("findings"), word("plan_text")] {
        text.push_str(part);
    }
    if let Some(error) = body["error"].as_str() {
        text.push_str("not applied: ");
        text.push_str(error);
        text.push('\n');
    }
    let generation = &body["generation"];
    text.push_str(&match body["applied"].as_bool() {
        Some(true) => format!("applied: generation {generation}\n"),
        _ => format!("at work: generation {generation}, as before\n"),
    });
    text
}
