//! An offset store for tests: in memory, with one sink, and as strict as a database.

use aqueduct_engine::{Claim, ClaimRequest, Class, Error, OffsetStore, Owner, PartitionKey, Position};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Epoch and next offset by partition.
#[derive(Default)]
pub(crate) struct MemoryOffsets {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<i32, (i64, Option<i64>)>,
    keys: BTreeMap<i32, PartitionKey>,
    failures: usize,
}

impl MemoryOffsets {
    /// The next offset of `partition`, as if an earlier run had left it.
    pub(crate) fn store(&self, partition: i32, next: i64) {
        self.state.lock().unwrap().rows.entry(partition).or_default().1 = Some(next);
    }

    /// The next so many claims fail.
    pub(crate) fn fail(&self, failures: usize) {
        self.state.lock().unwrap().failures = failures;
    }
}

impl OffsetStore for MemoryOffsets {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            if state.failures > 0 {
                state.failures -= 1;
                return Err(Error::new(Class::Transient, "the database is away"));
            }
            let mut claims = Vec::new();
            for request in requests {
                state.keys.insert(request.key.partition, request.key.clone());
                let (epoch, next) = state.rows.entry(request.key.partition).or_default();
                *epoch += 1;
                claims.push(Claim {
                    key: request.key.clone(),
                    epoch: *epoch,
                    owner: Owner::random(),
                    start: next.unwrap_or(request.log.initial),
                    sinks: BTreeMap::new(),
                    skipped: BTreeMap::new(),
                });
            }
            Ok(claims)
        })
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        let state = self.state.lock().unwrap();
        let position = |(partition, (epoch, next)): (&i32, &(i64, Option<i64>))| {
            let key = state.keys.get(partition)?.clone();
            Some(Position { sink: "sink".into(), key, epoch: *epoch, next_offset: (*next)? })
        };
        let positions = state.rows.iter().filter_map(position).collect();
        Box::pin(std::future::ready(Ok(positions)))
    }

    fn exactly_once(&self) -> bool {
        true
    }
}
