//! Fetches the servers' software on first use: each piece into a folder of a new name, renamed when it is complete.
//!
//! Invariant: a folder below `parts/` that does not begin with `.` is complete and verified. One process provisions at
//! a time; a second one waits, and finds the work done.

pub(crate) mod apt;
mod checksums;
pub(crate) mod debian;
pub(crate) mod kafka;
mod package;
pub(crate) mod prometheus;
pub(crate) mod spark;
pub(crate) mod toxiproxy;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::dir::{StackDir, create, remove_tree};
use crate::error::Error;
use crate::launch;
use crate::lock::FileLock;
use crate::part::Part;
use crate::progress::Progress;
use crate::spark::Spark;

/// One thing that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    /// The broker's jars.
    Kafka,
    /// The root with PostgreSQL and Redis.
    Debian,
    /// Toxiproxy's program.
    Toxiproxy,
    /// The programs of Prometheus and Alertmanager.
    Prometheus,
    /// Spark, its Python side, a driver.
    Spark,
}

impl Piece {
    fn folder(self, dir: &StackDir) -> PathBuf {
        match self {
            Piece::Kafka => kafka::folder(dir),
            Piece::Debian => debian::folder(dir),
            Piece::Toxiproxy => toxiproxy::folder(dir),
            Piece::Prometheus => prometheus::folder(dir),
            Piece::Spark => spark::folder(dir),
        }
    }

    /// What the reader is told before the first byte is downloaded.
    fn announcement(self) -> &'static str {
        match self {
            Piece::Kafka => kafka::ANNOUNCEMENT,
            Piece::Debian => debian::ANNOUNCEMENT,
            Piece::Toxiproxy => toxiproxy::ANNOUNCEMENT,
            Piece::Prometheus => prometheus::ANNOUNCEMENT,
            Piece::Spark => spark::ANNOUNCEMENT,
        }
    }

    fn fetch(self, dir: &StackDir, mirror: Option<&str>, progress: &dyn Progress) -> Result<(), Error> {
        match self {
            Piece::Kafka => kafka::fetch(dir, progress),
            Piece::Debian => debian::fetch(dir, mirror, progress),
            Piece::Toxiproxy => toxiproxy::fetch(dir, progress),
            Piece::Prometheus => prometheus::fetch(dir, progress),
            Piece::Spark => spark::fetch(dir, progress),
        }
    }
}

/// Where the software is; `None` where every part that needs it is the user's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Software {
    /// Kafka's jars.
    pub(crate) kafka: Option<PathBuf>,
    /// The Debian root with PostgreSQL and Redis.
    pub(crate) debian: Option<debian::Debian>,
    /// Toxiproxy's program.
    pub(crate) toxiproxy: Option<PathBuf>,
    /// The folder of Prometheus' programs.
    pub(crate) prometheus: Option<PathBuf>,
}

impl Software {
    /// What is already there; nothing is fetched.
    pub(crate) fn present(dir: &StackDir) -> Result<Self, Error> {
        let debian = debian::folder(dir);
        Ok(Software {
            kafka: Some(kafka::folder(dir).join("libs")).filter(|libs| libs.exists()),
            debian: if debian.exists() { Some(debian::Debian::open(&debian)?) } else { None },
            toxiproxy: Some(toxiproxy::program(dir)).filter(|program| program.exists()),
            prometheus: Some(prometheus::folder(dir)).filter(|folder| folder.exists()),
        })
    }
}

/// What `parts` need and still has to be fetched.
pub(crate) fn missing(dir: &StackDir, parts: &[Part]) -> BTreeSet<Piece> {
    absent(dir, parts.iter().filter_map(|part| part.piece()))
}

fn absent(dir: &StackDir, pieces: impl Iterator<Item = Piece>) -> BTreeSet<Piece> {
    pieces.filter(|piece| !piece.folder(dir).exists()).collect()
}

/// Fetches Spark if it is not there yet.
pub(crate) fn spark(dir: &StackDir, progress: &dyn Progress) -> Result<Spark, Error> {
    fetch_absent(dir, &|| absent(dir, [Piece::Spark].into_iter()), None, progress)?;
    Ok(Spark { home: spark::home(dir), python: Some(spark::python(dir)), driver: spark::driver(dir) })
}

