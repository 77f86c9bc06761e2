//! Dead letters in memory.

use crate::timescale::LetterStore;
use aqueduct_engine::{Error, Letter, PartitionKey};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The key under which a letter is stored once, however often it is judged.
type Place = (PartitionKey, i64, i32, Arc<str>);

/// Letters by their key. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryLetters(Arc<Mutex<BTreeMap<Place, Letter>>>);

impl MemoryLetters {
    /// All of them, by partition, offset and row.
    pub(super) fn all(&self) -> Vec<Letter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl LetterStore for MemoryLetters {
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for letter in letters {
            let place = (letter.key.clone(), letter.offset, letter.row, letter.actor.clone());
            stored.insert(place, letter.clone());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
