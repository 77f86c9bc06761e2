//! A writer's own connection, with everything prepared: the statements of its transactions.

use super::encode::{HEADER, Misfit, TRAILER};
use super::store::{
    Conflict, Copying, Failure, First, Owed, Refused, Rejections, Step, Store, Target, Transact, all_hit,
    all_there,
};
use super::table::{self, Plan};
use crate::timescale::class::condition_name;
use crate::timescale::connect::Refusal;
use crate::timescale::sql::Replacement;
use crate::timescale::{
    Advance, Connection, Identifier, Stored, Timescale, advance, fence, letters, limits, sql,
};
use aqueduct_engine::{Class, Error, Letter, PartitionKey};
use bytes::Bytes;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, SinkExt};
use std::cell::Cell;
use std::ops::Range;
use std::pin::pin;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

const BEGIN: &str = "BEGIN";
const BEGIN_STRICTLY: &str = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE";
const SAVEPOINT: &str = "SAVEPOINT aqueduct_piece";
const RELEASE: &str = "RELEASE SAVEPOINT aqueduct_piece";
const UNDO: &str = "ROLLBACK TO SAVEPOINT aqueduct_piece; RELEASE SAVEPOINT aqueduct_piece";

impl First {
    fn sql(self) -> &'static str {
        match self {
            First::Begin => BEGIN,
            First::BeginStrictly => BEGIN_STRICTLY,
            First::Savepoint => SAVEPOINT,
        }
    }
}

/// What the database said, as far as a transaction is concerned.
fn failure(refusal: Refusal) -> Failure {
    if refusal.error.class != Class::Data {
        return Failure::Failed(refusal.error);
    }
    let db = refusal.cause.as_ref().and_then(tokio_postgres::Error::as_db_error);
    let context = || db?.where_();
    Failure::Refused(Refused {
        row: context().and_then(copied_line),
        reason: db.map_or("refused_by_database", |db| condition_name(db.code().code())),
        message: refusal.error.message.to_string(),
        column: db.and_then(|db| db.column()).or_else(|| copied_column(context()?)).map(str::to_owned),
        constraint: db.and_then(|db| db.constraint()).map(str::to_owned),
    })
}

/// The row of `COPY trades, line 17, column price`, counted from 0.
fn copied_line(context: &str) -> Option<usize> {
    let copy = context.lines().find_map(|line| line.strip_prefix("COPY "))?;
    let digits = copy.split_once(", line ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse::<usize>().ok()?.checked_sub(1)
}

/// The column of `COPY trades, line 17, column price`.
fn copied_column(context: &str) -> Option<&str> {
    let copy = context.lines().find(|line| line.starts_with("COPY "))?;
    Some(copy.split_once(", column ")?.1.split(':').next()?.trim())
}

impl Store for Timescale {
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        async move {
            let session: Box<dyn Transact> = Box::new(Session::open(self, target).await?);
            Ok(session)
        }
        .boxed_local()
    }
}

/// A connection and its prepared statements.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    plan: Plan,
    copy: Statement,
    advance: Statement,
    /// Moves staged rows into the table, under `unique`.
    staged: Option<Statement>,
    shape: Shape,
    /// Rows of the last copy that the table did not have.
    inserted: Cell<u64>,
}

/// The table as it was when the plan was made.
#[derive(Debug)]
struct Shape {
    statement: Statement,
    /// Quoted.
    table: String,
    columns: Vec<String>,
    found: Option<String>,
}

impl Shape {
    async fn read(connection: &Connection, target: &Target) -> Result<Self, Error> {
        let statement = prepare(connection, target, sql::TABLE_SHAPE).await?;
        let columns = target.columns.iter().map(|column| column.name.clone()).collect();
        let mut shape = Self { statement, table: target.table.to_string(), columns, found: None };
        let doing = format!("look at `{}`", target.table.plain());
        shape.found = connection.within(&doing, limits::STATEMENT_WAIT_MAX, shape.ask(connection)).await?;
        Ok(shape)
    }

    async fn ask(&self, connection: &Connection) -> Result<Option<String>, tokio_postgres::Error> {
        let params: [&(dyn ToSql + Sync); 2] = [&self.table, &self.columns];
        Ok(connection.client().query_one(&self.statement, &params).await?.get(0))
    }

    /// An error if the table is another one by now.
    fn is(&self, now: &Option<String>, target: &Target) -> Result<(), Error> {
        if *now == self.found {
            return Ok(());
        }
        let message = format!("table `{}` was altered; looking at it anew", target.table.plain());
        Err(Error::new(Class::Transient, message))
    }
}

/// Against what rows are judged that are not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Those of the table are there.
    AgainstTheTable,
    /// None is there but those that came before.
    AgainstItself,
}

impl Session {
    /// Connects, compares the table with the rows, prepares.
    pub(crate) async fn open(timescale: &Timescale, target: &Target) -> Result<Self, Error> {
        Self::prepared(timescale, target, None).await
    }