/// Fetches what `parts` need and is not there yet. `mirror` replaces the Debian mirror of the machine's apt sources.
pub(crate) fn provision(
    dir: &StackDir,
    parts: &[Part],
    mirror: Option<&str>,
    progress: &dyn Progress,
) -> Result<Software, Error> {
    fetch_absent(dir, &|| missing(dir, parts), mirror, progress)?;
    Software::present(dir)
}

fn fetch_absent(
    dir: &StackDir,
    absent: &dyn Fn() -> BTreeSet<Piece>,
    mirror: Option<&str>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    if absent().is_empty() {
        return Ok(());
    }
    create(&dir.parts())?;
    let waiting = || progress.note("another process is provisioning the stack's software; waiting for it");
    let _lock = FileLock::exclusive(&dir.parts().join(".lock"), waiting)?;
    discard_partial(&dir.parts())?;
    let missing = absent();
    announce(dir, &missing, progress);
    fetch(dir, &missing, mirror, progress)
}

/// Fetches all side by side: one waits for the network while the other unpacks.
fn fetch(
    dir: &StackDir,
    missing: &BTreeSet<Piece>,
    mirror: Option<&str>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    thread::scope(|scope| {
        let threads: Vec<_> =
            missing.iter().map(|piece| scope.spawn(|| piece.fetch(dir, mirror, progress))).collect();
        let result = |thread: thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(result).fold(Ok(()), Result::and)
    })
}

/// Says what will be downloaded before the first byte is.
fn announce(dir: &StackDir, missing: &BTreeSet<Piece>, progress: &dyn Progress) {
    if !missing.is_empty() {
        progress.note(&format!("The stack's software is fetched once, into {}:", dir.parts().display()));
    }
    missing.iter().for_each(|piece| progress.note(piece.announcement()));
}

/// Removes what interrupted runs have left. The lock is held, and their tools died with them.
pub(crate) fn discard_partial(parts: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(parts).map_err(Error::io("read", parts))? {
        let path = entry.map_err(Error::io("read", parts))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".partial-")) {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

/// A new folder for one piece of software, beside the place it will be renamed to.
pub(crate) fn partial(dir: &StackDir, name: &str) -> Result<PathBuf, Error> {
    let path = dir.parts().join(format!(".partial-{name}"));
    create(&path)?;
    Ok(path)
}

/// A tool that dies with this process, even if that is killed.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(name).env("PATH", launch::path());
    command
}

/// Runs a tool to its end; `line` sees each line of its output. A failure carries the output's tail.
pub(crate) fn run(what: &str, mut command: Command, mut line: impl FnMut(&str)) -> Result<String, Error> {
    let failed = |why: String| Error::Provision { what: what.to_owned(), why };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("{command:?}: {error}")))?;
    let errors = child.stderr.take().map(|mut pipe| {
        thread::spawn(move || {
            let mut text = Vec::new();
            // What could be read is shown; that is all this is for.
            let _ = pipe.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let mut output = String::new();
    for text in
        child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines()).map_while(Result::ok)
    {
        line(&text);
        output.push_str(&text);
        output.push('\n');
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let errors = errors.and_then(|reader| reader.join().ok()).unwrap_or_default();
    if status.success() {
        return Ok(output);
    }
    let all: Vec<&str> = output.lines().chain(errors.lines()).collect();
    let tail = all[all.len().saturating_sub(15)..].join("\n");
    let name = command.get_args().nth(3).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Err(failed(format!("`{name}` failed ({status}):\n{tail}")))
}

/// Puts a complete folder in its place, once all of it is on the disk.
pub(crate) fn publish(partial: &Path, folder: &Path) -> Result<(), Error> {
    let disk = File::open(partial).map_err(Error::io("open", partial))?;
    rustix::fs::syncfs(&disk).map_err(|error| Error::io("write", partial)(error.into()))?;
    fs::rename(partial, folder).map_err(Error::io("create", folder))
}
