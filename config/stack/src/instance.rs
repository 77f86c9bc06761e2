//! One instance's folder, and how its parts are started, found and ended there.
//!
//! Whoever starts or ends parts holds the instance's lock; whoever merely uses it holds the users' lock, shared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::dir::{StackDir, create, remove_tree};
use crate::error::Error;
use crate::launch::{self, Launch, Place};
use crate::lock::FileLock;
use crate::options::{Options, PRIVATE};
use crate::part::{Part, Server, timescale};
use crate::process::ProcessGroup;
use crate::provision::Software;
use crate::secured;
use crate::state::{PartState, State, word};
use crate::time::Deadline;

/// How long a part may take from its start to its first healthy answer.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a part may take to save its data and end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(30);
/// One health check of one of our own parts.
const CHECK_MAX: Duration = Duration::from_secs(2);

/// The folder `instances/<name>`.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl Instance {
    pub(crate) fn new(dir: &StackDir, name: &str) -> Self {
        Instance { name: name.to_owned(), folder: dir.instances().join(name) }
    }

    /// Creates the folder, open to its owner only: it holds passwords and data.
    pub(crate) fn create(&self) -> Result<(), Error> {
        launch::install_scripts(&self.scripts())?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))
            .map_err(Error::io("protect", &self.folder))
    }

    pub(crate) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Held while parts are started or ended.
    pub(crate) fn lock(&self, waiting: impl FnOnce()) -> Result<FileLock, Error> {
        FileLock::exclusive(&self.folder.join("lock"), waiting)
    }

    fn scripts(&self) -> PathBuf {
        self.folder.join("scripts")
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.folder.join("users")
    }

    pub(crate) fn kept(&self) -> PathBuf {
        self.folder.join("kept")
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    pub(crate) fn part_folder(&self, part: Part) -> PathBuf {
        self.folder.join(part.name())
    }

    /// Of the database's base backup.
    pub(crate) fn backup_folder(&self) -> PathBuf {
        self.folder.join("backup")
    }

    pub(crate) fn log(&self, part: Part) -> PathBuf {
        self.folder.join("logs").join(format!("{part}.log"))
    }

    pub(crate) fn processes(&self, part: Part) -> ProcessGroup {
        ProcessGroup::new(self.folder.join(format!("{part}.lock")))
    }

    pub(crate) fn any_alive(&self) -> bool {
        Part::ALL.into_iter().any(|part| self.processes(part).alive())
    }

    /// The password of a part's user; chosen once, as the part keeps it too.
    pub(crate) fn password(&self, part: Part) -> Result<String, Error> {
        let path = self.folder.join(format!("{part}.password"));
        if let Ok(password) = fs::read_to_string(&path) {
            return Ok(password);
        }
        let password = word(24);
        crate::dir::write_whole(&path, &password)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(Error::io("protect", &path))?;
        Ok(password)
    }

    /// The address of a part with this state.
    pub(crate) fn address(
        &self,
        part: Part,
        state: &PartState,
        redis_password: Option<&str>,
    ) -> Result<String, Error> {
        Ok(match part {
            Part::Kafka | Part::Broker2 | Part::Broker3 | Part::Toxiproxy | Part::Prometheus => {
                format!("127.0.0.1:{}", state.port)
            }
            Part::Timescale | Part::Standby => {
                timescale::url(state.port, &self.password(Part::Timescale)?, timescale::NAME)
            }
            Part::Redis | Part::Replica => match redis_password {
                Some(password) => format!("redis://:{password}@127.0.0.1:{}/0", state.port),
                None => format!("redis://127.0.0.1:{}/0", state.port),
            },
        })
    }

    /// Whether the part lives, answers and has the ports that are asked for; a paused one is resumed first.
    pub(crate) fn healthy(&self, part: Part, state: &State, options: &Options) -> Result<bool, Error> {
        let processes = self.processes(part);
        let Some(recorded) = state.parts.get(&part).filter(|recorded| recorded.is_for(part, options)) else {
            return Ok(false);
        };
        if processes.paused() {
            processes.resume();
        }
        let address = self.address(part, recorded, state.redis_password.as_deref())?;
        Ok(processes.alive() && part.check(&address, CHECK_MAX).is_ok())
    }

    /// Starts a part of which no process lives, on its port of `ports`, and waits until it can be used. With a leader, it
    /// is that one's copy.
    pub(crate) fn start(
        &self,
        (part, leader): (Part, Option<Part>),
        ports: &BTreeMap<Part, PartState>,
        software: &Software,
        options: &Options,
    ) -> Result<(), Error> {
        let deadline = Deadline::after(START_MAX);
        let own = ports.get(&part).expect("invariant: the ports of a part are chosen before it starts");
        let server = self.server((part, leader), ports, software, options)?;
        let address = self.address(part, own, options.redis_password.as_deref())?;
        part.prepare(&server, deadline)?;
        self.launch(part, &server, &address, deadline)
    }

    /// Starts the server and waits for it. On failure no process of it is left.
    fn launch(&self, part: Part, server: &Server, address: &str, deadline: Deadline) -> Result<(), Error> {
        let running = server.launch.start(&part.command(server))?;
        let mut last = String::from("it was not asked yet");
        let answer = deadline.poll(Duration::from_millis(20), || {
            if running.ended() {
                return Some(Err("its process ended".to_owned()));
            }
            part.ready(server, address, CHECK_MAX.min(deadline.left())).map_err(|why| last = why).ok().map(Ok)
        });
        let why = match answer {
            Some(Ok(())) => return Ok(()),
            Some(Err(why)) => why,
            None => format!("not healthy within {} s: {last}", START_MAX.as_secs()),
        };
        self.processes(part).kill()?;
        let log = server.launch.log.clone();
        let tail = launch::tail(&log);
        Err(Error::Start { part, why, log, tail })
    }

    fn server(
        &self,
        (part, leader): (Part, Option<Part>),
        ports: &BTreeMap<Part, PartState>,
        software: &Software,
        options: &Options,
    ) -> Result<Server, Error> {
        let absent = || Error::Unusable(format!("the software of {part} is not provisioned"));
        let (place, software) = match part {
            Part::Kafka | Part::Broker2 | Part::Broker3 => {
                (Place::Plain, software.kafka.clone().ok_or_else(absent)?)
            }
            Part::Toxiproxy => (Place::Plain, software.toxiproxy.clone().ok_or_else(absent)?),
            Part::Prometheus => (Place::Plain, software.prometheus.clone().ok_or_else(absent)?),
            Part::Timescale | Part::Standby | Part::Redis | Part::Replica => {
                let debian = software.debian.as_ref().ok_or_else(absent)?;
                let of_redis = matches!(part, Part::Redis | Part::Replica);
                let (uid, gid) = if of_redis { debian.redis() } else { debian.postgres() };
                (Place::Root { root: debian.root.clone(), uid, gid }, debian.root.clone())
            }
        };
        let password = match part {
            Part::Kafka if options.secured => Some(self.password(part)?),
            Part::Kafka | Part::Broker2 | Part::Broker3 | Part::Toxiproxy | Part::Prometheus => None,
            Part::Timescale | Part::Standby => Some(self.password(Part::Timescale)?),
            Part::Redis | Part::Replica => options.redis_password.clone(),
        };
        let launch = Launch {
            script: self.scripts().join(launch::SCRIPT),
            lock: self.processes(part).lock().to_path_buf(),
            users: self.users(),
            kept: self.kept(),
            linger_seconds: options.lifetime.linger_seconds(),
            place,
            folder: self.part_folder(part),
            log: self.log(part),
        };
        create(&launch.folder)?;
        let own =
            ports.get(&part).cloned().expect("invariant: the ports of a part are chosen before it starts");
        let secured = match part {
            Part::Kafka | Part::Timescale | Part::Redis if options.secured => {
                Some(secured::install(&self.folder, &launch.folder)?)
            }
            _ => None,
        };
        Ok(Server { launch, software, ports: own, peers: ports.clone(), leader, password, secured })
    }

    /// What copies the database beside it, which holds a lock and has a folder and a log of its own.
    pub(crate) fn backup(
        &self,
        ports: &BTreeMap<Part, PartState>,
        software: &Software,
        options: &Options,
    ) -> Result<Server, Error> {
        let mut server = self.server((Part::Timescale, None), ports, software, options)?;
        server.launch.folder = self.backup_folder();
        server.launch.lock = self.folder.join("backup.lock");
        server.launch.log = self.folder.join("logs/backup.log");
        Ok(server)
    }

    /// Ends a part in order, by force if it takes too long.
    pub(crate) fn stop(&self, part: Part) -> Result<(), Error> {
        self.processes(part).stop(part.stop_signal(), STOP_MAX).map(|_| ())
    }

    /// Ends every part, at once or in order.
    pub(crate) fn end(&self, in_order: bool) -> Result<(), Error> {
        let kept = self.kept();
        if kept.exists() {
            fs::remove_file(&kept).map_err(Error::io("delete", &kept))?;
        }
        std::thread::scope(|scope| {
            let ends = Part::ALL.map(|part| {
                scope.spawn(move || if in_order { self.stop(part) } else { self.processes(part).kill() })
            });
            ends.into_iter()
                .try_for_each(|end| end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Deletes the folder; no process of it may live, and nothing may be mounted below it.
    pub(crate) fn delete(&self) -> Result<(), Error> {
        if self.any_alive() {
            return Err(Error::Unusable(format!("stack `{}` is running; it is not deleted", self.name)));
        }
        remove_tree(&self.folder)
    }
}

/// Deletes private instances whose user has ended without doing so. The caller holds the lock of the folder.
pub(crate) fn sweep_private(dir: &StackDir) -> Result<(), Error> {
    let instances = dir.instances();
    for entry in fs::read_dir(&instances).map_err(Error::io("read", &instances))? {
        let name = entry.map_err(Error::io("read", &instances))?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PRIVATE)) else { continue };
        let instance = Instance::new(dir, name);
        let unused = FileLock::try_exclusive(&instance.users())?.is_some();
        if unused && instance.exists() && !instance.any_alive() {
            instance.delete()?;
        }
    }
    Ok(())
}
