//! `aqueduct new [NAME]`: a topology to begin with; with `--engine`, a node's settings; with `--monitoring`, what watches
//! nodes.

use crate::exit::Exit;
use crate::output::say;
use anyhow::{Context, Result};
use aqueduct_config::monitoring;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology's name; the file is NAME.yaml, in this folder.
    #[arg(default_value = "topology")]
    name: String,
    /// Write `engine.yaml` instead: every setting of a node, commented, with its default.
    #[arg(long, conflicts_with = "name")]
    engine: bool,
    /// Write into this folder what watches nodes instead: alert rules with their tests, routes, runbooks, dashboards.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["name", "engine"])]
    monitoring: Option<PathBuf>,
    /// Where the runbooks will be read, such as `https://wiki.example/aqueduct/`; alerts lead there.
    #[arg(long, value_name = "URL", requires = "monitoring")]
    runbooks: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    if arguments.engine {
        return write("engine.yaml", aqueduct_config::ENGINE, "aqueduct audit config, once a node runs");
    }
    if let Some(folder) = &arguments.monitoring {
        return monitoring(folder, arguments.runbooks.as_deref());
    }
    let name = &arguments.name;
    if !aqueduct_topology::is_name(name) {
        say!("error: `{name}` cannot be a name; write letters, digits, `_` and `-`, a letter first");
        return Ok(Exit::Usage);
    }
    let file = format!("{name}.yaml");
    let text = aqueduct_config::NEW.replacen("NAME", name, 1);
    write(&file, &text, &format!("aqueduct check {file}"))
}

/// Writes what watches nodes into a folder that is not there yet, or empty.
fn monitoring(folder: &Path, runbooks: Option<&str>) -> Result<Exit> {
    let shown = folder.display();
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        say!("error: `{shown}` is not empty, and is left as it is; name another folder, or move it away");
        return Ok(Exit::Failed);
    }
    for file in monitoring::all() {
        let place = folder.join(file.folder);
        fs::create_dir_all(&place).with_context(|| format!("cannot make `{}`", place.display()))?;
        let path = place.join(file.name);
        let text = match runbooks {
            Some(url) if file.name.ends_with(".rules.yaml") => {
                let there = format!("runbook_url: {}/", url.trim_end_matches('/'));
                file.text.replace(&format!("runbook_url: {}", monitoring::RUNBOOKS_HERE), &there)
            }
            _ => file.text.to_owned(),
        };
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let next = format!("promtool check config {}", folder.join("alerts/prometheus.yaml").display());
    writeln!(std::io::stdout().lock(), "wrote {shown}; next: {next}")?;
    Ok(Exit::Ok)
}

/// Writes a file that is not there yet, and says what comes next.
fn write(file: &str, text: &str, next: &str) -> Result<Exit> {
    let mut out = match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(out) => out,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            say!(
                "error: `{file}` is there already, and is left as it is; give another name, or move it away"
            );
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write `{file}`")),
    };
    out.write_all(text.as_bytes()).with_context(|| format!("cannot write `{file}`"))?;
    writeln!(std::io::stdout().lock(), "wrote {file}; next: {next}")?;
    Ok(Exit::Ok)
}
