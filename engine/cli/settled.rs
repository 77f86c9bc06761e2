//! Whether something that is looked at again and again is another one than before, and has stood still: half a file is
//! not worth reading.

/// A thing, as it was when it was last taken notice of, and as it was at the last look.
pub(crate) struct Settled<T> {
    noticed: T,
    seen: T,
}

impl<T: PartialEq + Clone> Settled<T> {
    pub(crate) fn new(now: T) -> Self {
        Self { noticed: now.clone(), seen: now }
    }

    /// How it was at the last look.
    pub(crate) fn seen(&self) -> &T {
        &self.seen
    }

    /// Whether it is another one, and the same as at the look before. Told once.
    pub(crate) fn has_changed(&mut self, now: T) -> bool {
        let still = now == self.seen;
        self.seen = now;
        let changed = still && self.seen != self.noticed;
        if changed {
            self.noticed = self.seen.clone();
        }
        changed
    }
}
