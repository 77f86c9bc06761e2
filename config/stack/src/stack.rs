//! A running stack: asking it, disturbing it, ending it. Bringing it up is in `up`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use serde::Serialize;

use crate::error::Error;
use crate::instance::{Entry, Instance};
use crate::lock::FileLock;
use crate::options::{Lifetime, Options};
use crate::part::{Part, node, redis, sentinel};
use crate::preflight;
use crate::provision::{self, Software};
use crate::sql::Session;
use crate::state::{Port, State};
use crate::tls::Trust;

/// How long a part may take to say how it is.
const CHECK_MAX: Duration = Duration::from_secs(5);

/// A stack whose parts have answered. Dropping it ends a private one; others live as their [`Lifetime`] says.
pub struct Stack {
    pub(crate) options: Options,
    /// What did not run when it was brought up.
    pub(crate) started: Vec<Part>,
    /// Whom to believe where nobody is let in in clear.
    pub(crate) trust: Option<Trust>,
    pub(crate) instance: Instance,
    pub(crate) software: Software,
    pub(crate) state: Mutex<State>,
    /// Says that this process uses the instance; a shared or private one ends some time after the last such lock.
    pub(crate) _user: FileLock,
    pub(crate) admin: OnceLock<AdminClient<DefaultClientContext>>,
    /// Nothing is started or written in the instance's folder any more: it is being deleted, perhaps by another thread.
    pub(crate) purged: AtomicBool,
}

/// What `status` knows of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartStatus {
    /// Which part.
    pub part: Part,
    /// The software's version; `None` for a server of the user's own.
    pub version: Option<String>,
    /// The server's process; `None` if it does not live or is the user's own.
    pub pid: Option<u32>,
    /// Its loopback port; `None` for a server of the user's own.
    pub port: Option<u16>,
    /// `running`, `paused`, `stopped`, or `own` for a server of the user's own.
    pub state: &'static str,
    /// Whether it answered just now.
    pub healthy: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it was last started, RFC 3339 in UTC.
    pub since: Option<String>,
    /// Its data.
    pub folder: Option<PathBuf>,
    /// Its log.
    pub log: Option<PathBuf>,
}

