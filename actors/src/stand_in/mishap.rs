//! What goes wrong at a single question to the outside, drawn from a seed at every await on it.
//!
//! [`Trouble`](super::Trouble) lasts until somebody ends it; a mishap strikes one question. Where and how is drawn in the
//! order in which questions are asked, so one seed is one run, and every mishap is noted with the moment and the
//! question it struck. Deliberately absent: what a mishap means to the side that is asked; see [`Way`](super::trouble::Way).

use aqueduct_engine::Class;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What strikes one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The answer takes so long, or as long as it is waited for.
    Late(Duration),
    /// It is refused with an error of that class, and nothing was done.
    Refused(Class),
    /// The connection is cut before anything is done.
    CutBefore,
    /// The connection is cut; it is done all the same, and nobody is told.
    CutAfter,
    /// The connection is cut, and only so much later is it done: nobody can tell until then.
    CutAndDone(Duration),
}

/// What a question would do, if it were heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing that lasts.
    Nothing,
    /// Something that lasts.
    Effect,
    /// The end of a transaction, which a server may still work at when its client has long gone.
    Commit,
}

/// The classes a question is refused with, the likeliest first. `Bug` is nobody's answer.
const CLASSES: [Class; 7] = [
    Class::Transient,
    Class::Transient,
    Class::Transient,
    Class::Capacity,
    Class::Config,
    Class::Fenced,
    Class::Data,
];
/// The longest a late answer takes: longer than any answer is waited for.
const LATE_MAX: Duration = Duration::from_secs(90);
/// The longest a server works at what its client has given up.
const DONE_LATE_MAX: Duration = Duration::from_secs(20);
/// FNV-1a.
const HASH_PRIME: u64 = 0x0100_0000_01b3;

/// Draws mishaps. Cloning shares it; the default draws none.
#[derive(Clone, Debug, Default)]
pub struct Mishaps(Option<Arc<Mutex<Draw>>>);

#[derive(Debug)]
struct Draw {
    rng: fastrand::Rng,
    /// When it began, microseconds since 1970 UTC.
    began_us: i64,
    /// Of a thousand questions so many are struck.
    per_mille: u64,
    /// How many refusals that make an actor crash are left: too many would speak against the records it holds.
    crashes_left: u32,
    struck: Vec<String>,
    asked: u64,
    hash: u64,
}

impl Mishaps {
    /// Strikes `per_mille` of a thousand questions, at most `crashes` of them so that whoever asked must crash. Moments
    /// are noted from `began_us` on.
    pub fn of(seed: u64, began_us: i64, per_mille: u64, crashes: u32) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let (struck, asked, hash) = (Vec::new(), 0, 0);
        let draw = Draw { rng, began_us, per_mille, crashes_left: crashes, struck, asked, hash };
        Self(Some(Arc::new(Mutex::new(draw))))
    }

    /// From now on nothing goes wrong.
    pub fn stop(&self) {
        if let Some(mut draw) = self.lock() {
            draw.per_mille = 0;
        }
    }

    /// What struck which question when, in order.
    pub fn struck(&self) -> Vec<String> {
        self.lock().map(|draw| draw.struck.clone()).unwrap_or_default()
    }

    /// How many questions were asked, and which and when, as a hash: alike for runs that are alike.
    pub fn asked(&self) -> (u64, u64) {
        self.lock().map_or((0, 0), |draw| (draw.asked, draw.hash))
    }

    /// What strikes this question, asked at that moment.
    pub(super) fn draw(&self, at_us: i64, who: &str, what: &str, asks: Asks) -> Option<Mishap> {
        let mut draw = self.lock()?;
        draw.asked += 1;
        let at_us = at_us - draw.began_us;
        for byte in at_us.to_le_bytes().iter().chain(who.as_bytes()).chain(what.as_bytes()) {
            draw.hash = (draw.hash ^ u64::from(*byte)).wrapping_mul(HASH_PRIME);
        }
        if draw.rng.u64(..1000) >= draw.per_mille {
            return None;
        }
        let mishap = draw.mishap(asks)?;
        let at = at_us as f64 / 1e6;
        draw.struck.push(format!("{at:>10.3}s {who}: {what}: {mishap:?}"));
        Some(mishap)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Draw>> {
        self.0.as_ref().map(|draw| draw.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Draw {
    fn mishap(&mut self, asks: Asks) -> Option<Mishap> {
        match (self.rng.u8(..8), asks) {
            (0..=1, _) => Some(Mishap::Late(self.while_of(LATE_MAX))),
            (2..=4, _) => {
                let class = CLASSES[self.rng.usize(..CLASSES.len())];
                if matches!(class, Class::Fenced | Class::Data) {
                    self.crashes_left = self.crashes_left.checked_sub(1)?;
                }
                Some(Mishap::Refused(class))
            }
            (5, _) | (_, Asks::Nothing) => Some(Mishap::CutBefore),
            (6, Asks::Commit) => Some(Mishap::CutAndDone(self.while_of(DONE_LATE_MAX))),
            _ => Some(Mishap::CutAfter),
        }
    }

    /// Mostly a short one.
    fn while_of(&mut self, most: Duration) -> Duration {
        let share = self.rng.f64();
        most.mul_f64(share * share * share * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, asks: Asks) -> Vec<Option<Mishap>> {
        let mishaps = Mishaps::of(seed, 0, 500, 4);
        (0..400).map(|at| mishaps.draw(at, "history", "commit", asks)).collect()
    }

    #[test]
    fn one_seed_is_one_row_of_mishaps_and_every_kind_is_among_them() {
        assert_eq!(drawn(7, Asks::Commit), drawn(7, Asks::Commit));
        assert_ne!(drawn(7, Asks::Commit), drawn(8, Asks::Commit));
        let some = |asks, is: fn(&Mishap) -> bool| drawn(7, asks).iter().flatten().any(is);
        assert!(some(Asks::Commit, |mishap| matches!(mishap, Mishap::Late(_))));
        assert!(some(Asks::Commit, |mishap| matches!(mishap, Mishap::Refused(Class::Capacity))));
        assert!(some(Asks::Commit, |mishap| *mishap == Mishap::CutBefore));
        assert!(some(Asks::Commit, |mishap| *mishap == Mishap::CutAfter));
        assert!(some(Asks::Commit, |mishap| matches!(mishap, Mishap::CutAndDone(_))));
        assert!(!some(Asks::Nothing, |mishap| *mishap == Mishap::CutAfter), "nothing was to be done");
        assert!(!some(Asks::Effect, |mishap| matches!(mishap, Mishap::CutAndDone(_))));
    }

    #[test]
    fn crashes_are_bounded_and_a_stopped_draw_strikes_nothing() {
        let crashes = |mishap: &&Mishap| matches!(mishap, Mishap::Refused(Class::Fenced | Class::Data));
        assert_eq!(drawn(7, Asks::Effect).iter().flatten().filter(crashes).count(), 4);
        let mishaps = Mishaps::of(7, 0, 1000, 4);
        while mishaps.draw(0, "a", "b", Asks::Nothing).is_none() {}
        let asked = mishaps.asked().0;
        mishaps.stop();
        assert_eq!(mishaps.draw(0, "a", "b", Asks::Nothing), None);
        assert_eq!((mishaps.asked().0, mishaps.struck().len()), (asked + 1, 1));
        assert_eq!(Mishaps::default().draw(0, "a", "b", Asks::Commit), None);
    }
}
