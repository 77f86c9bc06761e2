//! `aqueduct new [NAME]`: a topology to begin with.

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
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let name = &arguments.name;
    if !aqueduct_topology::is_name(name) {
        say!("error: `{name}` cannot be a name; write letters, digits, `_` and `-`, a letter first");
        return Ok(Exit::Usage);
    }
    let file = format!("{name}.yaml");
    let text = aqueduct_config::NEW.replacen("NAME", name, 1);
    let mut out = match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(out) => out,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            say!("error: `{file}` is there already, and is left as it is; give another name");
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write `{file}`")),
    };
    out.write_all(text.as_bytes()).with_context(|| format!("cannot write `{file}`"))?;
    writeln!(std::io::stdout().lock(), "wrote {file}; next: aqueduct check {file}")?;
    Ok(Exit::Ok)
}
