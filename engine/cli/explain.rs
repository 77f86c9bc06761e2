//! `aqueduct explain CODE`: the page of a diagnostic.

use crate::exit::Exit;
use anyhow::Result;
use aqueduct_topology::Code;
use std::io::Write;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Such as `T012`.
    code: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let wanted = arguments.code.to_uppercase();
    let Some(code) = Code::ALL.iter().find(|code| code.id() == wanted) else {
        let (first, last) = (Code::ALL[0].id(), Code::ALL[Code::ALL.len() - 1].id());
        crate::output::say!("error: there is no code `{}`; codes run from {first} to {last}", arguments.code);
        return Ok(Exit::Usage);
    };
    write!(std::io::stdout().lock(), "{}", code.page())?;
    Ok(Exit::Ok)
}
