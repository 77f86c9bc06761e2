//! What a connection logs in with while it changes: the files are followed, and what they hold by now is used once the server
//! has taken it.
//!
//! One [`Credentials`] a connection of the topology. Who opens connections asks it for a [`Login`] and keeps that with what
//! it has opened: so it is known which connections still go by an earlier one, and each of them is told to be opened anew
//! ([`Login::is_outdated`]) where that disturbs nobody. A [`Keeper`](keeper) looks at the files, proves and takes.
//!
//! - Until a server has taken any, the files are read at each attempt: nothing is in use that could be lost.
//! - From then on what is in use stays so until something else is proven: a wrong password, a file that is gone or half-way
//!   exchanged, a certificate without its key change nothing but what is told of them.
//!
//! Deliberately absent: notifications of the file system. Kubernetes and Vault exchange links, editors rename, network file
//! systems tell nothing; contents are compared.

mod file;
mod generation;
pub(crate) mod keeper;
mod material;

pub(crate) use material::{Files, Material};

use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::secrets::RefusedView;
use aqueduct_engine::{Class, Clock, Error, SecretView};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Waits between two proofs of what was refused.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(4);

/// See the module.
pub(crate) struct Credentials {
    connection: &'static str,
    /// Makes generations of one secret at different places differ: the topology and the connection.
    place: String,
    files: Files,
    clock: Clock,
    held: Mutex<Held>,
    /// The number of what is in use; 0 = nothing yet.
    current: watch::Sender<u64>,
    numbers: AtomicU64,
    /// Logins that are kept, by the number of what they are with.
    kept: Mutex<BTreeMap<u64, usize>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("place", &self.place).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Held {
    current: Option<Known>,
    /// What the files hold by now, if it is something else.
    other: Option<Other>,
    /// When what is in use, unproven, is to be proven again.
    again: Option<Again>,
}

/// Something that files held once, with a number of its own.
#[derive(Clone)]
struct Known {
    number: u64,
    material: Arc<Material>,
    /// Of login and certificates; made a little later than the rest is known.
    generations: Option<[String; 2]>,
    /// Microseconds since 1970 UTC, of each.
    since_us: [i64; 2],
    proven_us: Option<i64>,
}

struct Other {
    /// `None` = the files cannot be read.
    known: Option<Known>,
    since_us: i64,
    /// Why it is not taken; `None` = nobody has tried.
    reason: Option<String>,
    again: Again,
}

struct Again {
    at: Instant,
    backoff: Backoff,
}

impl Again {
    fn new(now: Instant) -> Self {
        Self { at: now, backoff: Backoff::new(AGAIN_FIRST, AGAIN_MAX, 0.2) }
    }

    fn later(&mut self, now: Instant) {
        self.at = now + self.backoff.next_wait();
    }
}

/// What one connection is opened with; kept with it.
pub(crate) struct Login {
    known: Known,
    credentials: Arc<Credentials>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("number", &self.known.number).finish_non_exhaustive()
    }
}

impl Login {
    fn new(known: Known, credentials: &Arc<Credentials>) -> Self {
        *credentials.kept().entry(known.number).or_default() += 1;
        Self { known, credentials: credentials.clone() }
    }

    /// Whether something else is in use by now: to be opened anew where that disturbs nobody.
    pub(crate) fn is_outdated(&self) -> bool {
        self.known.number != *self.credentials.current.borrow()
    }

    /// Whether a login taken now would be another one: something else is in use by now, or nothing is proven and the files
    /// hold something else.
    pub(crate) fn would_differ(&self) -> bool {
        let proven =
            self.credentials.held().current.as_ref().is_some_and(|current| current.proven_us.is_some());
        self.is_outdated() || (!proven && self.another().is_some())
    }

    /// What `open` opens with it; where the server refuses it, with what the files hold by now.
    pub(crate) async fn open<T, F>(self, open: impl Fn(Login) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let error = match open(self.clone()).await {
            Ok(opened) => {
                self.proven();
                return Ok(opened);
            }
            Err(error) if error.class == Class::Config => error,
            Err(error) => return Err(error),
        };
        let Some(another) = self.another() else { return Err(error) };
        match open(another.clone()).await {
            Ok(opened) => {
                another.adopt();
                Ok(opened)
            }
            Err(_) => Err(error),
        }
    }

