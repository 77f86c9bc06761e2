//! A replay that somebody asked for on the page: `aqueduct dlq replay`, as a process of its own.
//!
//! A process, because a replay is an application of its own with rules of its own: whatever it dies of, and whatever memory
//! it takes, the node's actors are not concerned. It may run beside nodes, be killed anywhere and be run again (ADR 0017);
//! so it is killed when the node stops waiting for it.

use aqueduct_engine::archive::LetterChoice;
use aqueduct_engine::events::Events;
use aqueduct_engine::{Class, Clock, Error};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What it says is told so often at most: the ring of events has better things to keep.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// The longest result and the longest line that are read.
const RESULT_BYTES_MAX: u64 = 64 * 1024;
/// What the node was given and a replay needs not.
const NOT_PASSED_ON: [&str; 2] = ["AQUEDUCT_ADMIN_TOKEN", "AQUEDUCT_ADMIN_LISTEN"];

fn arguments(choice: &LetterChoice) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["dlq", "replay"].map(OsString::from).into();
    // An actor may be called like a flag, so names are joined to theirs.
    arguments.push(format!("--actor={}", choice.actor).into());
    if let Some(reason) = &choice.reason {
        arguments.push(format!("--reason={reason}").into());
    }
    if choice.again {
        arguments.push("--again".into());
    }
    arguments
}

/// What a person would type, for a shell.
pub(super) fn command_line(file: &Path, choice: &LetterChoice) -> String {
    let words = arguments(choice);
    let words = words.iter().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>();
    format!("aqueduct {} -- {}", words.join(" "), quoted(&file.to_string_lossy()))
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Ends the process with whoever waits for it.
struct Running(Arc<Mutex<Child>>);

impl Drop for Running {
    fn drop(&mut self) {
        // Who holds it now waits for its end, which has come: it has closed its outputs.
        if let Ok(mut child) = self.0.try_lock() {
            let _ = child.kill();
        }
    }
}

/// Runs it to its end; what it says on the way is told as events.
pub(super) async fn run(file: &Path, choice: &LetterChoice, events: Events) -> Result<String, Error> {
    let failed =
        |error: std::io::Error| Error::new(Class::Capacity, format!("cannot start the replay: {error}"));
    // Through /proc, or a node whose file was replaced meanwhile would run another version.
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments(choice)).args(["--format", "json", "--"]).arg(file);
    for name in NOT_PASSED_ON {
        command.env_remove(name);
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let child = Arc::new(Mutex::new(child));
    let _running = Running(child.clone());
    let (sender, ended) = oneshot::channel();
    let subject: Arc<str> = choice.actor.as_str().into();
    std::thread::Builder::new()
        .name("replay".into())
        .spawn(move || {
            let said = stderr.map(|stderr| listen(stderr, &subject, &events)).unwrap_or_default();
            let mut result = String::new();
            if let Some(stdout) = stdout {
                // What cannot be read is no result, which is said below.
                let _ = stdout.take(RESULT_BYTES_MAX).read_to_string(&mut result);
            }
            let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
            let _ = sender.send((status, result, said));
        })
        .map_err(failed)?;
    let (status, result, said) = ended.await.map_err(|_| Error::bug("the replay's thread ended"))?;
    match (status.map_err(failed)?.success(), summary(&result)) {
        (true, Some(words)) => Ok(words),
        (false, Some(words)) => Err(Error::new(Class::Transient, format!("{said}; {words}"))),
        (_, None) => Err(Error::new(Class::Config, said)),
    }
}

/// Tells what it says, now and then; gives its last words.
fn listen(stderr: impl Read, subject: &Arc<str>, events: &Events) -> String {
    let clock = Clock::system();
    let (mut told, mut last) = (None, String::new());
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(RESULT_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return last,
            Ok(_) => {}
        }
        let words = String::from_utf8_lossy(&line).trim().to_owned();
        if words.is_empty() {
            continue;
        }
        let now = clock.now();
        if told.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_EVERY) {
            events.enter(subject, "replaying", words.clone());
            told = Some(now);
        }
        last = words;
    }
}

/// The result for people.
fn summary(result: &str) -> Option<String> {
    let result: Value = serde_json::from_str(result).ok()?;
    let count = |key: &str| result[key].as_i64();
    Some(format!(
        "{} taken: {} written, {} filtered, {} failed again, {} left",
        count("taken")?,
        count("written")?,
        count("filtered")?,
        count("failed_again")?,
        count("left")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_means_what_was_shown() {
        let choice = |actor: &str, reason: &str| LetterChoice {
            actor: actor.into(),
            reason: Some(reason.into()),
            again: false,
        };
        let line = |choice| command_line(Path::new("/etc/aqueduct/trades.yaml"), &choice);
        assert_eq!(
            line(choice("trades", "not_json")),
            "aqueduct dlq replay --actor=trades --reason=not_json -- /etc/aqueduct/trades.yaml"
        );
        let hostile = line(choice("--help", "it's $(reboot)\n`x`"));
        assert_eq!(
            hostile,
            "aqueduct dlq replay --actor=--help '--reason=it'\\''s $(reboot)\n`x`' -- /etc/aqueduct/trades.yaml"
        );
    }

    #[test]
    fn a_result_is_told_in_words() {
        let result = r#"{"taken": 3, "written": 2, "filtered": 0, "failed_again": 1, "left": 0}"#;
        assert_eq!(
            summary(result).as_deref(),
            Some("3 taken: 2 written, 0 filtered, 1 failed again, 0 left")
        );
        assert_eq!(summary("oops"), None);
    }
}
