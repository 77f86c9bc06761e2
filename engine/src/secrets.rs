//! What a node logs in with, as far as people may know it: which generation of each secret is in use, since when, and whether
//! its files hold another one that no server takes.
//!
//! Who speaks to a server keeps its secrets ([`Keeper`]): it looks at their files, proves what has changed and only then
//! takes it. Here is the beat of the looks, and the board for `/api/secrets`, `/readyz`, `/metrics` and events.
//! Deliberately absent: secrets. A generation is a digest that says whether two nodes hold the same one.

use crate::clock::Clock;
use crate::events::Events;
use crate::limits::{SECRET_LOOK_EVERY, SECRET_LOOK_WAIT_MAX};
use crate::task::{self, Task};
use crate::telemetry::event_ids;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};

/// One secret, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretView {
    /// Whose: `kafka`, `timescale` or `redis`.
    pub connection: &'static str,
    /// `login` (user and password) or `tls` (authority, certificate and key).
    pub secret: &'static str,
    /// Which one is in use; `None` = its files could not be read yet.
    pub generation: Option<String>,
    /// Since when, microseconds since 1970 UTC.
    pub since_us: i64,
    /// When the server last let us in with it after a change or a start, microseconds since 1970 UTC; `None` = not yet.
    pub proven_us: Option<i64>,
    /// Connections that were opened with an earlier generation and are not closed yet.
    pub older_connections: usize,
    /// What its files hold by now, if that is something else and not taken.
    pub refused: Option<RefusedView>,
}

/// A secret that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedView {
    /// Its generation; `None` = the files cannot be read.
    pub generation: Option<String>,
    /// Since when, microseconds since 1970 UTC.
    pub since_us: i64,
    /// Why, for people.
    pub reason: String,
}

/// Keeps the secrets of one connection.
pub trait Keeper: Send + Sync {
    /// Looks at the files; proves and takes what has changed. May be dropped midway.
    fn look(&self) -> BoxFuture<'_, ()>;

    /// How its secrets stand.
    fn views(&self) -> Vec<SecretView>;
}

/// The keepers of a node. Cloning shares them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<Arc<dyn Keeper>>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.views()).finish()
    }
}

impl Secrets {
    /// From now on these are the ones: after a reload, those of the connections it has.
    pub fn keep(&self, keepers: Vec<Arc<dyn Keeper>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keepers;
    }

    /// How every secret stands.
    pub fn views(&self) -> Vec<SecretView> {
        self.keepers().iter().flat_map(|keeper| keeper.views()).collect()
    }

    fn keepers(&self) -> Vec<Arc<dyn Keeper>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks after the secrets for as long as the task lives, and tells `events` what becomes of them.
pub(crate) fn follow(secrets: Secrets, clock: Clock, events: Events) -> Task {
    task::spawn("secrets", async move {
        let mut told = BTreeMap::new();
        loop {
            join_all(secrets.keepers().iter().map(|keeper| look(keeper, &clock))).await;
            told = tell(&events, told, secrets.views());
            clock.sleep(SECRET_LOOK_EVERY).await;
        }
    })
}

/// One look, which a server that hangs does not hold up for ever, nor a panic end the others.
async fn look(keeper: &Arc<dyn Keeper>, clock: &Clock) {
    let looking = async { clock.timeout(SECRET_LOOK_WAIT_MAX, keeper.look()).await };
    if AssertUnwindSafe(looking).catch_unwind().await.is_err() {
        tracing::error!(event = event_ids::TASK_PANICKED, task = "secrets", "task panicked");
    }
}

type Told = BTreeMap<(&'static str, &'static str), SecretView>;

fn tell(events: &Events, before: Told, views: Vec<SecretView>) -> Told {
    let mut told = Told::new();
    for view in views {
        let name = (view.connection, view.secret);
        let known = before.get(&name);
        let subject: Arc<str> = format!("{}/{}", name.0, name.1).into();
        let (generation, earlier) =
            (view.generation.as_deref(), known.and_then(|it| it.generation.as_deref()));
        if let (Some(now), Some(earlier)) = (generation, earlier)
            && now != earlier
        {
            let detail = format!("generation {now} in place of {earlier}");
            tracing::info!(event = event_ids::SECRET_TAKEN, secret = &*subject, "{detail}");
            events.enter(&subject, event_ids::SECRET_TAKEN, detail);
        }
        let known_reason = known.and_then(|it| it.refused.as_ref()).map(|refused| &refused.reason);
        if let Some(refused) = &view.refused
            && known_reason != Some(&refused.reason)
        {
            let detail = format!("{}; the one before it goes on being used", refused.reason);
            tracing::warn!(event = event_ids::SECRET_REFUSED, secret = &*subject, "{detail}");
            events.enter(&subject, event_ids::SECRET_REFUSED, detail);
        }
        told.insert(name, view);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(generation: &str, refused: Option<&str>) -> SecretView {
        SecretView {
            connection: "redis",
            secret: "login",
            generation: Some(generation.to_owned()),
            since_us: 1,
            proven_us: Some(1),
            older_connections: 0,
            refused: refused.map(|reason| RefusedView {
                generation: Some("x".to_owned()),
                since_us: 2,
                reason: reason.to_owned(),
            }),
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let events = Events::new(Clock::system());
        let steps = [
            view("a", None),
            view("a", Some("wrong")),
            view("a", Some("wrong")),
            view("b", None),
            view("b", None),
        ];
        let _ = steps.into_iter().fold(Told::new(), |told, step| tell(&events, told, vec![step]));
        let words: Vec<_> = events.after(0).into_iter().map(|event| event.what).collect();
        assert_eq!(words, [event_ids::SECRET_REFUSED, event_ids::SECRET_TAKEN]);
    }

    struct Panics;

    impl Keeper for Panics {
        fn look(&self) -> BoxFuture<'_, ()> {
            panic!("a bug");
        }

        fn views(&self) -> Vec<SecretView> {
            Vec::new()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_that_panics_does_not_end_the_looks() {
        struct Counts(std::sync::atomic::AtomicUsize);
        impl Keeper for Counts {
            fn look(&self) -> BoxFuture<'_, ()> {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                async {}.boxed()
            }
            fn views(&self) -> Vec<SecretView> {
                Vec::new()
            }
        }
        let (secrets, counts) = (Secrets::default(), Arc::new(Counts(0.into())));
        secrets.keep(vec![Arc::new(Panics), counts.clone()]);
        let clock = Clock::system();
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let _following = follow(secrets, clock.clone(), Events::new(clock.clone()));
                clock.sleep(SECRET_LOOK_EVERY * 3).await;
            })
            .await;
        assert!(counts.0.load(std::sync::atomic::Ordering::Relaxed) >= 2);
    }
}
