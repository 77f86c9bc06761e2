//! `aqueduct plan FILE`: what the file would change, on a running node or since a saved form.

use crate::exit::{Exit, RefusedConfiguration};
use crate::http::Node;
use crate::output::Format;
use crate::{file, identity};
use anyhow::{Context, Result, bail};
use aqueduct_topology::plan::{Form, Plan, VERSION};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    #[command(flatten)]
    node: Node,
    /// Compare with a form that `--save` wrote, instead of a running node.
    #[arg(long, value_name = "FORM", conflicts_with = "save")]
    saved: Option<PathBuf>,
    /// Write the file's own form there, for a later `--saved`, and compare with nothing.
    #[arg(long, value_name = "FORM")]
    save: Option<PathBuf>,
    /// The form of the plan.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let new = identity::of(&file::read(&arguments.file)?.accepted()?);
    if let Some(path) = &arguments.save {
        let text = serde_json::to_string_pretty(&new)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        return Ok(Exit::Ok);
    }
    let old = match &arguments.saved {
        Some(path) => saved(path)?,
        None => running(&arguments.node)?,
    };
    let plan = Plan::between(&old, &new);
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => write!(out, "{plan}")?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&plan)?)?,
    }
    Ok(if plan.changes { Exit::Changes } else { Exit::Ok })
}

/// A form from a file.
fn saved(path: &Path) -> Result<Form> {
    let text = std::fs::read(path)
        .with_context(|| format!("cannot read `{}`", path.display()))
        .context(RefusedConfiguration)?;
    let form = serde_json::from_slice(&text).context("it is no JSON").and_then(read);
    form.with_context(|| format!("`{}` is no form that `plan --save` wrote", path.display()))
        .context(RefusedConfiguration)
}

/// The form that a node runs.
pub(crate) fn running(node: &Node) -> Result<Form> {
    let answer = node.get("/api/topology?form=canonical")?;
    let words = String::from_utf8_lossy(&answer.body);
    match answer.status {
        200 => {}
        401 | 403 => {
            bail!("the node shows its topology to nobody without its token; set AQUEDUCT_ADMIN_TOKEN")
        }
        status => bail!("the node at {} answered {status}: {}", node.url, words.trim()),
    }
    let mut topology: Value = serde_json::from_slice(&answer.body).context("the node's answer is no JSON")?;
    match topology.get_mut("canonical").map(Value::take) {
        None | Some(Value::Null) => bail!("the node at {} does not tell its topology", node.url),
        Some(form) => {
            read(form).context("the node's topology cannot be read; it runs another version of Aqueduct")
        }
    }
}

fn read(form: Value) -> Result<Form> {
    match form.get("version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => Ok(serde_json::from_value(form)?),
        Some(version) => bail!("its form has version {version}, this program compares version {VERSION}"),
        None => bail!("it has no version"),
    }
}
