//! A node under test: the product's binary as a process of its own, watched from outside.

use super::wait;
use super::world::World;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// How long a node may take to answer at all.
const START_MAX: Duration = Duration::from_secs(30);

pub struct Node {
    child: Child,
    pub admin: SocketAddr,
    log: std::path::PathBuf,
}

/// How a node is started.
#[derive(Clone, Copy, Default)]
pub struct Launch<'a> {
    pub name: &'a str,
    /// After `aqueduct run FILE`.
    pub arguments: &'a [&'a str],
    pub environment: &'a [(&'a str, &'a str)],
    /// A program, with its arguments, that becomes the node, such as `prlimit`.
    pub through: &'a [&'a str],
    /// Where it prints and logs to, if not to its log.
    pub output: Option<&'a Path>,
}

impl Node {
    /// Starts `aqueduct run FILE` with further arguments.
    pub fn start(world: &World, file: &Path, name: &str, arguments: &[&str]) -> Self {
        Self::start_with(world, file, name, arguments, &[])
    }

    /// The same with further environment.
    pub fn start_with(
        world: &World,
        file: &Path,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::launch(world, file, &Launch { name, arguments, environment, ..Launch::default() })
    }

    pub fn launch(world: &World, file: &Path, launch: &Launch<'_>) -> Self {
        let admin = free_address();
        let log = world.folder().join(format!("{}.log", launch.name));
        let mut open = std::fs::File::options();
        let to = match launch.output {
            Some(output) => open.write(true).open(output),
            None => open.create(true).append(true).open(&log),
        };
        let to = to.expect("a log file");
        let child = world
            .mortal_aqueduct(launch.through)
            .arg("run")
            .arg(file)
            .args(launch.arguments)
            .env("AQUEDUCT_ADMIN_LISTEN", admin.to_string())
            .env("AQUEDUCT_NODE", launch.name)
            .envs(launch.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(to.try_clone().expect("a second handle"))
            .stderr(to)
            .spawn()
            .expect("the binary starts");
        Self { child, admin, log }
    }

    /// What it printed and logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `/proc/<pid>/status` of the process.
    pub fn proc_status(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs")
    }

    /// `/proc/<pid>/cmdline`: what every user of the machine can read.
    pub fn command_line(&self) -> String {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.child.id())).expect("the process runs");
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    /// The most memory it has used, MiB.
    pub fn peak_memory_mib(&self) -> u64 {
        self.memory_mib("VmHWM:")
    }

    /// A line of `/proc/<pid>/status`, MiB.
    pub fn memory_mib(&self, line: &str) -> u64 {
        let status = self.proc_status();
        let found = status.lines().find_map(|found| found.strip_prefix(line)).expect("a line of memory");
        found.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// How long the process has kept a processor busy.
    pub fn processor_time(&self) -> Duration {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the process runs");
        // The second field is a name and may hold anything; user and system time are the 14th and the 15th.
        let rest = stat.rsplit_once(')').expect("a name").1;
        let ticks =
            rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks"));
        Duration::from_secs_f64(ticks.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// How many files, sockets among them, the process has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the process runs").count()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process id");
        kill_process(pid, signal).expect("the process is ours");
    }

    /// `kill -9`, and gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub fn hangup(&self) {
        self.signal(Signal::HUP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for its end.
    pub fn exit_code(mut self, bound: Duration) -> i32 {
        let status = self.exit_status(bound);
        status
            .code()
            .unwrap_or_else(|| panic!("the node was ended by a signal: {status}; log:\n{}", self.log()))
    }

    /// The same, where a signal may end it.
    pub fn exit_status(&mut self, bound: Duration) -> ExitStatus {
        wait::until("the node's end", bound, || self.child.try_wait().expect("wait"))
    }

    /// Waits for its end with that code; gives what it printed and logged.
    pub fn ended(mut self, bound: Duration, code: i32) -> String {
        let status = self.exit_status(bound);
        assert_eq!(status.code(), Some(code), "{status}; log:\n{}", self.log());
        self.log()
    }

    /// The status and body of a GET; `None` while nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.admin, path)
    }

    /// The status and body of a POST with that token, which may take so long.
    pub fn post(&self, path: &str, token: &str, bound: Duration) -> Option<(u16, String)> {
        let token = format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n");
        request(self.admin, &format!("POST {path}"), &token, bound)
    }

    /// The same with a body.
    pub fn post_body(&self, path: &str, token: &str, body: &str) -> Option<(u16, String)> {
        let length = body.len();
        let headers = format!("Authorization: Bearer {token}\r\nContent-Length: {length}\r\n");
        exchange(self.admin, &format!("POST {path}"), (&headers, body), START_MAX)
    }

    pub fn json(&self, path: &str) -> Value {
        let (_, body) = wait::until(path, START_MAX, || self.get(path));
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path} is no JSON ({error}): {body}"))
    }

    /// What it shows of a schedule; nothing before its first look.
    pub fn schedule(&self, actor: &str) -> Value {
        let Some((200, text)) = self.get("/api/actors") else { return Value::Null };
        let actors: Value = serde_json::from_str(&text).expect("JSON");
        let found = actors.as_array().expect("actors").iter().find(|shown| shown["name"] == actor);
        found.map(|shown| shown["schedule"].clone()).unwrap_or_default()
    }

    /// Waits until `/readyz` answers with `status`; gives the body.
    pub fn await_ready(&self, status: u16, bound: Duration) -> String {
        let ask = || self.get("/readyz").filter(|(found, _)| *found == status);
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait::until(&format!("/readyz {status}"), bound, ask)
        }));
        match asked {
            Ok((_, body)) => body,
            Err(_) => panic!(
                "no /readyz {status} within {bound:?}, last {:?}; log:\n{}",
                self.get("/readyz"),
                self.log()
            ),
        }
    }

    /// The sum of a metric over its series; `None` while nobody answers.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = self.get("/metrics").filter(|(status, _)| *status == 200)?;
        let named = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = body.lines().filter(named).filter_map(|line| line.rsplit_once(' '));
        Some(values.map(|(_, value)| value.parse::<f64>().expect("a number")).sum())
    }

    /// The sum of one member over the ledger's lines.
    pub fn ledger(&self, member: &str) -> i64 {
        let lines = self.json("/api/ledger");
        lines.as_array().expect("an array").iter().map(|line| line[member].as_i64().expect("a number")).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// The status and body of a GET; `None` while nobody answers.
pub fn get(to: SocketAddr, path: &str) -> Option<(u16, String)> {
    request(to, &format!("GET {path}"), "", Duration::from_secs(5))
}

fn request(to: SocketAddr, what: &str, headers: &str, bound: Duration) -> Option<(u16, String)> {
    exchange(to, what, (headers, ""), bound)
}

fn exchange(
    to: SocketAddr,
    what: &str,
    (headers, sent): (&str, &str),
    bound: Duration,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(bound)).ok()?;
    write!(stream, "{what} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{headers}\r\n{sent}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body)?
    } else {
        body.to_owned()
    };
    Some((status, body))
}

fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
}