    /// The same, of a session that adds nothing: it counts what is not there, by the key.
    pub(crate) async fn judging(
        timescale: &Timescale,
        target: &Target,
        judgement: Judgement,
    ) -> Result<Self, Error> {
        Self::prepared(timescale, target, Some(judgement)).await
    }

    async fn prepared(
        timescale: &Timescale,
        target: &Target,
        judgement: Option<Judgement>,
    ) -> Result<Self, Error> {
        let connection = timescale.connect().await?;
        // Before the plan: altered in between, it shows.
        let shape = Shape::read(&connection, target).await?;
        let plan = table::check(&connection, &target.table, &target.columns, target.key()).await?;
        let unique = !target.unique.is_empty();
        let copy = if unique || judgement.is_some() {
            let mut create = sql::create_staging(&target.table, &plan.columns);
            if unique && judgement.is_some() {
                create = [create, sql::create_judged(&target.table, &target.unique)].join("; ");
            }
            if let Conflict::Replace(_) = target.conflict {
                create = [&create, sql::NUMBER_STAGED].join("; ");
            }
            let created = connection.client().batch_execute(&create);
            connection.within("create the staging table", limits::STATEMENT_WAIT_MAX, created).await?;
            prepare(&connection, target, &sql::copy_in_staging(&plan.columns)).await?
        } else {
            prepare(&connection, target, &sql::copy_in(&target.table, &plan.columns)).await?
        };
        let staged = if unique {
            let (table, columns, key) = (&target.table, &plan.columns, &target.unique);
            let insert = match (judgement, &target.looked_up_by) {
                (Some(Judgement::AgainstItself), _) => sql::judge(None, key, None),
                (Some(Judgement::AgainstTheTable), time) => sql::judge(Some(table), key, time.as_ref()),
                (None, Some(time)) => sql::insert_absent(table, columns, key, time),
                (None, None) => match &target.conflict {
                    Conflict::Keep => sql::insert_staged(table, columns, key),
                    Conflict::Replace(order_by) => {
                        let (nullable, order_by) = (&nullable(target), order_by.as_ref());
                        sql::replace_staged(table, columns, Replacement { key, nullable, order_by })
                    }
                },
            };
            Some(prepare(&connection, target, &insert).await?)
        } else {
            None
        };
        let advance = prepare(&connection, target, fence::ADVANCE).await?;
        Ok(Self { connection, plan, copy, advance, staged, shape, inserted: Cell::new(0) })
    }

    /// How many rows of the last copy the table did not have.
    pub(crate) fn inserted(&self) -> u64 {
        self.inserted.get()
    }

    /// What it speaks on: further statements of the same transaction.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Moves the offsets; all of them or it is a miss.
    async fn move_offsets(&self, target: &Target, advances: &[Advance]) -> Result<(), Failure> {
        let identity = (&*target.topology, &*target.sink);
        // Both are sent before either is answered. The COPY's lock keeps the table as it is from here on.
        let moved = async {
            let moved = advance(&self.connection, &self.advance, identity, advances);
            let (hit, shape) = futures::join!(moved, self.shape.ask(&self.connection));
            Ok((hit?, shape?))
        };
        let wait = limits::STATEMENT_WAIT_MAX;
        let (hit, shape) = self.connection.within("advance the offsets", wait, moved).await?;
        self.shape.is(&shape, target)?;
        all_hit(hit as usize, advances)
    }

    /// Runs a statement without values.
    async fn execute(&self, doing: &str, statement: &str) -> Result<(), Error> {
        let executed = self.connection.client().batch_execute(statement);
        self.connection.within(doing, limits::STATEMENT_WAIT_MAX, executed).await
    }

    /// Copies rows, with `first` on the wire before them.
    async fn copy_range(
        &self,
        Copying { target, rows, range }: Copying<'_>,
        first: First,
    ) -> Result<(), Failure> {
        let doing = format!("copy into `{}`", target.table.plain());
        let client = self.connection.client();
        let begun = client.batch_execute(first.sql());
        // Both are sent before either is answered. Were BEGIN refused, the COPY would stand outside any transaction:
        // it is dropped then, which makes it fail.
        let opened = async {
            let (begun, sink) = futures::join!(begun, client.copy_in::<_, Bytes>(&self.copy));
            begun?;
            sink
        };
        let wait = limits::COPY_WAIT_MAX;
        let sink = self.connection.within_raw(&doing, wait, opened).await.map_err(failure)?;
        let mut sink = pin!(sink);
        let expected = range.len() as u64;
        let mut at = range.start;
        let mut frame = Bytes::from_static(HEADER);
        loop {
            self.connection.within_raw(&doing, wait, sink.feed(frame)).await.map_err(failure)?;
            if at == range.end {
                break;
            }
            (frame, at) = rows.frame(at..range.end).map_err(|misfit| self.unfit(range.start, misfit))?;
        }
        let trailer = Bytes::from_static(TRAILER);
        self.connection.within_raw(&doing, wait, sink.feed(trailer)).await.map_err(failure)?;
        let copied = self.connection.within_raw(&doing, wait, sink.finish()).await.map_err(failure)?;
        if copied != expected {
            let message = format!("{doing}: the server took {copied} of {expected} rows");
            return Err(Failure::Failed(Error::bug(message)));
        }
        self.inserted.set(self.merge(&doing).await?.unwrap_or(copied));
        Ok(())
    }

