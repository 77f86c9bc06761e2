//! A `timescale_writer` over a table in memory.
//!
//! Invariant: rows and offset move in one step that nothing can interrupt, as they do in one transaction; what lies below
//! the sink's offset is dropped, so a redelivery doubles nothing. Deliberately absent: gathering batches for a larger
//! transaction, and rows the database refuses.

use super::sink::{ATTEMPT_MAX, each_lease, text};
use super::{Outages, Rows, StandIns};
use crate::json::rows::{Rows as Json, json_columns};
use aqueduct_engine::testing::{Commit, Committed, MemoryOffsets};
use aqueduct_engine::{Actor, Claim, Context, Error, Factory, Lease, Loss};
use aqueduct_topology::model::{self, TimescaleWriter};
use futures::future::LocalBoxFuture;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The stand-in of one `timescale_writer`.
pub(super) fn factory(actor: &model::Actor, options: &TimescaleWriter, around: &StandIns) -> Factory {
    let table = Arc::new(Table {
        name: actor.name.value.clone(),
        sink: actor.id.value.as_str().into(),
        json: json_columns(actor, &around.services.topology),
        unique: options.unique.iter().map(|column| column.value.clone()).collect(),
        seen: Mutex::default(),
        rows: around.rows[&actor.name.value].clone(),
        offsets: around.offsets.clone(),
        outages: around.outages.clone(),
    });
    Arc::new(move || Box::new(Writer { table: table.clone() }))
}

/// Outlives the writer, like a database.
struct Table {
    name: String,
    sink: Arc<str>,
    json: BTreeSet<String>,
    /// The business key; empty = rows are appended as they come.
    unique: Vec<String>,
    seen: Mutex<HashSet<Vec<u8>>>,
    rows: Rows,
    offsets: MemoryOffsets,
    outages: Outages,
}

struct Writer {
    table: Arc<Table>,
}

impl Actor for Writer {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(each_lease(cx, async |cx, lease| self.write(cx, lease).await))
    }
}

impl Writer {
    async fn write(&self, cx: &mut Context, lease: Lease) -> Result<(), Error> {
        let claim = cx.claims.get(&lease.origin.key).filter(|claim| claim.epoch == lease.origin.epoch);
        let Some(claim) = claim else {
            lease.settle();
            return Ok(());
        };
        let table = &self.table;
        let lost = cx.until_ok(ATTEMPT_MAX, async || {
            table.outages.check(&table.name)?;
            table.commit(&lease, &claim)
        });
        match lost.await? {
            None => cx.settle_written(lease),
            Some(loss) => {
                cx.claims.request_rewind(&claim.key, claim.epoch, loss);
                lease.settle();
            }
        }
        Ok(())
    }
}

impl Table {
    /// One transaction: the rows this sink lacks, and its offset. `Some` = the claim does not hold.
    fn commit(&self, lease: &Lease, claim: &Claim) -> Result<Option<Loss>, Error> {
        let mut previous = claim.sinks.get(&self.sink).copied().unwrap_or(claim.start);
        loop {
            let commit = Commit {
                sink: self.sink.clone(),
                key: claim.key.clone(),
                epoch: claim.epoch,
                owner: claim.owner,
                previous,
                next: previous.max(lease.origin.next),
            };
            // What cannot be written must fail before the offset moves.
            let rows = self.encode(lease, previous)?;
            let Err(missed) = self.offsets.commit(&[commit]) else {
                self.append(rows);
                return Ok(None);
            };
            match missed[0].1 {
                Committed::Elsewhere(stored) => previous = stored,
                Committed::Foreign(epoch) if epoch > claim.epoch => return Ok(Some(Loss::Fenced)),
                Committed::Foreign(_) | Committed::Missing => return Ok(Some(Loss::WentBack)),
                Committed::Moved => unreachable!("what moved has not missed"),
            }
        }
    }

    /// Business key and JSON of each row at or above `from`.
    fn encode(&self, lease: &Lease, from: i64) -> Result<Vec<(Vec<u8>, String)>, Error> {
        let json = Json::new(&lease.rows, &self.json)?;
        let first = lease.row_offsets().partition_point(|offset| *offset < from);
        let encode = |row: usize| {
            let mut key = Vec::new();
            for column in &self.unique {
                json.write_as_text(column, row, &mut key)?;
                key.push(0);
            }
            Ok((key, text(&json, row)?))
        };
        (first..lease.rows.num_rows()).map(encode).collect()
    }

    fn append(&self, rows: Vec<(Vec<u8>, String)>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let new = |(key, row): (Vec<u8>, String)| (self.unique.is_empty() || seen.insert(key)).then_some(row);
        kept.extend(rows.into_iter().filter_map(new));
    }
}
