//! What the cache still owes Redis: the newest value of each key, and whose settling waits for them.
//!
//! Invariant: what is owed is settled only after every value that came with it, or a newer one of the same key, is in
//! Redis. Deliberately absent: Redis, links, clocks.

use super::order::Order;
use aqueduct_engine::planted::{Bug, planted};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

/// The hash a key shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// How new it is.
    pub(crate) order: Order,
    /// Its event time, microseconds since 1970 UTC, if the order is one.
    pub(crate) time_us: Option<i64>,
    /// When it ends, milliseconds since 1970 UTC.
    pub(crate) expires_at_ms: Option<i64>,
    /// What it says.
    pub(crate) write: Write,
}

/// What leaves together, by key.
pub(crate) type Writes = Arc<Vec<(Arc<str>, Entry)>>;

/// A value or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// The text of each field; `None` = null, the field is removed.
    Put(Vec<Option<Box<str>>>),
    /// Deleted; only the order stays.
    Tombstone,
}

/// What became of an offered value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// A key that was not there.
    New,
    /// It took the place of an older one, or gave way to a newer one.
    Coalesced,
    /// No room for another key: not taken.
    Full,
}

/// See the module. `O` is what waits for its settling.
#[derive(Debug)]
pub(crate) struct Pending<O> {
    newest: HashMap<Arc<str>, Entry>,
    owed: Vec<O>,
    flight: Option<Flight<O>>,
    keys_max: usize,
}

#[derive(Debug)]
struct Flight<O> {
    writes: Writes,
    owed: Vec<O>,
}

