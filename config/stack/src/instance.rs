//! One instance's folder, and how its parts are started, found and ended there.
//!
//! Whoever starts or ends parts holds the instance's lock; whoever merely uses it holds the users' lock, shared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::dir::{StackDir, create, remove_tree, write_private};
use crate::error::Error;
use crate::launch::{self, Launch, Place};
use crate::lock::FileLock;
use crate::options::{Access, Nodes, Options, PRIVATE};
use crate::part::{Part, Server, node, timescale};
use crate::process::ProcessGroup;
use crate::provision::Software;
use crate::secured::{self, Certificates};
use crate::state::{PartState, Port, State, password};
use crate::time::Deadline;
use crate::tls::Trust;
use crate::up::waves;

/// How long a part may take from its start to its first healthy answer.
const START_MAX: Duration = Duration::from_secs(60);
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
        let path = self.password_file(part);
        if let Ok(password) = fs::read_to_string(&path) {
            return Ok(password);
        }
        let password = password();
        write_private(&path, &password)?;
        Ok(password)
    }

    pub(crate) fn password_file(&self, part: Part) -> PathBuf {
        self.folder.join(format!("{part}.password"))
    }

    /// Whom to believe where nobody is let in otherwise.
    pub(crate) fn trust(&self, access: Access) -> Result<Option<Trust>, Error> {
        let closed = access == Access::Closed;
        closed.then(|| Trust::of(Certificates::of(&self.folder))).transpose()
    }

    /// The address of a part with this state, by which its owner comes in.
    pub(crate) fn address(&self, part: Part, state: &PartState, entry: Entry<'_>) -> Result<String, Error> {
        let port = state.port;
        Ok(match part {
            Part::Kafka | Part::Broker2 | Part::Broker3 if entry.access == Access::Closed => {
                format!("127.0.0.1:{}", state.further(Port::Mutual).unwrap_or(port))
            }
            Part::Kafka
            | Part::Broker2
            | Part::Broker3
            | Part::Toxiproxy
            | Part::Prometheus
            | Part::Node1
            | Part::Node2 => {
                format!("127.0.0.1:{port}")
            }
            Part::Timescale | Part::Standby => {
                timescale::url(port, &self.password(Part::Timescale)?, timescale::NAME)
            }
            Part::Redis | Part::Replica if entry.access == Access::Closed => {
                format!(
                    "rediss://{}:{}@127.0.0.1:{port}/0",
                    secured::REDIS_OWNER,
                    self.password(Part::Redis)?
                )
            }
            Part::Sentinel if entry.access == Access::Closed => {
                format!("rediss://:{}@127.0.0.1:{port}/0", self.password(Part::Sentinel)?)
            }
            Part::Sentinel => format!("redis://127.0.0.1:{port}/0"),
            Part::Redis | Part::Replica => match entry.redis_password {
                Some(password) => format!("redis://:{password}@127.0.0.1:{port}/0"),
                None => format!("redis://127.0.0.1:{port}/0"),
            },
        })
    }

    /// Whether the part is to be left as it is: it lives, answers and has the ports that are asked for. A paused one is
    /// resumed first.
    pub(crate) fn healthy(&self, part: Part, state: &State, options: &Options) -> Result<bool, Error> {
        let processes = self.processes(part);
        let Some(recorded) = state.parts.get(&part).filter(|recorded| recorded.is_for(part, options)) else {
            return Ok(false);
        };
        if processes.paused() {
            processes.resume();
        }
        if !processes.alive() {
            return Ok(false);
        }
        let address = self.address(part, recorded, Entry::from(state))?;
        let trust = self.trust(state.access)?;
        Ok(part.lives(&address, trust.as_ref(), CHECK_MAX).is_ok())
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
        let address = self.address(part, own, Entry::from(options))?;
        let trust = self.trust(options.access)?;
        part.prepare(&server, deadline)?;
        self.launch(part, &server, (&address, trust.as_ref()), deadline)
    }

    /// Starts the server and waits for it. On failure no process of it is left.
    fn launch(
        &self,
        part: Part,
        server: &Server,
        (address, trust): (&str, Option<&Trust>),
        deadline: Deadline,
    ) -> Result<(), Error> {
        let running = server.launch.start(&part.command(server))?;
        let mut last = String::from("it was not asked yet");
        let answer = deadline.poll(Duration::from_millis(20), || {
            if running.ended() {
                return Some(Err("its process ended".to_owned()));
            }
            let patience = CHECK_MAX.min(deadline.left());
            part.ready(server, address, trust, patience).map_err(|why| last = why).ok().map(Ok)
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
            Part::Node1 | Part::Node2 => (Place::Plain, nodes(options)?.program.clone()),
            Part::Timescale | Part::Standby | Part::Redis | Part::Replica | Part::Sentinel => {
                let debian = software.debian.as_ref().ok_or_else(absent)?;
                let of_redis = matches!(part, Part::Redis | Part::Replica | Part::Sentinel);
                let (uid, gid) = if of_redis { debian.redis() } else { debian.postgres() };
                (Place::Root { root: debian.root.clone(), uid, gid }, debian.root.clone())
            }
        };
        let own =
            ports.get(&part).cloned().expect("invariant: the ports of a part are chosen before it starts");
        let (arguments, environment) = match part {
            Part::Node1 | Part::Node2 => {
                let nodes = nodes(options)?;
                (nodes.arguments.clone(), node::environment(part, nodes, own.port))
            }
            _ => Default::default(),
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
            environment,
        };
        create(&launch.folder)?;
        let certificates = match part {
            Part::Toxiproxy | Part::Prometheus | Part::Node1 | Part::Node2 => Vec::new(),
            _ if options.access.encrypts() => secured::install(&self.folder, &launch.folder)?,
            _ => Vec::new(),
        };
        Ok(Server {
            launch,
            software,
            arguments,
            ports: own,
            peers: ports.clone(),
            leader,
            access: options.access,
            passwords: self.passwords(part, options.access)?,
            redis_password: options.redis_password.clone(),
            certificates,
        })
    }

    /// Those that the part has to know, by whose they are.
    fn passwords(&self, part: Part, access: Access) -> Result<BTreeMap<Part, String>, Error> {
        let whose: &[Part] = match part {
            Part::Kafka | Part::Broker2 | Part::Broker3 if access.encrypts() => &[Part::Kafka],
            Part::Timescale | Part::Standby => &[Part::Timescale],
            Part::Redis | Part::Replica | Part::Sentinel if access == Access::Closed => {
                &[Part::Redis, Part::Replica, Part::Sentinel]
            }
            _ => &[],
        };
        whose.iter().map(|part| Ok((*part, self.password(*part)?))).collect()
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
        self.processes(part).stop(part.stop_signal(), part.stop_max()).map(|_| ())
    }

    /// Ends every part, at once or in order: nobody before those that follow it.
    pub(crate) fn end(&self, in_order: bool) -> Result<(), Error> {
        let kept = self.kept();
        if kept.exists() {
            fs::remove_file(&kept).map_err(Error::io("delete", &kept))?;
        }
        if !in_order {
            return side_by_side(&Part::ALL, |part| self.processes(part).kill());
        }
        waves(&Part::ALL, Part::follows)
            .iter()
            .rev()
            .try_for_each(|wave| side_by_side(wave, |part| self.stop(part)))
    }

    /// Deletes the folder; no process of it may live, and nothing may be mounted below it.
    pub(crate) fn delete(&self) -> Result<(), Error> {
        if self.any_alive() {
            return Err(Error::Unusable(format!("stack `{}` is running; it is not deleted", self.name)));
        }
        remove_tree(&self.folder)
    }
}

/// How the owner of a stack comes to its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    access: Access,
    redis_password: Option<&'a str>,
}

impl<'a> From<&'a State> for Entry<'a> {
    fn from(state: &'a State) -> Self {
        Entry { access: state.access, redis_password: state.redis_password.as_deref() }
    }
}

impl<'a> From<&'a Options> for Entry<'a> {
    fn from(options: &'a Options) -> Self {
        Entry { access: options.access, redis_password: options.redis_password.as_deref() }
    }
}

fn nodes(options: &Options) -> Result<&Nodes, Error> {
    let absent = || Error::Unusable("nodes are asked for, and not said what they are".into());
    options.nodes.as_ref().ok_or_else(absent)
}

fn side_by_side(parts: &[Part], end: impl Fn(Part) -> Result<(), Error> + Sync) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let end = &end;
        let ends: Vec<_> = parts.iter().map(|part| scope.spawn(move || end(*part))).collect();
        ends.into_iter()
            .try_for_each(|end| end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
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