    /// The server has let us in with it.
    pub(crate) fn proven(&self) {
        let mut held = self.credentials.held();
        if let Some(current) = held.current.as_mut().filter(|current| current.number == self.known.number)
            && current.proven_us.is_none()
        {
            current.proven_us = Some(self.credentials.clock.wall_us());
            held.again = None;
        }
    }

    /// What the files hold by now, if it is something else and can be read: worth a try after a refusal.
    fn another(&self) -> Option<Login> {
        let read = Material::read(&self.credentials.files).ok()?;
        if read.is_same(&self.known.material) {
            return None;
        }
        let known = self.credentials.known(&self.credentials.held(), read);
        Some(Login::new(known, &self.credentials))
    }

    /// It is used from now on: the server has let us in with it.
    pub(crate) fn adopt(&self) {
        let credentials = &self.credentials;
        let now_us = credentials.clock.wall_us();
        let mut held = credentials.held();
        let mut known = self.known.clone();
        known.proven_us = Some(now_us);
        known.since_us = [now_us; 2];
        if let Some(before) = &held.current {
            let agrees = before.material.agrees(&known.material);
            for part in [0, 1].into_iter().filter(|part| agrees[*part]) {
                known.since_us[part] = before.since_us[part];
            }
        }
        held.other = None;
        held.again = None;
        credentials.set(&mut held, known);
    }
}

impl Clone for Login {
    fn clone(&self) -> Self {
        Self::new(self.known.clone(), &self.credentials)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let mut kept = self.credentials.kept();
        if let Some(count) = kept.get_mut(&self.known.number) {
            *count -= 1;
            if *count == 0 {
                kept.remove(&self.known.number);
            }
        }
    }
}

impl Deref for Login {
    type Target = Material;

    fn deref(&self) -> &Material {
        &self.known.material
    }
}

