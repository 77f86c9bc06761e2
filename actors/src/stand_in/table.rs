//! A table in memory, written by the real `timescale_writer`: it takes the steps of a transaction as the database does.
//!
//! Invariant: rows, offsets and letters appear in one step that nothing can interrupt, at the commit; a session that is
//! dropped before it has done nothing. Deliberately absent: COPY's bytes; the rows are taken as they are.

use super::database::{Database, Orphan};
use super::refuse::{Conditions, Declared, refused};
use super::trouble::{Unanswered, Way};
use super::{Place, Row};
use crate::json::rows::Rows as Json;
use crate::timescale::{Advance, Stored, limits};
use crate::timescale_writer::store::{
    Conflict, Copying, Failure, First, Owed, Refused, Rejections, Step, Store, Target, Transact, all_there,
};
use crate::timescale_writer::table::{Plan, fit};
use aqueduct_engine::{Batch, Class, Error, Letter, PartitionKey};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, PrimitiveArray};
use arrow_buffer::ScalarBuffer;
use futures::future::{FutureExt, LocalBoxFuture};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Outlives its writers, like a database's.
pub(super) struct Table {
    /// The columns of type `json`.
    pub(super) json: BTreeSet<String>,
    pub(super) declared: Mutex<Declared>,
    pub(super) content: Mutex<Content>,
    pub(super) database: Database,
    pub(super) way: Way,
}

/// What is committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) rows: Vec<Row>,
    /// The key of every row, by the topology's and by the table's unique columns; and where the row is, with its order.
    keys: HashMap<Key, (usize, Option<i64>)>,
}

impl Content {
    fn append(&mut self, Staged { row, keys, order, replaces }: Staged) {
        let there = keys.iter().find(|key| replaces && key.0 == Unique::Business);
        let there = there.and_then(|key| self.keys.get(key).copied());
        match there {
            Some((_, newer)) if newer > order => {}
            Some((place, _)) => {
                self.rows[place] = row;
                self.keys.extend(keys.into_iter().map(|key| (key, (place, order))));
            }
            None => {
                let place = self.rows.len();
                self.rows.push(row);
                self.keys.extend(keys.into_iter().map(|key| (key, (place, order))));
            }
        }
    }
}

impl Table {
    fn append(&self, rows: Vec<Staged>) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        rows.into_iter().for_each(|row| content.append(row));
    }
}

/// Whose unique columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unique {
    /// The topology's: a row that is there is passed over.
    Business,
    /// The table's own: a row that is there is refused.
    Declared,
}

/// Values of unique columns.
type Key = (Unique, Vec<u8>);

/// A row on its way.
#[derive(Debug)]
struct Staged {
    row: Row,
    keys: Vec<Key>,
    /// By which it is newer or older than another of its key.
    order: Option<i64>,
    /// It takes the place of another.
    replaces: bool,
}

/// A handle that sessions hold.
#[derive(Clone)]
pub(super) struct Handle(pub(super) Arc<Table>);

impl Store for Handle {
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        async move {
            self.0.way.reach("connect to the database", limits::CONNECT_WAIT_MAX).await?;
            let declared = self.0.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let session: Box<dyn Transact> = Box::new(Session {
                table: self.0.clone(),
                plan: fit(&target.table, &target.columns, &declared.columns)?,
                conditions: Conditions::new(&target.columns, &declared)?,
                unique: declared.unique,
                sink: target.sink.clone(),
                broken: Cell::new(false),
                server: self.0.database.server(),
                open: RefCell::default(),
            });
            Ok(session)
        }
        .boxed_local()
    }
}

struct Session {
    table: Arc<Table>,
    plan: Plan,
    conditions: Conditions,
    unique: Vec<String>,
    sink: Arc<str>,
    broken: Cell<bool>,
    /// The server it is with.
    server: u64,
    open: RefCell<Open>,
}

/// What a transaction has done so far.
#[derive(Debug, Default)]
struct Open {
    rows: Vec<Staged>,
    /// Where the piece began.
    piece: usize,
    letters: Vec<Letter>,
    advances: Vec<Advance>,
}

