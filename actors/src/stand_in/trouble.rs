//! What is wrong with the outside of one actor, and how that shows.

use super::chance::Chance;
use super::mishap::{Asks, Mishap, Mishaps};
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
    pub(super) mishaps: Mishaps,
    pub(super) chance: Chance,
    pub(super) clock: Clock,
}

/// Why a question was not answered.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) error: Error,
    /// The connection is of no more use.
    pub(super) cut: bool,
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.error
    }
}

impl From<Error> for Unanswered {
    /// An answer, if not the one that was hoped for.
    fn from(error: Error) -> Self {
        Self { error, cut: false }
    }
}

/// The longest an answer takes when all is well.
const ANSWER_MAX: Duration = Duration::from_millis(4);

impl Way {
    /// There and back, to do `what`; an answer is waited for so long. An error: it was not done.
    pub(super) async fn reach(&self, what: &str, wait: Duration) -> Result<(), Unanswered> {
        let mishap = self.mishap(what, Asks::Nothing);
        self.pass(what, wait, mishap).await
    }

    /// Does what cannot be undone: `apply` happens, or not, and the answer arrives, or not.
    pub(super) async fn apply<T>(
        &self,
        what: &str,
        wait: Duration,
        apply: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Unanswered> {
        let mishap = self.mishap(what, Asks::Effect);
        self.struck(what, wait, mishap, apply).await
    }

    /// Like [`apply`](Self::apply), for what may still be done when nobody waits for it any more: then it is given to
    /// `later`, with how much later.
    pub(super) async fn commit(
        &self,
        what: &str,
        wait: Duration,
        apply: impl FnOnce() -> Result<(), Error>,
        later: impl FnOnce(Duration),
    ) -> Result<(), Unanswered> {
        match self.mishap(what, Asks::Commit) {
            Some(Mishap::CutAndDone(after)) => {
                later(after);
                Err(self.severed(what))
            }
            mishap => self.struck(what, wait, mishap, apply).await,
        }
    }

    async fn struck<T>(
        &self,
        what: &str,
        wait: Duration,
        mishap: Option<Mishap>,
        apply: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Unanswered> {
        let silent = || self.troubles.of(&self.actor) == Some(Trouble::Silent);
        if silent() && self.chance.one_in(2) {
            // It is done, and nobody is told.
            apply()?;
            return Err(self.no_answer(what, wait).await);
        }
        let (before, after) = match mishap {
            // Late on the way there, or on the way back.
            Some(Mishap::Late(_)) if self.chance.one_in(2) => (None, mishap),
            Some(Mishap::CutAfter) => (None, mishap),
            mishap => (mishap, None),
        };
        self.pass(what, wait, before).await?;
        let done = apply()?;
        self.chance.travel(&self.clock, ANSWER_MAX).await;
        if silent() {
            return Err(self.no_answer(what, wait).await);
        }
        match after {
            Some(Mishap::Late(by)) => self.late(what, wait, by).await?,
            Some(_) => return Err(self.severed(what)),
            None => {}
        }
        Ok(done)
    }

    fn mishap(&self, what: &str, asks: Asks) -> Option<Mishap> {
        self.mishaps.draw(self.clock.wall_us(), &self.actor, what, asks)
    }

    /// One way, with what strikes on it and what is wrong at its end.
    async fn pass(&self, what: &str, wait: Duration, mishap: Option<Mishap>) -> Result<(), Unanswered> {
        self.chance.travel(&self.clock, ANSWER_MAX).await;
        match self.troubles.of(&self.actor) {
            None => {}
            Some(Trouble::Away) => {
                let message = format!("{what}: {}: connection refused", self.to);
                return Err(Unanswered { error: Error::new(Class::Transient, message), cut: true });
            }
            Some(Trouble::Silent) => return Err(self.no_answer(what, wait).await),
            Some(Trouble::Full) => {
                let message = format!(
                    "{what}: {}: no space left on device; free space, nothing is lost meanwhile",
                    self.to
                );
                return Err(Error::new(Class::Capacity, message).into());
            }
        }
        match mishap {
            None => Ok(()),
            Some(Mishap::Late(by)) => self.late(what, wait, by).await,
            Some(Mishap::Refused(class)) => {
                let message = format!("{what}: {}: refused ({})", self.to, class.as_str());
                Err(Error::new(class, message).into())
            }
            Some(Mishap::CutBefore | Mishap::CutAfter | Mishap::CutAndDone(_)) => Err(self.severed(what)),
        }
    }

    async fn late(&self, what: &str, wait: Duration, by: Duration) -> Result<(), Unanswered> {
        if by >= wait {
            return Err(self.no_answer(what, wait).await);
        }
        self.clock.sleep(by).await;
        Ok(())
    }

    fn severed(&self, what: &str) -> Unanswered {
        let message = format!("{what}: {}: connection reset by peer", self.to);
        Unanswered { error: Error::new(Class::Transient, message), cut: true }
    }

    async fn no_answer(&self, what: &str, wait: Duration) -> Unanswered {
        self.clock.sleep(wait).await;
        let message = format!("{what}: no answer within {wait:?}");
        Unanswered { error: Error::new(Class::Transient, message), cut: true }
    }
}
