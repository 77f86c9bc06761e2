//! The processes of one part, found and signalled without ever trusting a process id.
//!
//! Every process of a part inherits descriptor 9, open on the part's lock file (see `launch.sh`). A process belongs to
//! the part if and only if that descriptor leads to that file; the part has ended when nobody holds the lock any more.
//! A recycled process id therefore cannot be mistaken for ours, and a process that nobody recorded is found all the same.
//! Deliberately absent: pid files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::Error;
use crate::lock::FileLock;
use crate::time::Deadline;

const LOCK_DESCRIPTOR: u32 = 9;
const PAUSE: Duration = Duration::from_millis(5);

/// One process of a part, as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// Clock ticks between boot and its start; orders processes.
    started: u64,
    pub(crate) stopped: bool,
}

/// The set of processes that hold one lock file.
#[derive(Debug, Clone)]
pub(crate) struct ProcessGroup {
    lock: PathBuf,
}

impl ProcessGroup {
    pub(crate) fn new(lock: PathBuf) -> Self {
        ProcessGroup { lock }
    }

    /// The lock file that marks the processes.
    pub(crate) fn lock(&self) -> &Path {
        &self.lock
    }

    /// Whether a process of the part lives.
    pub(crate) fn alive(&self) -> bool {
        FileLock::is_held(&self.lock)
    }

    /// The processes, oldest first: the launcher's shell, the server, then the server's own children.
    pub(crate) fn list(&self) -> Vec<Process> {
        let Ok(lock) = fs::metadata(&self.lock) else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let mut found: Vec<Process> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid| holds(pid, &lock))
            .filter_map(|pid| parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
            .collect();
        found.sort_by_key(|process| (process.started, process.pid));
        found
    }

    /// The server: the oldest process whose parent, the launcher's shell, is of the part too while the shell's is not.
    pub(crate) fn server(&self) -> Option<Process> {
        let all = self.list();
        let shell = all.iter().find(|one| all.iter().all(|other| other.pid != one.parent))?;
        all.iter().find(|one| one.parent == shell.pid).copied()
    }

    /// Sends `signal` to one process if it still belongs to the part.
    pub(crate) fn signal(&self, pid: i32, signal: Signal) {
        // The descriptor pins the process; the check after it makes sure that it pins the right one.
        let (Ok(lock), Some(id)) = (fs::metadata(&self.lock), Pid::from_raw(pid)) else { return };
        let Ok(pinned) = pidfd_open(id, PidfdFlags::empty()) else { return };
        if holds(pid, &lock) {
            // It may have ended by itself in between: then there is nothing to signal.
            let _ = pidfd_send_signal(pinned, signal);
        }
    }

    /// SIGKILL to every process until none is left.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        let gone = Deadline::after(Duration::from_secs(10)).poll(PAUSE, || {
            self.list().iter().for_each(|process| self.signal(process.pid, Signal::KILL));
            (!self.alive()).then_some(())
        });
        gone.ok_or_else(|| self.survivors("survive SIGKILL"))
    }

    /// `signal` asks the server to end; whoever is left at the deadline is killed. True if nobody had to be.
    pub(crate) fn stop(&self, signal: Signal, patience: Duration) -> Result<bool, Error> {
        self.resume();
        if let Some(server) = self.server() {
            self.signal(server.pid, signal);
            if Deadline::after(patience).poll(PAUSE, || (!self.alive()).then_some(())).is_some() {
                return Ok(true);
            }
        }
        self.kill().map(|()| false)
    }

    /// SIGSTOP to the server and all its children; returns when each has stopped.
    pub(crate) fn pause(&self) -> Result<(), Error> {
        let stopped = Deadline::after(Duration::from_secs(10)).poll(PAUSE, || {
            let all = self.below_the_shell();
            // The server is the oldest: stopped first, it cannot fork while the others are being stopped.
            let running: Vec<&Process> = all.iter().filter(|process| !process.stopped).collect();
            running.iter().for_each(|process| self.signal(process.pid, Signal::STOP));
            (running.is_empty() && !all.is_empty()).then_some(())
        });
        stopped.ok_or_else(|| self.survivors("do not stop"))
    }

    /// SIGCONT to everybody, the youngest first.
    pub(crate) fn resume(&self) {
        self.list().iter().rev().for_each(|process| self.signal(process.pid, Signal::CONT));
    }

    /// Whether the server is stopped by [`ProcessGroup::pause`].
    pub(crate) fn paused(&self) -> bool {
        self.server().is_some_and(|server| server.stopped)
    }

    fn below_the_shell(&self) -> Vec<Process> {
        let all = self.list();
        all.iter().filter(|one| all.iter().any(|other| other.pid == one.parent)).copied().collect()
    }

    fn survivors(&self, what: &str) -> Error {
        let pids: Vec<String> = self.list().iter().map(|process| process.pid.to_string()).collect();
        Error::Unusable(format!("processes {} {what} (they hold {})", pids.join(", "), self.lock.display()))
    }
}

/// Whether the process has descriptor 9 open on this very file.
fn holds(pid: i32, lock: &fs::Metadata) -> bool {
    fs::metadata(format!("/proc/{pid}/fd/{LOCK_DESCRIPTOR}"))
        .is_ok_and(|file| file.dev() == lock.dev() && file.ino() == lock.ino())
}

/// Reads a line of `/proc/<pid>/stat`; the name in parentheses may hold anything, parentheses included.
fn parse_stat(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let stopped = matches!(*fields.first()?, "T" | "t");
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        stopped,
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A shell that holds `lock` on descriptor 9, like a launched part.
    fn holder(lock: &Path) -> Child {
        let child = Command::new("sh")
            .args(["-c", "exec 9>>\"$1\"; flock 9; sleep 600 & wait", "holder"])
            .arg(lock)
            .spawn()
            .unwrap();
        let group = ProcessGroup::new(lock.to_path_buf());
        Deadline::after(Duration::from_secs(10))
            .poll(PAUSE, || (group.list().len() == 2).then_some(()))
            .expect("starts");
        child
    }

    #[test]
    fn only_holders_of_the_very_lock_file_are_found_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (dir.path().join("ours"), dir.path().join("other"));
        let (mut child, mut bystander) = (holder(&ours), holder(&other));
        let group = ProcessGroup::new(ours);

        // What a recycled process id would be: somebody else's process. It must not be hit.
        group.signal(bystander.id() as i32, Signal::KILL);
        assert_eq!(group.server().map(|server| server.parent), Some(child.id() as i32));
        group.kill().unwrap();
        child.wait().unwrap();
        assert!(!group.alive());
        assert!(bystander.try_wait().unwrap().is_none(), "the other part was killed too");

        ProcessGroup::new(other).kill().unwrap();
        bystander.wait().unwrap();
    }

    #[test]
    fn pause_stops_the_server_and_resume_continues_it() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        let mut child = holder(&lock);
        let group = ProcessGroup::new(lock);
        group.pause().unwrap();
        assert!(group.paused());
        group.resume();
        let running =
            Deadline::after(Duration::from_secs(10)).poll(PAUSE, || (!group.paused()).then_some(()));
        assert!(running.is_some());
        assert!(group.stop(Signal::TERM, Duration::from_secs(10)).unwrap(), "a resumed server obeys SIGTERM");
        child.wait().unwrap();
    }

    #[test]
    fn a_process_name_may_hold_parentheses_and_spaces() {
        let stat = "42 (a) b (c) T 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        assert_eq!(parse_stat(42, stat), Some(Process { pid: 42, parent: 7, started: 98765, stopped: true }));
    }
}
