//! Bringing a stack up, or attaching to one that runs.
//!
//! Invariant: a process registers as a user of the instance before it looks at what runs there, so that nothing it finds
//! alive is ended behind its back.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::dir::{create, remove_tree, write_whole};
use crate::error::Error;
use crate::instance::{Instance, sweep_private};
use crate::lock::FileLock;
use crate::options::{Lifetime, Options, PRIVATE};
use crate::part::Part;
use crate::preflight;
use crate::progress::Progress;
use crate::provision::{self, Software};
use crate::secured::Certificates;
use crate::stack::Stack;
use crate::state::{PartState, State, word};

/// One health check of somebody else's server.
const OWN_CHECK_MAX: Duration = Duration::from_secs(10);

impl Stack {
    /// Brings the stack up, fetching its software on first use, and returns when every part has answered.
    ///
    /// Parts that run and answer are left alone; dead or silent ones are cleaned up and started on their own data.
    ///
    /// # Errors
    /// All that the machine lacks; a failed download; a part that does not start; an own server that does not answer.
    pub fn up(options: &Options, progress: &dyn Progress) -> Result<Stack, Error> {
        let stack = Stack::begin(options, progress)?;
        if options.lifetime == Lifetime::Kept {
            stack.keep()?;
        }
        Ok(stack)
    }

    /// The same, but a stack that did not run before ends with this process, unless somebody says [`Stack::keep`]: for what
    /// takes more than servers to be complete, and may be interrupted until then.
    ///
    /// # Errors
    /// Those of [`Stack::up`].
    pub fn begin(options: &Options, progress: &dyn Progress) -> Result<Stack, Error> {
        options.validate()?;
        let ours = options.ours();
        check_own(options)?;
        preflight::check(options, &ours)?;
        let software = provision::provision(&options.dir, &ours, options.debian_mirror.as_deref(), progress)?;
        let (instance, user) = enter(options)?;
        let waiting = || progress.note("another process is starting or ending this stack; waiting for it");
        let _lock = instance.lock(waiting)?;

        let mut state = State::load(&instance.state_path()).unwrap_or_else(|| State::new(None));
        if state.access != options.access && !state.parts.is_empty() {
            return Err(Error::Unusable(format!(
                "stack `{}` was made to let others in; end it with its data first (--purge), or take another --name",
                options.name
            )));
        }
        state.access = options.access;
        if state.redis_password != options.redis_password {
            instance.stop(Part::Redis)?;
            state.redis_password.clone_from(&options.redis_password);
        }
        if options.lifetime != Lifetime::Kept && !instance.any_alive() && instance.kept().exists() {
            fs::remove_file(instance.kept()).map_err(Error::io("delete", &instance.kept()))?;
        }
        if options.access.encrypts() {
            Certificates::make(&instance.folder)?;
        }
        let started = start_missing(&instance, &ours, &state, &software, options, progress)?;
        let news: Vec<Part> = started.keys().copied().collect();
        state.parts.extend(started);
        state.save(&instance.state_path())?;
        if !news.is_empty() {
            progress.finish(options.command, "every part is healthy");
        }
        let trust = instance.trust(options.access)?;
        Ok(Stack {
            options: options.clone(),
            started: news,
            trust,
            instance,
            software,
            state: Mutex::new(state),
            _user: user,
            admin: OnceLock::new(),
            purged: AtomicBool::new(false),
        })
    }

    /// From now on it lives until it is brought down, whatever becomes of this process.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn keep(&self) -> Result<(), Error> {
        write_whole(&self.instance.kept(), "")
    }

    /// The running stack of that name, without starting or fetching anything; `None` if no part of it lives and none is
    /// the user's own.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn attach(options: &Options) -> Result<Option<Stack>, Error> {
        options.validate()?;
        let instance = Instance::new(&options.dir, &options.name);
        let own = Part::ALL.into_iter().any(|part| options.own.address(part).is_some());
        let runs = instance.exists() && instance.any_alive();
        if !(own || runs) {
            return Ok(None);
        }
        create(&instance.folder)?;
        let user = FileLock::shared(&instance.users())?;
        let state = State::load(&instance.state_path()).unwrap_or_else(|| State::new(None));
        let mut options = options.clone();
        options.redis_password.clone_from(&state.redis_password);
        options.access = state.access;
        // What was not brought up here is not taken down here.
        if options.lifetime == Lifetime::Private {
            options.lifetime = Lifetime::Shared;
        }
        options.parts.retain(|part| options.own.address(*part).is_some() || state.parts.contains_key(part));
        let software = Software::present(&options.dir)?;
        let trust = instance.trust(options.access)?;
        Ok(Some(Stack {
            options,
            started: Vec::new(),
            trust,
            instance,
            software,
            state: Mutex::new(state),
            _user: user,
            admin: OnceLock::new(),
            purged: AtomicBool::new(false),
        }))
    }
}

/// The user's own servers must answer before anything else is started.
fn check_own(options: &Options) -> Result<(), Error> {
    for part in Part::ALL.into_iter().filter(|part| options.parts.contains(part)) {
        let Some(address) = options.own.address(part) else { continue };
        part.check(address, None, OWN_CHECK_MAX).map_err(|why| Error::External {
            part,
            variable: part.variable(),
            place: without_login(address),
            why,
        })?;
    }
    Ok(())
}

/// The address as it may be shown: user and password are left out.
fn without_login(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => address.to_owned(),
    }
}

