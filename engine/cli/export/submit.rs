//! Submits a program to Spark, and hears what it says: a line of JSON for each event.
//!
//! The driver runs as our child and dies with us, even if we are killed: what goes on afterwards could meet whoever takes
//! up the run. Its tasks write where nobody looks until the driver has said that they are done.

use super::options::How;
use super::order::Workshop;
use anyhow::{Context, Result};
use aqueduct_stack::spark::Spark;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The end of the log that is shown where Spark failed without a word of ours.
const TAIL_BYTES: u64 = 1_500;
/// How the programs are told the password.
const PASSWORD_VARIABLE: &str = "AQUEDUCT_EXPORT_PASSWORD";

/// What a program came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Ended {
    /// It did what it was told, and this is its last word.
    Done(Value),
    /// It would not; nothing was changed.
    Refused(String),
    /// It failed, or died.
    Failed(String),
}

/// Runs `program` of the workshop; `heard` gets every event. With `password` it reaches the database.
pub(crate) fn submit(
    spark: &Spark,
    how: &How,
    workshop: &Workshop,
    program: &str,
    password: Option<&SecretString>,
    heard: &mut dyn FnMut(&Value),
) -> Result<Ended> {
    let log = workshop.path().join("spark.log");
    let errors = File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
    let mut command = command(spark, how, workshop, program);
    match password {
        Some(password) => command.env(PASSWORD_VARIABLE, password.expose_secret()),
        None => command.env_remove(PASSWORD_VARIABLE),
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .context("cannot start spark-submit through setpriv (of util-linux)")?;
    let output = child.stdout.take().expect("invariant: the output is piped");
    let mut last = None;
    for line in BufReader::new(output).lines() {
        let Ok(event) = serde_json::from_str::<Value>(&line?) else { continue };
        heard(&event);
        last = Some(event);
    }
    let status = child.wait()?;
    let last = last.unwrap_or_default();
    let message = |event: &Value| event["message"].as_str().unwrap_or_default().to_owned();
    Ok(match last["event"].as_str() {
        Some("refused") => Ended::Refused(message(&last)),
        Some("failed") => Ended::Failed(message(&last)),
        Some("published" | "nothing" | "verified" | "written") => Ended::Done(last),
        _ => Ended::Failed(format!(
            "Spark ended ({status}) before it was done; the end of its log, which is kept as {}:\n{}",
            keep(&log).display(),
            tail(&log)
        )),
    })
}

fn command(spark: &Spark, how: &How, workshop: &Workshop, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(spark.home.join("bin/spark-submit"));
    command.args(["--master", &how.master]).arg("--jars").arg(&spark.driver);
    let mut settings = vec![
        "spark.ui.enabled=false",
        "spark.driver.extraJavaOptions=-Duser.timezone=UTC",
        "spark.executor.extraJavaOptions=-Duser.timezone=UTC",
    ];
    if how.master.starts_with("local") || how.master.starts_with("spark://127.0.0.1") {
        settings.extend(["spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1"]);
        command.env("SPARK_LOCAL_IP", "127.0.0.1");
    }
    for setting in settings.into_iter().chain(how.conf.iter().map(String::as_str)) {
        command.args(["--conf", setting]);
    }
    command.arg(workshop.path().join(program)).arg(workshop.path().join("order.json"));
    command.env("SPARK_HOME", &spark.home).env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(python) = &spark.python {
        command.env("PYTHONPATH", python);
    }
    command
}

/// The workshop goes; its log may be wanted.
fn keep(log: &Path) -> PathBuf {
    let kept = std::env::temp_dir().join(format!("aqueduct-export-{}.log", std::process::id()));
    // It is shown all the same.
    let _ = std::fs::copy(log, &kept);
    kept
}

fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
