//! What is wrong with the outside of one actor, and how that shows.

use super::chance::Chance;
use aqueduct_engine::{Class, Clock, Error};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the outside fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It refuses connections.
    Away,
    /// It answers nothing; what was asked may have been done all the same.
    Silent,
    /// Its disk is full.
    Full,
}

/// Which actors have trouble, by name. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(Arc<Mutex<BTreeMap<String, Trouble>>>);

impl Troubles {
    pub(super) fn set(&self, actor: &str, trouble: Option<Trouble>) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => drop(troubles.insert(actor.to_owned(), trouble)),
            None => drop(troubles.remove(actor)),
        }
    }

    fn of(&self, actor: &str) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(actor).copied()
    }
}

/// The way from one actor to what it speaks to.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) actor: String,
    /// For messages: `redis`, `the database`, ..
    pub(super) to: &'static str,
    pub(super) troubles: Troubles,
    pub(super) chance: Chance,
    pub(super) clock: Clock,
}

/// The longest an answer takes when all is well.
const ANSWER_MAX: Duration = Duration::from_millis(4);

impl Way {
    /// There and back, to do `what`; an answer is waited for so long. An error: it was not done.
    pub(super) async fn reach(&self, what: &str, wait: Duration) -> Result<(), Error> {
        self.chance.travel(&self.clock, ANSWER_MAX).await;
        match self.troubles.of(&self.actor) {
            None => Ok(()),
            Some(Trouble::Away) => {
                let message = format!("{what}: {}: connection refused", self.to);
                Err(Error::new(Class::Transient, message))
            }
            Some(Trouble::Silent) => Err(self.no_answer(what, wait).await),
            Some(Trouble::Full) => {
                let message = format!(
                    "{what}: {}: no space left on device; free space, nothing is lost meanwhile",
                    self.to
                );
                Err(Error::new(Class::Capacity, message))
            }
        }
    }

    /// Does what cannot be undone: `apply` happens, or not, and the answer arrives, or not.
    pub(super) async fn apply<T>(
        &self,
        what: &str,
        wait: Duration,
        apply: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.troubles.of(&self.actor) == Some(Trouble::Silent) && self.chance.one_in(2) {
            // It is done, and nobody is told.
            apply()?;
            return Err(self.no_answer(what, wait).await);
        }
        self.reach(what, wait).await?;
        let done = apply()?;
        self.chance.travel(&self.clock, ANSWER_MAX).await;
        if self.troubles.of(&self.actor) == Some(Trouble::Silent) {
            return Err(self.no_answer(what, wait).await);
        }
        Ok(done)
    }

    async fn no_answer(&self, what: &str, wait: Duration) -> Error {
        self.clock.sleep(wait).await;
        Error::new(Class::Transient, format!("{what}: no answer within {wait:?}"))
    }
}