/// Opens the instance's folder and registers this process as its user.
fn enter(options: &Options) -> Result<(Instance, FileLock), Error> {
    if options.lifetime != Lifetime::Private {
        let instance = Instance::new(&options.dir, &options.name);
        instance.create()?;
        if options.lifetime == Lifetime::Shared {
            forget_former_users(&instance)?;
        }
        let user = FileLock::shared(&instance.users())?;
        return Ok((instance, user));
    }
    let instances = options.dir.instances();
    create(&instances)?;
    // One at a time: a folder that nobody uses yet must not be swept away.
    let _lock = FileLock::exclusive(&instances.join(".lock"), || {})?;
    sweep_private(&options.dir)?;
    let instance = Instance::new(&options.dir, &format!("{PRIVATE}{}-{}", options.name, word(8)));
    instance.create()?;
    let user = FileLock::shared(&instance.users())?;
    Ok((instance, user))
}

/// The data of a shared instance end with its users: what earlier test runs have left would grow without end.
fn forget_former_users(instance: &Instance) -> Result<(), Error> {
    let _lock = instance.lock(|| {})?;
    let unused = FileLock::try_exclusive(&instance.users())?.is_some();
    if unused && !instance.any_alive() && !instance.kept().exists() {
        for part in Part::ALL {
            remove_tree(&instance.part_folder(part))?;
        }
    }
    Ok(())
}

/// Starts each of `parts` that does not answer: side by side, but no part before those it follows.
fn start_missing(
    instance: &Instance,
    parts: &[Part],
    state: &State,
    software: &Software,
    options: &Options,
    progress: &dyn Progress,
) -> Result<BTreeMap<Part, PartState>, Error> {
    let done = AtomicU64::new(0);
    // All ports are chosen before anything starts: a part's configuration may name those of another.
    let mut ports = state.parts.clone();
    let mut missing = Vec::new();
    for &part in parts {
        if !instance.healthy(part, state, options)? {
            instance.processes(part).kill()?;
            let former = state.parts.get(&part);
            if let Some(former) = former.filter(|_| part.is_named_by_others() && !may_move(options)) {
                stays(part, former, options)?;
            }
            ports.insert(part, PartState::plan(part, former, options)?);
            missing.push(part);
        }
    }
    let total = missing.len() as u64;
    for wave in waves(&missing, Part::follows) {
        let start = |part: Part, ports: &BTreeMap<Part, PartState>| {
            progress.step(options.command, done.load(Ordering::Relaxed), total, &format!("{part} starts"));
            let started = start_where_free(instance, part, ports, software, options)?;
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress.step(options.command, count, total, &format!("{part} is healthy"));
            Ok((part, started))
        };
        let started: Vec<Result<_, Error>> = thread::scope(|scope| {
            let (start, ports) = (&start, &ports);
            let threads: Vec<_> =
                wave.into_iter().map(|part| scope.spawn(move || start(part, ports))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
                .collect()
        });
        ports.extend(started.into_iter().collect::<Result<Vec<_>, Error>>()?);
    }
    ports.retain(|part, _| missing.contains(part));
    Ok(ports)
}

/// Starts a part on its port, or on another if somebody took that between our look and the server's start.
fn start_where_free(
    instance: &Instance,
    part: Part,
    ports: &BTreeMap<Part, PartState>,
    software: &Software,
    options: &Options,
) -> Result<PartState, Error> {
    let mut ports = ports.clone();
    loop {
        let own = ports[&part].started_now();
        match instance.start((part, part.leader()), &ports, software, options) {
            Ok(()) => return Ok(own),
            Err(_) if may_move(options) && !instance.processes(part).alive() && !own.free() => {
                ports.insert(part, PartState::plan(part, None, options)?);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The three know nothing of each other; what an extra part knows of them must stay true.
fn may_move(options: &Options) -> bool {
    options.parts.iter().all(|part| Part::DEFAULT.contains(part))
}

/// Refuses a part that others know by its ports, and whose ports somebody else has taken meanwhile.
fn stays(part: Part, former: &PartState, options: &Options) -> Result<(), Error> {
    if former.free() || !former.is_for(part, options) {
        return Ok(());
    }
    Err(Error::Unusable(format!(
        "{part} cannot be started: another program listens on its port {} (or one beside it), and the other parts know it by \
         that; end that program, or begin anew with `aqueduct {} down --purge`",
        former.port, options.command
    )))
}

/// The parts in groups, each of which only follows earlier ones; what a part follows counts only if it is among them.
pub(crate) fn waves(parts: &[Part], follows: impl Fn(Part) -> &'static [Part]) -> Vec<Vec<Part>> {
    let mut waves = Vec::new();
    let mut waiting = parts.to_vec();
    while !waiting.is_empty() {
        let (wave, later): (Vec<Part>, Vec<Part>) =
            waiting.iter().partition(|part| !follows(**part).iter().any(|first| waiting.contains(first)));
        assert!(!wave.is_empty(), "invariant: no part follows itself, by way of others either");
        waves.push(wave);
        waiting = later;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_starts_after_those_it_follows_and_the_rest_side_by_side() {
        let follows = |part| match part {
            Part::Redis => &[Part::Timescale, Part::Toxiproxy][..],
            Part::Timescale => &[Part::Kafka],
            _ => &[],
        };
        let all = [Part::Kafka, Part::Timescale, Part::Redis];
        assert_eq!(waves(&all, follows), [vec![Part::Kafka], vec![Part::Timescale], vec![Part::Redis]]);
        assert_eq!(waves(&[Part::Redis, Part::Kafka], follows), [[Part::Redis, Part::Kafka]]);
    }

    #[test]
    fn a_password_is_not_shown_in_a_message() {
        assert_eq!(without_login("postgres://u:p@db.example:5432/x"), "postgres://db.example:5432/x");
        assert_eq!(without_login("redis://:p@ss@h/0"), "redis://h/0");
        assert_eq!(without_login("127.0.0.1:9092"), "127.0.0.1:9092");
    }
}
