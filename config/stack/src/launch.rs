//! Starts a part's server through `launch.sh`, in a session of its own and, for Debian's servers, in its own namespaces.
//!
//! Invariant: text for the shell is constant; every path, name and number is a positional argument.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use crate::dir::{create, write_whole};
use crate::environment::variable;
use crate::error::Error;
use crate::process::ProcessGroup;
use crate::time::Deadline;

const LAUNCH: &str = include_str!("launch.sh");
const WATCH: &str = include_str!("watch.sh");

/// A log is set aside once it is larger than this.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// The launcher's name in the folder of scripts.
pub(crate) const SCRIPT: &str = "launch.sh";

/// Writes the two scripts into `folder`.
pub(crate) fn install_scripts(folder: &Path) -> Result<(), Error> {
    create(folder)?;
    for (name, text) in [(SCRIPT, LAUNCH), ("watch.sh", WATCH)] {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        write_whole(&path, text)?;
    }
    Ok(())
}

/// Where a server runs.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A plain process of this user.
    Plain,
    /// Inside the Debian root, as `uid:gid`, in its own mount and process namespaces.
    Root { root: PathBuf, uid: u32, gid: u32 },
}

/// Everything about a launch that is not the server's own command.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) script: PathBuf,
    pub(crate) lock: PathBuf,
    pub(crate) users: PathBuf,
    pub(crate) kept: PathBuf,
    pub(crate) linger_seconds: u64,
    pub(crate) place: Place,
    /// The part's own folder.
    pub(crate) folder: PathBuf,
    pub(crate) log: PathBuf,
    /// Beside the search path and the language; nothing of ours is handed on.
    pub(crate) environment: Vec<(String, String)>,
}

/// A launched process.
#[derive(Debug)]
pub(crate) struct Running {
    /// Receives once, whether the process succeeded.
    exit: Receiver<bool>,
}

impl Running {
    /// Whether the process has ended and been reaped; true once is enough to know.
    pub(crate) fn ended(&self) -> bool {
        !matches!(self.exit.try_recv(), Err(TryRecvError::Empty))
    }
}

impl Launch {
    /// Starts `server` and returns at once; its output goes to the log.
    pub(crate) fn start(&self, server: &[OsString]) -> Result<Running, Error> {
        let mut child = self.spawn(server)?;
        let (report, exit) = sync_channel(1);
        // Reaps the process whenever it ends, also if nobody is interested any more.
        thread::spawn(move || report.send(child.wait().is_ok_and(|status| status.success())));
        Ok(Running { exit })
    }

    /// Runs `tool` in the same place until it ends; true if it succeeded in time.
    pub(crate) fn run(&self, tool: &[OsString], deadline: Deadline) -> Result<bool, Error> {
        match self.start(tool)?.exit.recv_timeout(deadline.left()) {
            Ok(succeeded) => Ok(succeeded),
            Err(_) => ProcessGroup::new(self.lock.clone()).kill().map(|()| false),
        }
    }

    fn spawn(&self, server: &[OsString]) -> Result<Child, Error> {
        let log = self.open_log()?;
        let errors = log.try_clone().map_err(Error::io("open", &self.log))?;
        let mut command = Command::new("setsid");
        let (root, owner) = match &self.place {
            Place::Plain => (OsString::from("-"), OsString::from("-")),
            Place::Root { root, uid, gid } => {
                command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]);
                (root.clone().into(), format!("{uid}:{gid}").into())
            }
        };
        command.arg("sh").arg(&self.script).args([&self.lock, &self.users, &self.kept]);
        command.arg(self.linger_seconds.to_string()).arg(root).arg(&self.folder).arg(owner).args(server);
        command.env_clear().env("PATH", path()).env("LANG", "C.UTF-8").env("HOME", "/");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command.spawn().map_err(Error::io("start", Path::new("setsid")))
    }

    fn open_log(&self) -> Result<File, Error> {
        if let Some(parent) = self.log.parent() {
            create(parent)?;
        }
        if fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            fs::rename(&self.log, self.log.with_extension("log.1"))
                .map_err(Error::io("set aside", &self.log))?;
        }
        File::options().create(true).append(true).open(&self.log).map_err(Error::io("open", &self.log))
    }
}

/// The caller's search path, with the system's own folders at its end: `chroot` and `unshare` may be there only.
pub(crate) fn path() -> String {
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    variable("PATH").map_or_else(|| system.to_owned(), |own| format!("{own}:{system}"))
}

/// A server's command line from anything that can be an argument.
pub(crate) fn arguments<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Vec<OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(16 << 10)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