    /// Refused before it was sent.
    fn unfit(&self, start: usize, misfit: Misfit) -> Failure {
        let column = self.plan.columns.get(misfit.cell).map(|column| column.as_str().to_owned());
        Failure::Refused(Refused {
            row: Some(misfit.row - start),
            reason: misfit.unfit.reason,
            message: misfit.unfit.message,
            column,
            constraint: None,
        })
    }

    /// Under `unique`: moves what was staged into the table; gives how many rows that was.
    async fn merge(&self, doing: &str) -> Result<Option<u64>, Failure> {
        let Some(statement) = &self.staged else { return Ok(None) };
        let merged = self.connection.client().execute(statement, &[]);
        let merged =
            self.connection.within_raw(doing, limits::COPY_WAIT_MAX, merged).await.map_err(failure)?;
        self.execute("empty the staging table", sql::EMPTY_STAGING).await?;
        Ok(Some(merged))
    }
}

impl Transact for Session {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn is_broken(&self) -> bool {
        self.connection.is_broken()
    }

    fn is_outdated(&self) -> bool {
        self.connection.is_outdated()
    }

    fn ping(&self) -> LocalBoxFuture<'_, Result<(), Error>> {
        self.connection.ping().boxed_local()
    }

    fn fits<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            let doing = format!("look at `{}`", target.table.plain());
            let asked = self.shape.ask(&self.connection);
            let now = self.connection.within(&doing, limits::STATEMENT_WAIT_MAX, asked).await?;
            self.shape.is(&now, target)
        }
        .boxed_local()
    }

    fn step(&self, step: Step) -> LocalBoxFuture<'_, Result<(), Error>> {
        let (doing, statement) = match step {
            Step::First(first) => ("begin", first.sql()),
            Step::Release => ("keep a piece", RELEASE),
            Step::Undo => ("undo a piece", UNDO),
            Step::Rollback => ("roll back", "ROLLBACK"),
        };
        self.execute(doing, statement).boxed_local()
    }

    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>> {
        self.copy_range(rows, first).boxed_local()
    }

    fn keep<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Letter],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            let letters: Vec<&Letter> = letters.iter().collect();
            letters::insert(&self.connection, (&target.topology, &target.node), &letters).await
        }
        .boxed_local()
    }

    fn advance<'a>(
        &'a self,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        self.move_offsets(target, advances).boxed_local()
    }

    fn holds<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            let places = letters.iter().map(|owed| (&*owed.actor, &owed.key, owed.offset));
            let gone = letters::gone(&self.connection, &target.topology, places).await?;
            all_there(gone.into_iter().filter_map(|index| letters.get(index)))
        }
        .boxed_local()
    }

    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        async move {
            let commit = self.connection.client().batch_execute("COMMIT");
            self.connection.within_raw("commit", limits::COMMIT_WAIT_MAX, commit).await.map_err(failure)
        }
        .boxed_local()
    }

    fn stored<'a>(
        &'a self,
        target: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        fence::read_stored(&self.connection, (&target.topology, &target.sink), keys).boxed_local()
    }

    fn rejected<'a>(
        &'a self,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        fence::rejected_offsets(&self.connection, (&target.topology, &target.sink), key, range).boxed_local()
    }
}

/// Those of the key that a row may lack.
fn nullable(target: &Target) -> Vec<Identifier> {
    let may_lack = |key: &&Identifier| {
        target.columns.iter().any(|column| column.nullable && column.name == key.as_str())
    };
    target.unique.iter().filter(may_lack).cloned().collect()
}

async fn prepare(connection: &Connection, target: &Target, statement: &str) -> Result<Statement, Error> {
    let doing = format!("prepare for `{}`", target.table.plain());
    connection.within(&doing, limits::STATEMENT_WAIT_MAX, connection.client().prepare(statement)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_refused_row_is_read_from_the_context() {
        assert_eq!(copied_line("COPY trades, line 17, column price"), Some(16));
        assert_eq!(copied_line("SQL statement \"x\"\nCOPY _hyper_1_1_chunk, line 1"), Some(0));
        assert_eq!(copied_line("PL/pgSQL function f() line 3 at RAISE"), None);
        assert_eq!(copied_line("COPY trades, line 0"), None);
    }

    #[test]
    fn the_column_is_read_from_the_context() {
        assert_eq!(copied_column("COPY trades, line 17, column price"), Some("price"));
        assert_eq!(copied_column("COPY trades, line 17"), None);
    }
}
