//! The database: offsets and rows, changed together or not at all.

use crate::timescale::offsets::{ClaimRow, plan_claim};
use crate::timescale::{Advance, Stored};
use crate::timescale_writer::store::{
    Copying, Failure, First, Owed, Rejections, Step, Store, Target, Transact,
};
use crate::timescale_writer::table::Plan;
use aqueduct_engine::{
    Claim, ClaimRequest, Class, Error, Letter, LogRange, Owner, PartitionKey, SinkIdentity,
};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, ready};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The one sink.
pub(super) const SINK: &str = "history";

/// How the next commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It does not happen, and nobody is told.
    Before,
    /// It happens, and nobody is told.
    After,
}

/// What is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    pub(super) offsets: BTreeMap<PartitionKey, Stored>,
    /// How often each offset's row is there.
    pub(super) rows: BTreeMap<(PartitionKey, i64), usize>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outside {
    durable: Mutex<Durable>,
    cut: Mutex<Option<Cut>>,
}

impl Outside {
    pub(super) fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cut_next_commit(&self, cut: Option<Cut>) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = cut;
    }

    fn take_cut(&self) -> Option<Cut> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Claims a partition whose log ends at `end`; `last_epoch` is what the claiming process claimed last.
    pub(super) fn claim(&self, key: &PartitionKey, end: i64, last_epoch: i64) -> Claim {
        let sink = SinkIdentity { id: SINK.into(), adopts: None, target: "table".into(), required: true };
        let request =
            ClaimRequest { key: key.clone(), log: LogRange { start: 0, end, initial: 0 }, begun: false };
        let mut durable = self.durable();
        let row = durable.offsets.get(key).map(|stored| ClaimRow {
            sink: SINK.to_owned(),
            epoch: stored.epoch,
            next_offset: stored.next_offset,
            session: String::new(),
        });
        let plan =
            plan_claim(&request, &[sink], row.as_slice(), last_epoch).expect("the log has what is stored");
        let owner = Owner::random();
        let stored = Stored { epoch: plan.epoch, owner, next_offset: plan.sinks[SINK] };
        durable.offsets.insert(key.clone(), stored);
        let (epoch, start) = (plan.epoch, plan.start);
        Claim { key: key.clone(), epoch, owner, start, sinks: plan.sinks, skipped: plan.skipped }
    }
}

impl Durable {
    fn hit(&self, advances: &[Advance]) -> bool {
        advances.iter().all(|advance| {
            self.offsets.get(&advance.key).is_some_and(|stored| {
                (stored.epoch, stored.owner, stored.next_offset)
                    == (advance.epoch, advance.owner, advance.previous)
            })
        })
    }

    fn commit(&mut self, rows: &[(PartitionKey, i64)], advances: &[Advance]) {
        for row in rows {
            *self.rows.entry(row.clone()).or_default() += 1;
        }
        for advance in advances {
            if let Some(stored) = self.offsets.get_mut(&advance.key) {
                stored.next_offset = advance.next;
            }
        }
    }
}

/// A handle that sessions hold.
#[derive(Clone, Debug)]
pub(super) struct Database(pub(super) Arc<Outside>);

impl Store for Database {
    fn open<'a>(&'a self, _: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        let session: Box<dyn Transact> = Box::new(Session {
            outside: self.0.clone(),
            plan: Plan::default(),
            broken: Cell::new(false),
            rows: RefCell::default(),
            advances: RefCell::default(),
        });
        ready(Ok(session)).boxed_local()
    }
}

struct Session {
    outside: Arc<Outside>,
    plan: Plan,
    broken: Cell<bool>,
    rows: RefCell<Vec<(PartitionKey, i64)>>,
    advances: RefCell<Vec<Advance>>,
}

impl Transact for Session {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn is_broken(&self) -> bool {
        self.broken.get()
    }

    fn ping(&self) -> LocalBoxFuture<'_, Result<(), Error>> {
        ready(Ok(())).boxed_local()
    }

    fn fits<'a>(&'a self, _: &'a Target) -> LocalBoxFuture<'a, Result<(), Error>> {
        ready(Ok(())).boxed_local()
    }

    fn step(&self, _: Step) -> LocalBoxFuture<'_, Result<(), Error>> {
        self.rows.take();
        self.advances.take();
        ready(Ok(())).boxed_local()
    }

    fn copy<'a>(
        &'a self,
        Copying { rows, range, .. }: Copying<'a>,
        _: First,
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        let row = |index| {
            let (batch, row) = rows.locate(index);
            (batch.origin.key.clone(), batch.row_offsets()[row])
        };
        *self.rows.borrow_mut() = range.map(row).collect();
        ready(Ok(())).boxed_local()
    }

    fn keep<'a>(&'a self, _: &'a Target, _: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        unreachable!("no row is refused")
    }

    fn advance<'a>(
        &'a self,
        _: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        let hit = self.outside.durable().hit(advances);
        *self.advances.borrow_mut() = advances.to_vec();
        ready(if hit { Ok(()) } else { Err(Failure::Missed) }).boxed_local()
    }

    fn holds<'a>(&'a self, _: &'a Target, _: &'a [Owed]) -> LocalBoxFuture<'a, Result<(), Failure>> {
        unreachable!("no record is rejected")
    }

    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        let cut = self.outside.take_cut();
        if cut != Some(Cut::Before) {
            self.outside.durable().commit(&self.rows.take(), &self.advances.take());
        }
        self.broken.set(cut.is_some());
        let no_answer = || Failure::Failed(Error::new(Class::Transient, "no answer to COMMIT"));
        ready(cut.map_or(Ok(()), |_| Err(no_answer()))).boxed_local()
    }

    fn stored<'a>(
        &'a self,
        _: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        let durable = self.outside.durable();
        ready(Ok(keys.iter().map(|key| durable.offsets.get(*key).cloned()).collect())).boxed_local()
    }

    fn rejected<'a>(
        &'a self,
        _: &'a Target,
        _: &'a PartitionKey,
        _: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        ready(Ok(Rejections::new())).boxed_local()
    }
}
