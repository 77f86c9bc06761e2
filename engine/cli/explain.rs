//! `aqueduct explain FILE`: what a topology will do; `aqueduct explain CODE`: the page of a diagnostic.

use crate::exit::Exit;
use crate::file;
use crate::output::Format;
use crate::settings::Config;
use anyhow::Result;
use aqueduct_topology::{Code, explain};
use std::io::Write;
use std::path::Path;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A topology file, or a code such as `T012`.
    #[arg(value_name = "FILE|CODE")]
    what: String,
    #[command(flatten)]
    config: Config,
    /// The form of a topology's explanation.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let what = &arguments.what;
    match is_code(what) {
        true => page(what),
        false => topology(Path::new(what), arguments),
    }
}

/// `T` and three digits; a file of such a name is reached as `./T012`.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['T', 't']);
    digits.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn page(written: &str) -> Result<Exit> {
    let wanted = written.to_uppercase();
    let Some(code) = Code::ALL.iter().find(|code| code.id() == wanted) else {
        let (first, last) = (Code::ALL[0].id(), Code::ALL[Code::ALL.len() - 1].id());
        crate::output::say!("error: there is no code `{written}`; codes run from {first} to {last}");
        return Ok(Exit::Usage);
    };
    write!(std::io::stdout().lock(), "{}", code.page())?;
    Ok(Exit::Ok)
}

fn topology(path: &Path, Arguments { config, format, .. }: &Arguments) -> Result<Exit> {
    let explanation = explain::explain(&file::read(path)?.accepted()?, config.arbiters()?);
    let text = match format {
        Format::Text => explain::to_text(&explanation),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&explanation)?),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::is_code;

    #[test]
    fn a_code_is_a_letter_and_three_digits() {
        assert!(is_code("T012") && is_code("t012"));
        assert!(["T12", "T0123", "./T012", "T01a", "topology.yaml", ""].iter().all(|text| !is_code(text)));
    }
}