impl Session {
    /// A session that got no answer is not used again.
    fn broken_by(&self, unanswered: Unanswered) -> Error {
        self.broken.set(self.broken.get() || unanswered.cut);
        unanswered.error
    }

    async fn reach(&self, what: &str) -> Result<(), Error> {
        let reached = self.table.way.reach(what, limits::STATEMENT_WAIT_MAX).await;
        reached.map_err(|unanswered| self.broken_by(unanswered))?;
        self.same_server()
    }

    /// Fails on a session with a server that is gone.
    fn same_server(&self) -> Result<(), Error> {
        if self.server == self.table.database.server() {
            return Ok(());
        }
        self.broken.set(true);
        Err(Error::new(Class::Transient, "the connection is closed: the server has shut down"))
    }

    /// Takes `range` of `rows` into the transaction, up to the first that is refused.
    fn take(&self, Copying { target, rows, range }: Copying<'_>) -> Result<(), Failure> {
        let mut json: Option<(*const Batch, Json)> = None;
        for index in range.clone() {
            let (batch, row) = rows.locate(index);
            if json.as_ref().is_none_or(|(of, _)| !std::ptr::eq(*of, batch)) {
                json = Some((batch, Json::new(&batch.rows, &self.table.json)?));
            }
            let json = json.as_ref().map(|(_, json)| json).expect("invariant: just made");
            let refused = |refused| Failure::Refused(Refused { row: Some(index - range.start), ..refused });
            if let Some(why) = self.conditions.refuse(&batch.rows, row) {
                return Err(refused(why));
            }
            let place = Place::of(batch, row);
            let staged = self.staged(target, (batch, json), place, row)?;
            match staged.keys.iter().find(|key| self.is_there(key)).map(|(unique, _)| unique) {
                Some(Unique::Business) if !staged.replaces => {}
                None | Some(Unique::Business) => self.open.borrow_mut().rows.push(staged),
                Some(Unique::Declared) => {
                    let message = "duplicate key value violates unique constraint".to_owned();
                    return Err(refused(self::refused("23505", message, None, Some(&self.unique.join("_")))));
                }
            }
        }
        Ok(())
    }

    fn staged(
        &self,
        target: &Target,
        (batch, json): (&Batch, &Json),
        place: Place,
        row: usize,
    ) -> Result<Staged, Error> {
        let business: Vec<&str> = target.unique.iter().map(|column| column.as_str()).collect();
        let declared: Vec<&str> = self.unique.iter().map(String::as_str).collect();
        let mut keys = Vec::new();
        for (unique, columns) in [(Unique::Business, business), (Unique::Declared, declared)] {
            if columns.is_empty() {
                continue;
            }
            let mut key = Vec::new();
            for column in columns {
                json.write_as_text(column, row, &mut key)?;
                key.push(0);
            }
            keys.push((unique, key));
        }
        let (replaces, order) = match &target.conflict {
            Conflict::Keep => (false, None),
            Conflict::Replace(order_by) => {
                (true, order_by.as_ref().and_then(|column| order(batch, column.as_str(), row)))
            }
        };
        Ok(Staged { row: Row { place, json: super::sink::text(json, row)? }, keys, order, replaces })
    }

    /// Whether a row of that key is committed, or in this transaction.
    fn is_there(&self, key: &(Unique, Vec<u8>)) -> bool {
        let content = self.table.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.keys.contains_key(key) || self.open.borrow().rows.iter().any(|row| row.keys.contains(key))
    }

    /// All of the transaction, or nothing.
    fn apply(&self) -> Result<(), Error> {
        self.same_server()?;
        let Open { rows, letters, advances, .. } = self.open.take();
        let append = || self.table.append(rows);
        if self.table.database.commit(&self.sink, &advances, letters, append) {
            return Ok(());
        }
        // A claim that came meanwhile would have waited for the offsets' rows, and then ended this session.
        self.broken.set(true);
        Err(Error::new(Class::Transient, "commit: terminating connection due to administrator command"))
    }