impl Stack {
    /// The instance's name; a private one's is unique.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.instance.name
    }

    /// The instance's folder, with data, logs and state.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.instance.folder
    }

    /// The parts that had to be started when it was brought up.
    #[must_use]
    pub fn started(&self) -> &[Part] {
        &self.started
    }

    /// The name of a node of this stack; `None` if it has none.
    #[must_use]
    pub fn node_name(&self, part: Part) -> Option<String> {
        let nodes = self.options.nodes.as_ref()?;
        Part::NODES.contains(&part).then(|| node::name(part, nodes))
    }

    /// Where the Redis is that writes are for: as Sentinel says, where there is one.
    ///
    /// # Errors
    /// Sentinel does not answer.
    pub fn redis_primary(&self) -> Result<String, Error> {
        if self.address(Part::Sentinel).is_none() {
            return Ok(self.encrypted(Part::Redis));
        }
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinel::WATCHED];
        Ok(self.ask_redis(Part::Sentinel, &words)?.replace('\n', ":"))
    }

    /// The address of a part, as its owner comes in: Kafka's `host:port`, or a URL with its password. `None` if the part was
    /// not asked for.
    #[must_use]
    pub fn address(&self, part: Part) -> Option<String> {
        if let Some(own) = self.options.own.address(part) {
            return self.options.parts.contains(&part).then(|| own.to_owned());
        }
        let state = self.state();
        let recorded = state.parts.get(&part)?;
        self.instance.address(part, recorded, Entry::from(&*state)).ok()
    }

    /// `host:port` of every broker, with commas between them.
    ///
    /// # Panics
    /// The stack was brought up without Kafka.
    #[must_use]
    pub fn kafka_bootstrap(&self) -> String {
        self.brokers().expect("invariant: asked only of a stack with kafka")
    }

    pub(crate) fn brokers(&self) -> Option<String> {
        let first = self.address(Part::Kafka)?;
        if self.options.own.address(Part::Kafka).is_some() {
            return Some(first);
        }
        let all = Part::BROKERS.into_iter().filter_map(|broker| self.address(broker));
        Some(all.collect::<Vec<_>>().join(","))
    }

    /// `postgres://aqueduct:PASSWORD@127.0.0.1:PORT/aqueduct`, or the user's own.
    ///
    /// # Panics
    /// The stack was brought up without TimescaleDB.
    #[must_use]
    pub fn timescale_url(&self) -> String {
        self.address(Part::Timescale).expect("invariant: asked only of a stack with timescale")
    }

    /// `redis://127.0.0.1:PORT/0`, or the user's own.
    ///
    /// # Panics
    /// The stack was brought up without Redis.
    #[must_use]
    pub fn redis_url(&self) -> String {
        self.address(Part::Redis).expect("invariant: asked only of a stack with redis")
    }

    /// The variables that lead a program to this stack.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let variable = |part: Part| Some((part.variable().to_owned(), self.address(part)?));
        Part::ALL.into_iter().filter_map(variable).collect()
    }

    /// What a proxy in front of `part` leads to, and the port it must have if the part tells its clients of it.
    pub(crate) fn proxied(&self, part: Part) -> Result<(String, Option<u16>), Error> {
        self.ours(part, "put behind a proxy")?;
        let state = self.state();
        let ports = state
            .parts
            .get(&part)
            .ok_or_else(|| Error::Unusable(format!("this stack was brought up without {part}")))?;
        let upstream = ports.further(Port::Proxied).unwrap_or(ports.port);
        Ok((format!("127.0.0.1:{upstream}"), ports.further(Port::Advertised)))
    }

    /// Asks every part how it is.
    #[must_use]
    pub fn status(&self) -> Vec<PartStatus> {
        let parts = Part::ALL.into_iter().filter(|part| self.options.parts.contains(part));
        parts.map(|part| self.part_status(part)).collect()
    }

    fn part_status(&self, part: Part) -> PartStatus {
        let own = self.options.own.address(part).is_some();
        let processes = self.instance.processes(part);
        let server = processes.server().filter(|_| !own);
        let state = match server {
            _ if own => "own",
            Some(server) if server.stopped => "paused",
            Some(_) => "running",
            None => "stopped",
        };
        let asked = match (state, self.address(part)) {
            ("own" | "running", Some(address)) => part.check(&address, self.trust.as_ref(), CHECK_MAX),
            (_, Some(_)) => Err(format!("it is {state}")),
            (_, None) => Err("it has no address".to_owned()),
        };
        let recorded = self.state().parts.get(&part).filter(|_| !own).cloned();
        PartStatus {
            part,
            version: if own { None } else { self.version(part) },
            pid: server.and_then(|server| u32::try_from(server.pid).ok()),
            port: recorded.as_ref().map(|recorded| recorded.port),
            state,
            healthy: asked.is_ok(),
            why: asked.err(),
            since: recorded.map(|recorded| recorded.since),
            folder: (!own).then(|| self.instance.part_folder(part)),
            log: (!own).then(|| self.instance.log(part)),
        }
    }

    fn version(&self, part: Part) -> Option<String> {
        let debian = self.software.debian.as_ref().map(|debian| &debian.versions);
        match part {
            Part::Kafka | Part::Broker2 | Part::Broker3 => Some(provision::kafka::VERSION.to_owned()),
            Part::Timescale | Part::Standby => {
                debian.map(|found| format!("{} on PostgreSQL {}", found.timescaledb, found.postgresql))
            }
            Part::Redis | Part::Replica | Part::Sentinel => debian.map(|found| found.redis.clone()),
            Part::Toxiproxy => Some(provision::toxiproxy::VERSION.to_owned()),
            Part::Prometheus => self.software.prometheus.as_deref().and_then(provision::prometheus::version),
            Part::Node1 | Part::Node2 => None,
        }
    }

    /// Asks Redis, its replica or Sentinel something, as its owner: a status, an error or a number with its first letter, a
    /// text, or the lines of a list.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask_redis(&self, part: Part, words: &[&str]) -> Result<String, Error> {
        let asked = self.address(part).ok_or_else(|| "this stack has none".to_owned());
        asked
            .and_then(|url| redis::ask(&url, self.trust.as_ref(), words, CHECK_MAX))
            .map_err(Error::request(format!("ask {part}")))
    }

    /// Asks the database or its standby something, as its owner: the first column of the first row, which is text.
    ///
    /// # Errors
    /// It does not answer, or the statement fails.
    pub fn ask_database(
        &self,
        part: Part,
        query: &'static str,
        parameter: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let asked = self.address(part).ok_or_else(|| "this stack has none".to_owned());
        let session = asked.and_then(|url| Session::new(&url, CHECK_MAX));
        session
            .and_then(|session| {
                let session = session.believing(self.trust.as_ref());
                session.text(query, parameter).map_err(|error| error.to_string())
            })
            .map_err(Error::request(format!("ask {part}")))
    }

    /// SIGKILL to all processes of the part at once; returns when none is left.
    ///
    /// # Errors
    /// The part is the user's own.
    pub fn kill(&self, part: Part) -> Result<(), Error> {
        self.ours(part, "killed")?;
        self.instance.processes(part).kill()
    }

    /// SIGSTOP to all processes of the part; returns when each has stopped. Its connections stay open and silent.
    ///
    /// # Errors
    /// The part is the user's own, or does not run.
    pub fn pause(&self, part: Part) -> Result<(), Error> {
        self.ours(part, "paused")?;
        self.instance.processes(part).pause()
    }

    /// Lets a paused part go on.
    ///
    /// # Errors
    /// The part is the user's own.
    pub fn resume(&self, part: Part) -> Result<(), Error> {
        self.ours(part, "resumed")?;
        self.instance.processes(part).resume();
        Ok(())
    }

    /// Asks the part to save its data and end; kills it if it has not within 30 s.
    ///
    /// # Errors
    /// The part is the user's own.
    pub fn stop(&self, part: Part) -> Result<(), Error> {
        self.ours(part, "stopped")?;
        self.instance.stop(part)
    }

    /// Starts a part that was killed or stopped, on its former port and data; returns when it answers.
    ///
    /// # Errors
    /// The part is the user's own, was not asked for, or its port is taken by somebody else now.
    pub fn start(&self, part: Part) -> Result<(), Error> {
        self.start_behind(part, part.leader())
    }

    /// [`Stack::start`], as a copy of `leader` if there is one.
    pub(crate) fn start_behind(&self, part: Part, leader: Option<Part>) -> Result<(), Error> {
        self.ours(part, "started")?;
        let _lock = self.changing()?;
        let mut state = self.state().clone();
        if self.instance.healthy(part, &state, &self.options)? {
            return Ok(());
        }
        self.instance.processes(part).kill()?;
        let former = state.parts.get(&part).ok_or_else(|| {
            Error::Unusable(format!("this stack was brought up without {part}; it cannot be started"))
        })?;
        if !former.free() {
            return Err(Error::Unusable(format!(
                "{part} cannot be started again: its port {} was taken by another program; bring the stack down and up",
                former.port
            )));
        }
        let started = former.started_now();
        self.instance.start((part, leader), &state.parts, &self.software, &self.options)?;
        state.parts.insert(part, started);
        state.save(&self.instance.state_path())?;
        *self.state() = state;
        Ok(())
    }

    /// [`Stack::stop`], then [`Stack::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self, part: Part) -> Result<(), Error> {
        self.stop(part)?;
        self.start(part)
    }

    /// Ends every part in order; data and ports are kept. No process is left, hence no mount either.
    ///
    /// # Errors
    /// A process that cannot be killed.
    pub fn down(&self) -> Result<(), Error> {
        let _lock = self.instance.lock(|| {})?;
        self.instance.end(true)
    }

    /// Ends every part at once and deletes the instance's folder.
    ///
    /// # Errors
    /// A process that cannot be killed, or a mount below the folder.
    pub fn purge(&self) -> Result<(), Error> {
        self.purged.store(true, Ordering::SeqCst);
        let _lock = self.instance.lock(|| {})?;
        self.instance.end(false)?;
        self.instance.delete()
    }

    /// The line for a shell that opens this stack's database with `psql`, for a person to paste.
    #[must_use]
    pub fn psql_command(&self) -> Option<String> {
        let url = self.address(Part::Timescale)?;
        Some(format!("{} '{url}'", self.client("psql", "/usr/lib/postgresql/17/bin/psql -P pager=off")))
    }

    /// The line for a shell that opens this stack's Redis with `redis-cli`, for a person to paste.
    #[must_use]
    pub fn redis_cli_command(&self) -> Option<String> {
        let url = self.address(Part::Redis)?;
        Some(format!("{} -u '{url}'", self.client("redis-cli", "/usr/bin/redis-cli")))
    }

    /// The machine's own client if it has one, else the one inside the Debian root.
    fn client(&self, own: &str, inside: &str) -> String {
        match &self.software.debian {
            Some(debian) if !preflight::exists(own) => {
                format!("sudo chroot '{}' {inside}", debian.root.display())
            }
            _ => own.to_owned(),
        }
    }

    /// The lock of who starts or writes something, unless the instance is being deleted.
    pub(crate) fn changing(&self) -> Result<FileLock, Error> {
        let deleted =
            || Error::Unusable(format!("stack `{}` is deleted; nothing is started in it", self.name()));
        if self.purged.load(Ordering::SeqCst) {
            return Err(deleted());
        }
        let lock = self.instance.lock(|| {})?;
        // It may have become so while we waited.
        if self.purged.load(Ordering::SeqCst) { Err(deleted()) } else { Ok(lock) }
    }

    pub(crate) fn ours(&self, part: Part, verb: &'static str) -> Result<(), Error> {
        match self.options.own.address(part) {
            Some(_) => Err(Error::NotOurs { part, variable: part.variable(), verb }),
            None => Ok(()),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.options.lifetime == Lifetime::Private {
            // What cannot be ended now ends with the users' lock, and is deleted by the next private stack.
            let _ = self.purge();
        }
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("name", &self.name())
            .field("folder", &self.folder())
            .finish_non_exhaustive()
    }
}