impl<O> Pending<O> {
    /// Nothing owed; room for `keys_max` keys, those in flight among them.
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { newest: HashMap::new(), owed: Vec::new(), flight: None, keys_max }
    }

    /// Keeps `entry` if it is the newest of `key`. With `must_take`, beyond the bound as well: the caller stops leasing.
    pub(crate) fn offer(&mut self, key: &str, entry: Entry, must_take: bool) -> Offer {
        if let Some(kept) = self.newest.get_mut(key) {
            if kept.order < entry.order || planted(Bug::LetsTheLastWin) {
                *kept = entry;
            }
            return Offer::Coalesced;
        }
        if !must_take && self.is_full() {
            return Offer::Full;
        }
        self.newest.insert(key.into(), entry);
        Offer::New
    }

    /// Keys held, in flight or not.
    pub(crate) fn keys(&self) -> usize {
        self.newest.len() + self.flight.as_ref().map_or(0, |flight| flight.writes.len())
    }

    /// Whether no further key fits.
    pub(crate) fn is_full(&self) -> bool {
        self.keys() >= self.keys_max
    }

    /// To be settled after what has been offered so far.
    pub(crate) fn owe(&mut self, owed: O) {
        self.owed.push(owed);
    }

    /// What was last owed and is not yet in flight, to be widened.
    pub(crate) fn owed_mut(&mut self) -> &mut Vec<O> {
        &mut self.owed
    }

    /// Whether nothing is owed at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_empty() && self.owed.is_empty() && self.flight.is_none()
    }

    /// Sends everything off; `None` if there is nothing to write, or something is on its way.
    pub(crate) fn depart(&mut self) -> Option<Writes> {
        if self.newest.is_empty() || self.flight.is_some() {
            return None;
        }
        let writes = Arc::new(self.newest.drain().collect::<Vec<_>>());
        self.flight = Some(Flight { writes: writes.clone(), owed: std::mem::take(&mut self.owed) });
        Some(writes)
    }

    /// What may be settled without any write; nothing while something is on its way.
    pub(crate) fn settle_idle(&mut self) -> Vec<O> {
        if self.newest.is_empty() && self.flight.is_none() {
            std::mem::take(&mut self.owed)
        } else {
            Vec::new()
        }
    }

    /// What was sent off is in Redis: what may be settled now.
    pub(crate) fn land(&mut self) -> Vec<O> {
        self.flight.take().expect("invariant: only what departed lands").owed
    }

    /// What was sent off may not be in Redis: it is owed again, where nothing newer has come since.
    pub(crate) fn turn_back(&mut self) {
        let Some(flight) = self.flight.take() else { return };
        for (key, entry) in flight.writes.iter() {
            match self.newest.entry(key.clone()) {
                Slot::Vacant(slot) => {
                    slot.insert(entry.clone());
                }
                Slot::Occupied(mut slot) if slot.get().order < entry.order => {
                    slot.insert(entry.clone());
                }
                Slot::Occupied(_) => {}
            }
        }
        let later = std::mem::replace(&mut self.owed, flight.owed);
        self.owed.extend(later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(by: i64, offset: i64) -> Entry {
        Entry {
            order: Order { by, partition: 0, offset, row: 0, source: 0 },
            time_us: None,
            expires_at_ms: None,
            write: Write::Put(vec![Some(format!("{by}/{offset}").into())]),
        }
    }

    /// The guard in Redis, modelled: a value gives way to a newer one only.
    fn guarded_write(redis: &mut HashMap<Arc<str>, Entry>, writes: &[(Arc<str>, Entry)]) {
        for (key, entry) in writes {
            let stored = redis.get(key).map(|stored| stored.order.text());
            if stored.is_none_or(|stored| stored < entry.order.text()) {
                redis.insert(key.clone(), entry.clone());
            }
        }
    }

    fn newest_of(rows: &[(u8, i64)]) -> HashMap<Arc<str>, Entry> {
        let mut newest: HashMap<Arc<str>, Entry> = HashMap::new();
        for (offset, (key, by)) in rows.iter().enumerate() {
            let candidate = entry(*by, offset as i64);
            let kept = newest.entry(key.to_string().into()).or_insert_with(|| candidate.clone());
            if kept.order < candidate.order {
                *kept = candidate;
            }
        }
        newest
    }

    proptest! {
        /// Rows in any order, some of them twice, flushed at any moment, any flush cut before or after Redis took any
        /// part of it: Redis ends with the newest value of each key, and everything owed is settled once.
        #[test]
        fn any_order_any_replay_any_failure_gives_the_newest(
            rows in prop::collection::vec((0..6u8, -5..5i64), 1..60),
            picks in prop::collection::vec((any::<prop::sample::Index>(), 0..6u8), 0..120),
        ) {
            let mut redis = HashMap::new();
            let mut pending: Pending<usize> = Pending::new(1000);
            let mut settled = Vec::new();
            let replayed = picks.iter().map(|(index, step)| (index.index(rows.len()), *step));
            let all = replayed.chain((0..rows.len()).map(|index| (index, 1)));
            let mut owed = 0;
            for (index, step) in all {
                let (key, by) = rows[index];
                pending.offer(&key.to_string(), entry(by, index as i64), false);
                pending.owe(owed);
                owed += 1;
                match step {
                    2 => if let Some(writes) = pending.depart() { guarded_write(&mut redis, &writes[..writes.len() / 2]) },
                    3 => pending.turn_back(),
                    4 if pending.flight.is_some() => {
                        guarded_write(&mut redis, &pending.flight.as_ref().unwrap().writes.clone());
                        settled.extend(pending.land());
                    }
                    _ => {}
                }
            }
            pending.turn_back();
            if let Some(writes) = pending.depart() {
                guarded_write(&mut redis, &writes);
                settled.extend(pending.land());
            }
            settled.extend(pending.settle_idle());
            prop_assert!(pending.is_empty());
            prop_assert_eq!(redis, newest_of(&rows));
            prop_assert_eq!(settled, (0..owed).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_full_map_takes_newer_values_of_its_keys_only() {
        let mut pending: Pending<()> = Pending::new(1);
        assert_eq!(pending.offer("a", entry(1, 1), false), Offer::New);
        assert_eq!(pending.offer("b", entry(1, 2), false), Offer::Full);
        assert_eq!(pending.offer("a", entry(2, 3), false), Offer::Coalesced);
        let writes = pending.depart().expect("a key");
        assert_eq!(writes[0].1.order.by, 2);
        assert_eq!(pending.offer("b", entry(1, 2), false), Offer::Full, "what is in flight counts");
        assert_eq!(pending.offer("b", entry(1, 2), true), Offer::New, "what must be taken is");
    }

    #[test]
    fn nothing_is_settled_while_its_value_is_on_its_way() {
        let mut pending: Pending<u8> = Pending::new(9);
        pending.offer("a", entry(1, 1), false);
        pending.owe(1);
        pending.depart().expect("a key");
        pending.owe(2);
        assert!(pending.settle_idle().is_empty(), "2 came after 1");
        pending.turn_back();
        assert!(pending.settle_idle().is_empty(), "1 is not in Redis");
        pending.depart().expect("still a key");
        assert_eq!(pending.land(), [1, 2]);
    }
}
