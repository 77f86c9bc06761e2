//! Schemas that were asked for once, and ids that nobody knows.
//!
//! Invariant: a schema never changes under its id, so what is known is never asked for again. That an id is unknown holds
//! for a while only: it may be of a schema that was registered with another node of the registry just now.

use crate::wire::SchemaText;
use aqueduct_engine::clock::Instant;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Most schemas that are kept; beyond it the one that was used longest ago goes.
pub(super) const SCHEMAS_MAX: usize = 4096;
/// Most ids of which is known that nobody knows them.
const UNKNOWN_MAX: usize = 1024;
/// How long that holds.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// What the registry says of an id.
#[derive(Clone, Debug)]
pub enum Known {
    /// It is this schema's.
    Schema(Arc<SchemaText>),
    /// It is nobody's, in the registry's words.
    Unknown(Arc<str>),
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    schemas: HashMap<u32, (Arc<SchemaText>, u64)>,
    unknown: HashMap<u32, (Arc<str>, Instant)>,
    uses: u64,
}

impl Cache {
    pub(super) fn get(&mut self, id: u32, now: Instant) -> Option<Known> {
        self.uses += 1;
        if let Some((schema, used)) = self.schemas.get_mut(&id) {
            *used = self.uses;
            return Some(Known::Schema(schema.clone()));
        }
        let (words, since) = self.unknown.get(&id)?;
        (now.duration_since(*since) < UNKNOWN_FOR).then(|| Known::Unknown(words.clone()))
    }

    pub(super) fn put(&mut self, id: u32, known: &Known, now: Instant) {
        match known {
            Known::Schema(schema) => {
                self.unknown.remove(&id);
                if self.schemas.len() >= SCHEMAS_MAX
                    && let Some(oldest) =
                        self.schemas.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id)
                {
                    self.schemas.remove(&oldest);
                }
                self.uses += 1;
                self.schemas.insert(id, (schema.clone(), self.uses));
            }
            Known::Unknown(words) => {
                if self.unknown.len() >= UNKNOWN_MAX {
                    self.unknown.clear();
                }
                self.unknown.insert(id, (words.clone(), now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::SchemaKind;
    use aqueduct_engine::Clock;

    fn schema() -> Known {
        let text = SchemaText { kind: SchemaKind::Avro, text: "\"long\"".to_owned(), references: Vec::new() };
        Known::Schema(Arc::new(text))
    }

    #[test]
    fn the_schema_that_was_used_longest_ago_makes_room() {
        let (mut cache, now) = (Cache::default(), Clock::system().now());
        for id in 0..SCHEMAS_MAX as u32 {
            cache.put(id, &schema(), now);
        }
        assert!(matches!(cache.get(0, now), Some(Known::Schema(_))));
        cache.put(u32::MAX, &schema(), now);
        assert_eq!(cache.schemas.len(), SCHEMAS_MAX);
        assert!(cache.get(0, now).is_some() && cache.get(1, now).is_none());
    }

    #[test]
    fn an_unknown_id_is_asked_for_again_after_a_while() {
        let (mut cache, now) = (Cache::default(), Clock::system().now());
        for id in 0..=UNKNOWN_MAX as u32 {
            cache.put(id, &Known::Unknown("nobody knows it".into()), now);
        }
        assert!(cache.unknown.len() <= UNKNOWN_MAX);
        let last = UNKNOWN_MAX as u32;
        assert!(matches!(cache.get(last, now), Some(Known::Unknown(_))));
        assert!(cache.get(last, now + UNKNOWN_FOR).is_none());
        cache.put(last, &schema(), now);
        assert!(matches!(cache.get(last, now + UNKNOWN_FOR), Some(Known::Schema(_))));
    }
}
