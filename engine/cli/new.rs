//! `aqueduct new [NAME]`: a topology to begin with; with `--engine`, a node's settings.

use crate::exit::Exit;
use crate::output::say;
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology's name; the file is NAME.yaml, in this folder.
    #[arg(default_value = "topology")]
    name: String,
    /// Write `engine.yaml` instead: every setting of a node, commented, with its default.
    #[arg(long, conflicts_with = "name")]
    engine: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    if arguments.engine {
        return write("engine.yaml", aqueduct_config::ENGINE, "aqueduct audit config, once a node runs");
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
