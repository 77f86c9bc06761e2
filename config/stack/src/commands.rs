//! What `aqueduct stack up|down|status|env` do; the binary parses the words and calls these. `aqueduct staging` ends its
//! stack and looks at it by the same, and its words are in [`Options::command`].

use std::io::{self, Write};
use std::str::FromStr;

use serde_json::json;

use crate::error::Error;
use crate::instance::Instance;
use crate::options::Options;
use crate::progress::Progress;
use crate::stack::{PartStatus, Stack};

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Tables and sentences.
    #[default]
    Text,
    /// One JSON value.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            other => Err(format!("format `{other}`: use `text` or `json`")),
        }
    }
}

/// Brings the stack up and leaves it running; prints its parts and how to look into them.
///
/// # Errors
/// Those of [`Stack::up`]; an answer that cannot be written.
pub fn up(
    options: &Options,
    format: Format,
    to: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let stack = Stack::up(options, progress)?;
    match format {
        Format::Json => print_json(&stack, to),
        Format::Text => {
            print_table(&stack.status(), to)?;
            line(to, "")?;
            for command in [stack.psql_command(), stack.redis_cli_command()].into_iter().flatten() {
                line(to, &command)?;
            }
            line(to, "end it with: aqueduct stack down")
        }
    }
}

/// Ends the stack; with `purge` its data are deleted too. A stack that is not running is no error.
///
/// # Errors
/// A process that cannot be killed; a mount below the folder; an answer that cannot be written.
pub fn down(options: &Options, purge: bool, format: Format, to: &mut dyn Write) -> Result<(), Error> {
    options.validate()?;
    let instance = Instance::new(&options.dir, &options.name);
    let existed = instance.exists();
    let was_running = existed && instance.any_alive();
    if existed {
        let _lock = instance.lock(|| {})?;
        instance.end(!purge)?;
        if purge {
            instance.delete()?;
        }
    }
    let purged = purge && existed;
    match format {
        Format::Json => line(
            to,
            &json!({ "name": options.name, "was_running": was_running, "purged": purged }).to_string(),
        ),
        Format::Text => {
            let state = if was_running { "ended" } else { "was not running" };
            let data = match (purged, existed) {
                (true, _) => "; its data are deleted".to_owned(),
                (false, true) => format!("; its data stay in {}", instance.folder.display()),
                (false, false) => String::new(),
            };
            line(to, &format!("{} `{}` {state}{data}", options.command, options.name))
        }
    }
}

/// Prints how each part is; true if the stack runs and every part of it is healthy.
///
/// # Errors
/// A folder that cannot be read; an answer that cannot be written.
pub fn status(options: &Options, format: Format, to: &mut dyn Write) -> Result<bool, Error> {
    let stack = Stack::attach(options)?;
    match (&stack, format) {
        (Some(stack), Format::Json) => print_json(stack, to)?,
        (Some(stack), Format::Text) => print_table(&stack.status(), to)?,
        (None, Format::Json) => line(to, &json!({ "name": options.name, "parts": [] }).to_string())?,
        (None, Format::Text) => line(to, &not_running(options))?,
    }
    Ok(stack.is_some_and(|stack| stack.status().iter().all(|part| part.healthy)))
}

/// Prints the variables that lead a program to the stack, ready for `eval`.
///
/// # Errors
/// The stack is not running; an answer that cannot be written.
pub fn env(options: &Options, format: Format, to: &mut dyn Write) -> Result<(), Error> {
    let stack = Stack::attach(options)?.ok_or_else(|| Error::Unusable(not_running(options)))?;
    match format {
        Format::Json => {
            let pairs = stack.env().into_iter().map(|(name, value)| (name, value.into()));
            line(to, &serde_json::Value::Object(pairs.collect()).to_string())
        }
        Format::Text => stack
            .env()
            .iter()
            .try_for_each(|(name, value)| line(to, &format!("export {name}={}", quoted(value)))),
    }
}

/// What is said where something is asked of a stack that does not run.
#[must_use]
pub fn not_running(options: &Options) -> String {
    let command = options.command;
    format!("{command} `{}` is not running; start it with: aqueduct {command} up", options.name)
}

/// A shell word, quoted if it holds anything that a shell might read otherwise.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn print_json(stack: &Stack, to: &mut dyn Write) -> Result<(), Error> {
    let env: serde_json::Map<_, _> =
        stack.env().into_iter().map(|(name, value)| (name, value.into())).collect();
    let value =
        json!({ "name": stack.name(), "folder": stack.folder(), "parts": stack.status(), "env": env });
    line(to, &value.to_string())
}

/// A table of the parts; below it, what is wrong with those that are not well.
///
/// # Errors
/// An answer that cannot be written.
pub fn print_table(parts: &[PartStatus], to: &mut dyn Write) -> Result<(), Error> {
    let row = |cells: [&str; 6]| {
        let [part, state, health, port, pid, version] = cells;
        format!("{part:<10} {state:<8} {health:<10} {port:>5} {pid:>8}  {version}").trim_end().to_owned()
    };
    line(to, &row(["PART", "STATE", "HEALTH", "PORT", "PID", "VERSION"]))?;
    for part in parts {
        let port = part.port.map(|port| port.to_string()).unwrap_or_default();
        let pid = part.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let health = if part.healthy { "healthy" } else { "unhealthy" };
        let version = part.version.as_deref().unwrap_or_default();
        line(to, &row([part.part.name(), part.state, health, &port, &pid, version]))?;
    }
    for part in parts {
        let Some(why) = &part.why else { continue };
        let log = part.log.as_ref().map(|log| format!("; its log: {}", log.display())).unwrap_or_default();
        line(to, &format!("{}: {why}{log}", part.part))?;
    }
    Ok(())
}

/// Writes a line; a reader that has gone away, as in `| head`, is no error.
fn line(to: &mut dyn Write, text: &str) -> Result<(), Error> {
    match writeln!(to, "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Request { doing: "write the answer".into(), why: error.to_string() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::StackDir;
    use crate::options::Lifetime;

    #[test]
    fn values_survive_the_shell() {
        assert_eq!(quoted("redis://127.0.0.1:1/0"), "redis://127.0.0.1:1/0");
        assert_eq!(quoted("a'b c&d"), r"'a'\''b c&d'");
    }

    #[test]
    fn a_stack_that_never_ran_is_said_not_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(StackDir::new(dir.path()).unwrap(), "never", Lifetime::Kept);
        let mut out = Vec::new();
        assert!(!status(&options, Format::Text, &mut out).unwrap());
        assert!(env(&options, Format::Text, &mut out).unwrap_err().to_string().contains("aqueduct stack up"));
        down(&options, true, Format::Json, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("`never` is not running") && text.contains("\"was_running\":false"), "{text}");
    }
}
