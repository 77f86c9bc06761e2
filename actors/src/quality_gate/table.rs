//! The keys a gate knows, at most so many: where there is no place for one more, the key not seen for longest is forgotten.
//!
//! Invariant: finding, adding, touching and forgetting a key take the same time however many there are: slots in one
//! vector, joined to a list in the order they were last seen. Deliberately absent: what is known of a key.

use ahash::AHashMap;
use std::sync::Arc;

/// No slot.
const NONE: u32 = u32::MAX;

struct Slot<T> {
    key: Arc<[u8]>,
    value: T,
    /// Seen just before this one.
    older: u32,
    /// Seen just after it.
    newer: u32,
}

/// See the module.
pub(super) struct Table<T> {
    most: usize,
    by_key: AHashMap<Arc<[u8]>, u32>,
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    forgotten: u64,
}

impl<T> Table<T> {
    pub(super) fn new(most: usize) -> Self {
        assert!(most > 0 && most < NONE as usize, "a table has a bound");
        Self {
            most,
            by_key: AHashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            forgotten: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Keys forgotten for want of a place.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// What is known of `key`, which was seen just now; made by `begin` if it is new.
    pub(super) fn seen(&mut self, key: &[u8], begin: impl FnOnce(&Arc<[u8]>) -> T) -> &mut T {
        let index = match self.by_key.get(key) {
            Some(&index) => {
                self.unlink(index);
                index
            }
            None => {
                if self.by_key.len() >= self.most {
                    self.forget_oldest();
                }
                let key: Arc<[u8]> = key.into();
                let value = begin(&key);
                self.add(key, value)
            }
        };
        self.link_newest(index);
        &mut self.slot_mut(index).value
    }

    /// Every key with what is known of it, in no order that means anything.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten().map(|slot| &mut slot.value)
    }

    /// The same, to be looked at.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(|slot| &slot.value)
    }

    /// Forgets every key that `stays` is not true of.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        for index in 0..self.slots.len() as u32 {
            let leaves = self.slots[index as usize].as_ref().is_some_and(|slot| !stays(&slot.value));
            if leaves {
                self.unlink(index);
                self.remove(index);
            }
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.oldest;
        self.unlink(oldest);
        self.remove(oldest);
        self.forgotten += 1;
    }

    fn add(&mut self, key: Arc<[u8]>, value: T) -> u32 {
        let slot = Some(Slot { key: key.clone(), value, older: NONE, newer: NONE });
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.by_key.insert(key, index);
        index
    }

    fn remove(&mut self, index: u32) {
        let slot = self.slots[index as usize].take().expect("invariant: a key's slot is taken");
        self.by_key.remove(&slot.key);
        self.free.push(index);
    }

    fn slot_mut(&mut self, index: u32) -> &mut Slot<T> {
        self.slots[index as usize].as_mut().expect("invariant: a key's slot is taken")
    }

    fn link_newest(&mut self, index: u32) {
        let before = std::mem::replace(&mut self.newest, index);
        let slot = self.slot_mut(index);
        (slot.older, slot.newer) = (before, NONE);
        match before {
            NONE => self.oldest = index,
            before => self.slot_mut(before).newer = index,
        }
    }

    fn unlink(&mut self, index: u32) {
        let slot = self.slot_mut(index);
        let (older, newer) = (slot.older, slot.newer);
        match older {
            NONE => self.oldest = newer,
            older => self.slot_mut(older).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.slot_mut(newer).older = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(table: &Table<u64>) -> Vec<u64> {
        let mut keys: Vec<u64> = table.values().copied().collect();
        keys.sort_unstable();
        keys
    }

    fn see(table: &mut Table<u64>, key: u64) {
        table.seen(&key.to_be_bytes(), |_| key);
    }

    #[test]
    fn the_key_not_seen_for_longest_leaves_first() {
        let mut table = Table::new(3);
        for key in [1, 2, 3, 1, 4] {
            see(&mut table, key);
        }
        assert_eq!(keys(&table), [1, 3, 4]);
        assert_eq!((table.len(), table.forgotten()), (3, 1));
    }

    #[test]
    fn a_million_keys_take_no_more_places_than_there_are() {
        let mut table = Table::new(1_000);
        for key in 0..1_000_000 {
            see(&mut table, key);
        }
        assert_eq!((table.len(), table.slots.len()), (1_000, 1_000));
        assert_eq!(table.forgotten(), 999_000);
        assert_eq!(keys(&table)[0], 999_000);
    }

    #[test]
    fn what_is_forgotten_on_purpose_leaves_its_place() {
        let mut table = Table::new(4);
        for key in 0..4 {
            see(&mut table, key);
        }
        table.retain(|key| key % 2 == 1);
        for key in [10, 11, 12] {
            see(&mut table, key);
        }
        assert_eq!(keys(&table), [3, 10, 11, 12]);
        assert_eq!(table.forgotten(), 1, "the two were not forgotten for want of a place");
        assert_eq!(table.slots.len(), 4);
    }
}