impl Credentials {
    /// Of one connection of `topology`.
    pub(crate) fn new(connection: &'static str, topology: &str, files: Files, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            connection,
            place: format!("{topology}/{connection}"),
            files,
            clock,
            held: Mutex::default(),
            current: watch::Sender::new(0),
            numbers: AtomicU64::new(0),
            kept: Mutex::default(),
        })
    }

    /// What to log in with now.
    pub(crate) fn login(self: &Arc<Self>) -> Result<Login, Error> {
        let mut held = self.held();
        if let Some(current) = held.current.as_ref().filter(|current| current.proven_us.is_some()) {
            return Ok(Login::new(current.clone(), self));
        }
        let read = Material::read(&self.files)?;
        if held.current.as_ref().is_none_or(|current| !current.material.is_same(&read)) {
            let known = self.known(&held, read);
            self.set(&mut held, known);
        }
        let current = held.current.as_ref().expect("invariant: set above");
        Ok(Login::new(current.clone(), self))
    }

    /// `changed().await` completes when something else is in use.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.current.subscribe()
    }

    /// Whether a server has let us in with what is in use.
    #[cfg(test)]
    pub(crate) fn is_proven(&self) -> bool {
        self.held().current.as_ref().is_some_and(|current| current.proven_us.is_some())
    }

    /// The number of what has just been read: that of what it is the same as, if there is one.
    fn known(&self, held: &Held, read: Material) -> Known {
        let others = held.other.iter().filter_map(|other| other.known.as_ref());
        if let Some(known) = held.current.iter().chain(others).find(|known| known.material.is_same(&read)) {
            return known.clone();
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let since_us = [self.clock.wall_us(); 2];
        Known { number, material: Arc::new(read), generations: None, since_us, proven_us: None }
    }

    fn set(&self, held: &mut Held, known: Known) {
        self.current.send_replace(known.number);
        held.current = Some(known);
    }

    /// Notes what the files hold; what is to be proven now, if anything.
    fn compare(self: &Arc<Self>, read: Result<Material, Error>) -> Option<Login> {
        let (now, now_us) = (self.clock.now(), self.clock.wall_us());
        let mut held = self.held();
        let read = match read {
            Ok(read) => self.known(&held, read),
            Err(error) => {
                // Where nothing is in use, who opens a connection tells of it.
                if held.current.is_some() {
                    let since_us = match &held.other {
                        Some(Other { known: None, since_us, .. }) => *since_us,
                        _ => now_us,
                    };
                    let reason = Some(error.message.into_owned());
                    held.other = Some(Other { known: None, since_us, reason, again: Again::new(now) });
                }
                return None;
            }
        };
        let is_proven = held.current.as_ref().is_some_and(|current| current.proven_us.is_some());
        let is_current = held.current.as_ref().is_some_and(|current| current.number == read.number);
        if is_current || !is_proven {
            if !is_current {
                self.set(&mut held, read);
                held.again = None;
            }
            held.other = None;
            let is_due = held.again.get_or_insert_with(|| Again::new(now)).at <= now;
            let current = held.current.as_ref().filter(|_| !is_proven && is_due)?;
            return Some(Login::new(current.clone(), self));
        }
        if held
            .other
            .as_ref()
            .and_then(|other| other.known.as_ref())
            .is_none_or(|it| it.number != read.number)
        {
            held.other =
                Some(Other { known: Some(read), since_us: now_us, reason: None, again: Again::new(now) });
        }
        let other = held.other.as_ref().filter(|other| other.again.at <= now)?;
        other.known.clone().map(|known| Login::new(known, self))
    }

    /// The server has not let us in with `login`.
    fn refused(&self, login: &Login, error: &Error) {
        let now = self.clock.now();
        let mut held = self.held();
        let number = login.known.number;
        match &mut held.other {
            Some(other) if other.known.as_ref().is_some_and(|known| known.number == number) => {
                other.reason = Some(error.message.to_string());
                other.again.later(now);
            }
            _ => {
                if let Some(again) = &mut held.again {
                    again.later(now);
                }
            }
        }
    }

    /// What has no generation yet.
    fn unnamed(&self) -> Vec<(u64, Arc<Material>)> {
        let held = self.held();
        let others = held.other.iter().filter_map(|other| other.known.as_ref());
        let unnamed = held.current.iter().chain(others).filter(|known| known.generations.is_none());
        unnamed.map(|known| (known.number, known.material.clone())).collect()
    }

    fn name(&self, number: u64, generations: &[String; 2]) {
        let mut held = self.held();
        let Held { current, other, .. } = &mut *held;
        let others = other.iter_mut().filter_map(|other| other.known.as_mut());
        for known in current.iter_mut().chain(others).filter(|known| known.number == number) {
            known.generations = Some(generations.clone());
        }
    }

    fn views(&self) -> Vec<SecretView> {
        let held = self.held();
        let in_use = *self.current.borrow();
        let older_connections =
            self.kept().iter().filter(|(number, _)| **number != in_use).map(|it| it.1).sum();
        let there = [("login", self.files.has_login()), ("tls", self.files.has_tls())];
        let view = |part: usize| {
            let current = held.current.as_ref();
            let differs = |known: &Known| current.is_none_or(|it| !it.material.agrees(&known.material)[part]);
            let refused = held.other.as_ref().and_then(|other| {
                let reason = other.reason.clone()?;
                let concerned = other.known.as_ref().is_none_or(differs);
                let generation =
                    other.known.as_ref().and_then(|known| Some(known.generations.as_ref()?[part].clone()));
                concerned.then_some(RefusedView { generation, since_us: other.since_us, reason })
            });
            SecretView {
                connection: self.connection,
                secret: there[part].0,
                generation: current.and_then(|known| Some(known.generations.as_ref()?[part].clone())),
                since_us: current.map_or(0, |known| known.since_us[part]),
                proven_us: current.and_then(|known| known.proven_us),
                older_connections,
                refused,
            }
        };
        [0, 1].into_iter().filter(|part| there[*part].1).map(view).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