    /// Leaves the transaction to the server, which commits it so much later.
    fn orphan(&self, after: Duration) {
        let Open { rows, letters, advances, .. } = self.open.take();
        let (table, due) = (self.table.clone(), self.table.way.clock.now() + after);
        let apply = Box::new(move || table.append(rows));
        self.table.database.orphan(Orphan { due, sink: self.sink.clone(), advances, letters, apply });
    }
}

/// The value of an int64 or timestamp.
fn order(batch: &Batch, column: &str, row: usize) -> Option<i64> {
    let column = batch.rows.column_by_name(column)?;
    let value = |values: &ScalarBuffer<i64>| (!column.is_null(row)).then(|| values[row]);
    let int64 = column.as_primitive_opt::<Int64Type>().map(PrimitiveArray::values);
    int64
        .or_else(|| column.as_primitive_opt::<TimestampMicrosecondType>().map(PrimitiveArray::values))
        .and_then(value)
}

impl Transact for Session {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn is_broken(&self) -> bool {
        self.broken.get()
    }

    fn ping(&self) -> LocalBoxFuture<'_, Result<(), Error>> {
        self.reach("look whether it is there").boxed_local()
    }

    /// Nobody alters it.
    fn fits<'a>(&'a self, _: &'a Target) -> LocalBoxFuture<'a, Result<(), Error>> {
        std::future::ready(Ok(())).boxed_local()
    }

    fn step(&self, step: Step) -> LocalBoxFuture<'_, Result<(), Error>> {
        async move {
            self.reach("run a statement").await?;
            let mut open = self.open.borrow_mut();
            match step {
                Step::First(First::Savepoint) => open.piece = open.rows.len(),
                Step::First(_) | Step::Rollback => *open = Open::default(),
                Step::Release => open.piece = open.rows.len(),
                Step::Undo => {
                    let piece = open.piece;
                    open.rows.truncate(piece);
                }
            }
            Ok(())
        }
        .boxed_local()
    }

    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            self.step(Step::First(first)).await?;
            self.reach("copy rows").await?;
            self.take(rows)
        }
        .boxed_local()
    }

    fn keep<'a>(&'a self, _: &'a Target, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            self.reach("store dead letters").await?;
            self.open.borrow_mut().letters.extend_from_slice(letters);
            Ok(())
        }
        .boxed_local()
    }

    fn advance<'a>(
        &'a self,
        _: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            self.reach("advance the offsets").await?;
            let moved = self.table.database.advance_within(&self.sink, advances);
            let limit = limits::STATEMENT_WAIT_MAX;
            let Ok(moved) = self.table.way.clock.timeout(limit, moved).await else {
                self.broken.set(true);
                return Err(Error::new(Class::Transient, format!("no answer within {limit:?}")).into());
            };
            moved?;
            self.open.borrow_mut().advances.extend_from_slice(advances);
            Ok(())
        }
        .boxed_local()
    }

    fn holds<'a>(&'a self, _: &'a Target, letters: &'a [Owed]) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            self.reach("look for letters").await?;
            all_there(letters.iter().filter(|owed| self.table.database.lacks(owed)))
        }
        .boxed_local()
    }

    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        async move {
            let (apply, later) = (|| self.apply(), |after| self.orphan(after));
            let committed = self.table.way.commit("commit", limits::COMMIT_WAIT_MAX, apply, later).await;
            committed.map_err(|unanswered| Failure::Failed(self.broken_by(unanswered)))
        }
        .boxed_local()
    }

    fn stored<'a>(
        &'a self,
        target: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        async move {
            self.reach("read stored offsets").await?;
            Ok(keys.iter().map(|key| self.table.database.stored(&target.sink, key)).collect())
        }
        .boxed_local()
    }

    fn rejected<'a>(
        &'a self,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        async move {
            self.reach("read dead letters").await?;
            Ok(self.table.database.rejected(&target.sink, key, &range))
        }
        .boxed_local()
    }
}
