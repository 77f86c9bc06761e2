//! Offsets beside the rows: the claim of partitions, and where every sink stands.
//!
//! A claim is one transaction for all partitions and sinks, serialized per topology by an advisory lock. It waits for
//! the rows' locks only briefly; whoever holds them longer is a session its former owner left behind, and is ended.

mod begin;
mod level;
mod plan;
pub mod reset;
mod stands;

use super::connect::{Connection, Refusal};
use super::fence::owner_text;
use super::limits;
use super::measure::{Beat, measure};
use super::pool::Timescale;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{
    Claim, ClaimRequest, Class, Error, Figures, Holder, Logs, OffsetStore, Owner, PartitionKey, Position,
    SinkIdentity,
};
use futures::future::LocalBoxFuture;
pub use level::LEVEL;
use plan::{Plan, Row, plan};
pub(crate) use plan::{Row as ClaimRow, open_from, plan as plan_claim};
pub use stands::{Stand, stands};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

/// The offsets of one topology in `aqueduct.offsets`.
pub struct TimescaleOffsets {
    timescale: Timescale,
    topology: Arc<str>,
    node: Arc<str>,
    /// By the identity of the source.
    sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>,
    /// What this process claimed last, for sinks without rows of their own.
    owners: Arc<Mutex<BTreeMap<PartitionKey, (i64, Owner)>>>,
    logs: Option<Arc<dyn Logs>>,
    measured: Arc<Beat>,
}

impl std::fmt::Debug for TimescaleOffsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimescaleOffsets").field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl TimescaleOffsets {
    /// A store for `topology`; `sinks` are those downstream of each source, by the source's identity.
    pub fn new(
        timescale: Timescale,
        topology: Arc<str>,
        node: Arc<str>,
        sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>,
    ) -> Self {
        let (owners, measured) = (Arc::default(), Arc::default());
        Self { timescale, topology, node, sinks, owners, logs: None, measured }
    }

    /// The same store for a topology with other sinks, which knows what this process has claimed.
    pub fn with_sinks(&self, sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>) -> Self {
        Self {
            timescale: self.timescale.clone(),
            topology: self.topology.clone(),
            node: self.node.clone(),
            sinks,
            owners: self.owners.clone(),
            logs: self.logs.clone(),
            measured: Arc::default(),
        }
    }

    /// The same store, with who can tell where the logs end that the offsets are about.
    pub fn knowing(self, logs: Option<Arc<dyn Logs>>) -> Self {
        Self { logs, ..self }
    }

    /// The same store, as if this process had claimed `key` under `epoch` before: its next claim is a newer one.
    pub(crate) fn above(self, key: &PartitionKey, epoch: i64) -> Self {
        let claimed = (epoch, Owner::random());
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), claimed);
        self
    }

    async fn claim_all(&self, requests: &[ClaimRequest]) -> Result<Vec<Claim>, Error> {
        let connection = self.timescale.checkout().await?;
        match self.claim_once(&connection, requests).await {
            Err(refused) if refused.locked && !connection.is_broken() => {
                let former = self.former_sessions(&connection, requests).await?;
                tracing::warn!(
                    event = event_ids::SESSION_ENDED,
                    ?former,
                    "a former owner's session holds the claim's rows: it is ended"
                );
                self.end_sessions(&connection, &former).await?;
                Ok(self.claim_once(&connection, requests).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn claim_once(
        &self,
        connection: &Connection,
        requests: &[ClaimRequest],
    ) -> Result<Vec<Claim>, Refused> {
        let outcome = self.claim_within(connection, requests).await;
        if outcome.is_err() && !connection.is_broken() {
            // Its own failure shows as a broken connection.
            let _ = execute(connection, "roll the claim back", "ROLLBACK").await;
        }
        outcome
    }

    async fn claim_within(
        &self,
        connection: &Connection,
        requests: &[ClaimRequest],
    ) -> Result<Vec<Claim>, Refused> {
        execute(connection, "begin a claim", BEGIN_CLAIM).await?;
        self.refuse_newer(connection).await?;
        self.query(connection, "serialize claims", LOCK_TOPOLOGY, &[&&*self.topology]).await?;
        self.adopt(connection).await?;
        let rows = self.lock_rows(connection, requests).await?;
        self.refuse_taken_targets(connection, &requests.iter().map(|request| &*request.key.source).collect())
            .await?;
        self.refuse_unbegun(connection, requests, &rows).await?;
        let mut claims = Vec::with_capacity(requests.len());
        for (request, rows) in requests.iter().zip(&rows) {
            let last = self.last_epoch(&request.key);
            let Plan { epoch, start, sinks, skipped } =
                plan(request, self.sinks_of(&request.key.source)?, rows, last)?;
            let (key, owner) = (request.key.clone(), Owner::random());
            claims.push(Claim { key, epoch, owner, start, sinks, skipped });
        }
        self.store(connection, &claims).await?;
        self.forget_letters(connection, &claims).await?;
        let former: BTreeSet<String> = rows.into_iter().flatten().map(|row| row.session).collect();
        self.end_ownerless(connection, former).await?;
        let commit = connection.client().batch_execute("COMMIT");
        connection.within("commit a claim", limits::COMMIT_WAIT_MAX, commit).await?;
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.extend(claims.iter().map(|claim| (claim.key.clone(), (claim.epoch, claim.owner))));
        Ok(claims)
    }

    fn last_epoch(&self, key: &PartitionKey) -> i64 {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.get(key).map_or(0, |(epoch, _)| *epoch)
    }

    fn sinks_of(&self, source: &str) -> Result<&[SinkIdentity], Error> {
        let sinks = self.sinks.get(source).map(Vec::as_slice).unwrap_or_default();
        if sinks.is_empty() {
            return Err(Error::bug(format!("source `{source}` claims, but no sink reads from it")));
        }
        Ok(sinks)
    }

    /// Renames the rows of a sink that takes over a former identity, wherever it has none of its own yet.
    async fn adopt(&self, connection: &Connection) -> Result<(), Refused> {
        for sink in self.sinks.values().flatten() {
            if let Some(former) = &sink.adopts {
                let params: [&(dyn ToSql + Sync); 3] = [&&*self.topology, &&*sink.id, &&**former];
                self.query(connection, "adopt offsets", ADOPT, &params).await?;
            }
        }
        Ok(())
    }

    /// What is stored for each request, locked against every writer and every other claim.
    async fn lock_rows(
        &self,
        connection: &Connection,
        requests: &[ClaimRequest],
    ) -> Result<Vec<Vec<Row>>, Refused> {
        let [inputs, topics] = names(requests.iter().map(|request| &request.key));
        let partitions: Vec<i32> = requests.iter().map(|request| request.key.partition).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &inputs, &topics, &partitions];
        let mut rows = vec![Vec::new(); requests.len()];
        for row in self.query(connection, "lock the claim's rows", LOCK_ROWS, &params).await? {
            let ordinal: i64 = row.get(0);
            let (sink, epoch, next_offset, session) = (row.get(1), row.get(2), row.get(3), row.get(4));
            level::refuse_snapshot(row.get(1), row.get(5))?;
            rows[ordinal as usize - 1].push(Row { sink, epoch, next_offset, session });
        }
        Ok(rows)
    }

    /// A table fed under an identity that the topology does not have any more would be fed twice.
    async fn refuse_taken_targets(
        &self,
        connection: &Connection,
        sources: &BTreeSet<&str>,
    ) -> Result<(), Refused> {
        let claiming = sources.iter().filter_map(|source| self.sinks.get(*source)).flatten();
        let targets: BTreeMap<&str, &str> = claiming.map(|sink| (&*sink.target, &*sink.id)).collect();
        let named: Vec<&str> = targets.keys().copied().collect();
        let present: Vec<&str> = self.sinks.values().flatten().map(|sink| &*sink.id).collect();
        let params: [&(dyn ToSql + Sync); 3] = [&&*self.topology, &named, &present];
        let taken = self.query(connection, "see who feeds the targets", TAKEN_TARGETS, &params).await?;
        let Some(row) = taken.first() else { return Ok(()) };
        let (former, target): (String, String) = (row.get(0), row.get(1));
        let sink = targets.get(target.as_str()).copied().unwrap_or_default();
        let message = format!(
            "`{target}` was fed by sink `{former}`, which the topology does not have any more; feeding it as `{sink}` \
             would write its records again. If `{sink}` is the same sink under a new name, say `adopts: {former}`; \
             if it shall start over, `aqueduct offsets reset FILE --sink {former} --forget`"
        );
        Err(Error::new(Class::Config, message).into())
    }

    async fn store(&self, connection: &Connection, claims: &[Claim]) -> Result<(), Refused> {
        let mut sinks: Vec<&str> = Vec::new();
        let mut keys: Vec<&PartitionKey> = Vec::new();
        let (mut epochs, mut owners, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut targets, mut required, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for claim in claims {
            for sink in self.sinks_of(&claim.key.source)? {
                sinks.push(&sink.id);
                keys.push(&claim.key);
                epochs.push(claim.epoch);
                owners.push(owner_text(claim.owner));
                offsets.push(claim.sinks[&sink.id]);
                targets.push(&*sink.target);
                required.push(sink.required);
                skipped.push(claim.skipped.get(&sink.id).copied().unwrap_or(0));
            }
        }
        let [inputs, topics] = names(keys.iter().copied());
        let partitions: Vec<i32> = keys.iter().map(|key| key.partition).collect();
        let params: [&(dyn ToSql + Sync); 13] = [
            &&*self.topology,
            &&*self.node,
            &&**self.timescale.session(),
            &sinks,
            &inputs,
            &topics,
            &partitions,
            &epochs,
            &owners,
            &offsets,
            &targets,
            &required,
            &skipped,
        ];
        self.query(connection, "store the claim", STORE, &params).await?;
        Ok(())
    }

    /// Deletes the letters of records whose fate is open again: a sink's own from its own offset on, all others as
    /// [`open_from`] says.
    async fn forget_letters(&self, connection: &Connection, claims: &[Claim]) -> Result<(), Refused> {
        let [inputs, topics] = names(claims.iter().map(|claim| &claim.key));
        let partitions: Vec<i32> = claims.iter().map(|claim| claim.key.partition).collect();
        let open = claims.iter().map(|claim| Ok(open_from(claim, self.sinks_of(&claim.key.source)?)));
        let open: Vec<i64> = open.collect::<Result<_, Error>>()?;
        let params: [&(dyn ToSql + Sync); 5] = [&&*self.topology, &inputs, &topics, &partitions, &open];
        self.query(connection, "delete dead letters that will be judged again", FORGET_LETTERS, &params)
            .await?;
        Ok(())
    }

    /// Ends the open transactions of former owners that own nothing any more: after this claim, whatever they still do
    /// would hit no row, and it holds locks.
    async fn end_ownerless(
        &self,
        connection: &Connection,
        mut former: BTreeSet<String>,
    ) -> Result<(), Refused> {
        former.remove(&**self.timescale.session());
        if former.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = former.iter().map(String::as_str).collect();
        let owning = self.query(connection, "see which owners are left", STILL_OWNING, &[&names]).await?;
        for row in owning {
            former.remove(row.get::<_, &str>(0));
        }
        self.end_sessions(connection, &former).await.map_err(Refused::from)
    }

    async fn end_sessions(&self, connection: &Connection, sessions: &BTreeSet<String>) -> Result<(), Error> {
        if sessions.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = sessions.iter().map(String::as_str).collect();
        let rows = self.query(connection, "end leftover sessions", END_SESSIONS, &[&names]).await?;
        let ended: i32 = rows.first().map_or(0, |row| row.get(0));
        if ended > 0 {
            tracing::warn!(
                event = event_ids::SESSION_ENDED,
                ended,
                ?sessions,
                "ended sessions a former owner left behind"
            );
        }
        Ok(())
    }

    /// Who holds the rows of `requests` at present.
    async fn former_sessions(
        &self,
        connection: &Connection,
        requests: &[ClaimRequest],
    ) -> Result<BTreeSet<String>, Error> {
        let [inputs, topics] = names(requests.iter().map(|request| &request.key));
        let partitions: Vec<i32> = requests.iter().map(|request| request.key.partition).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &inputs, &topics, &partitions];
        let rows = self.query(connection, "see who holds the claim's rows", FORMER_SESSIONS, &params).await?;
        let mut former: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        former.remove(&**self.timescale.session());
        Ok(former)
    }

    /// Forgets the offsets of `sink`, or of every sink: they start over where the file says. A node that runs finds its
    /// claims gone and claims anew. Says how many offsets it was.
    pub async fn reset(&self, sink: Option<&str>) -> Result<u64, Error> {
        let connection = self.timescale.checkout().await?;
        let params: [&(dyn ToSql + Sync); 2] = [&&*self.topology, &sink];
        let deleted = connection.client().execute(RESET, &params);
        connection.within("reset offsets", limits::STATEMENT_WAIT_MAX, deleted).await
    }

    async fn read_positions(&self) -> Result<Vec<Position>, Error> {
        let connection = self.timescale.checkout().await?;
        let session = &**self.timescale.session();
        let params: [&(dyn ToSql + Sync); 3] = [&&*self.topology, &session, &&*self.node];
        let rows = self.query(&connection, "read the offsets", POSITIONS, &params).await?;
        let text = |row: &tokio_postgres::Row, index: usize| -> Arc<str> { row.get::<_, &str>(index).into() };
        let position = |row: &tokio_postgres::Row| {
            let key = PartitionKey { source: text(row, 1), topic: text(row, 2), partition: row.get(3) };
            let (epoch, ours): (i64, bool) = (row.get(4), row.get(6));
            let moved = ours && self.last_epoch(&key) < epoch;
            let (is_of_node, is_there, resting): (bool, bool, f64) = (row.get(7), row.get(8), row.get(9));
            Position {
                sink: text(row, 0),
                key,
                epoch,
                next_offset: row.get(5),
                moved,
                holder: match (ours || is_of_node, is_there) {
                    (true, _) => Holder::Ours,
                    (false, true) => Holder::Other,
                    (false, false) => Holder::Nobody,
                },
                resting: Duration::try_from_secs_f64(resting).unwrap_or_default(),
            }
        };
        Ok(rows.iter().map(position).collect())
    }

    async fn record(&self, sink: &str, positions: &[(PartitionKey, i64, i64)]) -> Result<(), Error> {
        let mut rows: Vec<(&PartitionKey, i64, String, i64)> = Vec::new();
        {
            let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, epoch, next) in positions {
                if let Some((_, owner)) = owners.get(key).filter(|(claimed, _)| claimed == epoch) {
                    rows.push((key, *epoch, owner_text(*owner), *next));
                }
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let [inputs, topics] = names(rows.iter().map(|row| row.0));
        let partitions: Vec<i32> = rows.iter().map(|row| row.0.partition).collect();
        let epochs: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let owners: Vec<&str> = rows.iter().map(|row| row.2.as_str()).collect();
        let nexts: Vec<i64> = rows.iter().map(|row| row.3).collect();
        let params: [&(dyn ToSql + Sync); 8] =
            [&&*self.topology, &sink, &inputs, &topics, &partitions, &epochs, &owners, &nexts];
        let connection = self.timescale.checkout().await?;
        self.query(&connection, "record offsets", RECORD, &params).await?;
        Ok(())
    }

    async fn query(
        &self,
        connection: &Connection,
        doing: &str,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Refusal> {
        let doing = format!("{doing} of topology `{}`", self.topology);
        let answer = connection.client().query(statement, params);
        connection.within_raw(&doing, limits::STATEMENT_WAIT_MAX, answer).await
    }
}

impl OffsetStore for TimescaleOffsets {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(self.claim_all(requests))
    }

    fn has_begun<'a>(&'a self, source: &'a str, topic: &'a str) -> LocalBoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.has_begun_now(source, topic))
    }

    fn begin<'a>(
        &'a self,
        source: &'a str,
        topic: &'a str,
        starts: &'a BTreeMap<i32, i64>,
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(self.begin_now(source, topic, starts))
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(self.read_positions())
    }

    fn advance<'a>(
        &'a self,
        sink: &'a str,
        positions: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(self.record(sink, positions))
    }

    fn logs(&self) -> Option<&dyn Logs> {
        self.logs.as_deref()
    }

    fn measure<'a>(&'a self, figures: &'a Figures) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            let targets: BTreeSet<&str> = self.sinks.values().flatten().map(|sink| &*sink.target).collect();
            let targets: Vec<&str> = targets.into_iter().collect();
            measure(&self.timescale, &targets, &self.measured, figures).await;
        })
    }

    fn exactly_once(&self) -> bool {
        true
    }
}

/// A claim that did not happen, and whether somebody's lock was why.
struct Refused {
    error: Error,
    locked: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, locked: false }
    }
}

impl From<Refusal> for Refused {
    fn from(Refusal { error, cause }: Refusal) -> Self {
        let locked = cause.and_then(|cause| cause.code().cloned()) == Some(SqlState::LOCK_NOT_AVAILABLE);
        Self { error, locked }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

async fn execute(connection: &Connection, doing: &str, statement: &str) -> Result<(), Error> {
    connection.within(doing, limits::STATEMENT_WAIT_MAX, connection.client().batch_execute(statement)).await
}

/// Sources and topics, by column.
fn names<'a>(keys: impl Iterator<Item = &'a PartitionKey> + Clone) -> [Vec<&'a str>; 2] {
    [keys.clone().map(|key| &*key.source).collect(), keys.map(|key| &*key.topic).collect()]
}

/// A claim survives a crash of the server the moment it is answered, whatever the role's settings say.
const BEGIN_CLAIM: &str = "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '2s'";

const LOCK_TOPOLOGY: &str =
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('aqueduct claim ' || $1::text, 0))";

const ADOPT: &str = "\
    UPDATE aqueduct.offsets AS o SET sink = $2 \
    WHERE o.topology = $1 AND o.sink = $3 \
      AND NOT EXISTS (SELECT FROM aqueduct.offsets AS own \
                      WHERE own.topology = o.topology AND own.sink = $2 AND own.input = o.input \
                        AND own.topic = o.topic AND own.partition = o.partition)";

/// Ordered, so that two transactions take the rows' locks in one order.
const LOCK_ROWS: &str = "\
    SELECT n.ordinal, o.sink, o.epoch, o.next_offset, o.session, \
           CASE WHEN pg_catalog.length(o.snapshot) > 0 THEN pg_catalog.get_byte(o.snapshot, 0) END \
    FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int4[])) \
         WITH ORDINALITY AS n(input, topic, partition, ordinal) \
    JOIN aqueduct.offsets AS o ON o.input = n.input AND o.topic = n.topic AND o.partition = n.partition \
    WHERE o.topology = $1 \
    ORDER BY o.sink, o.input, o.topic, o.partition \
    FOR UPDATE OF o";

const FORMER_SESSIONS: &str = "\
    SELECT DISTINCT o.session \
    FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int4[])) \
         AS n(input, topic, partition) \
    JOIN aqueduct.offsets AS o ON o.input = n.input AND o.topic = n.topic AND o.partition = n.partition \
    WHERE o.topology = $1";

const TAKEN_TARGETS: &str = "\
    SELECT sink, target FROM aqueduct.offsets \
    WHERE topology = $1 AND target = ANY ($2::text[]) AND sink <> ALL ($3::text[]) \
    ORDER BY sink, target LIMIT 1";

const STORE: &str = "\
    INSERT INTO aqueduct.offsets AS o \
        (topology, sink, input, topic, partition, epoch, owner, next_offset, target, required, skipped, node, session) \
    SELECT $1, n.sink, n.input, n.topic, n.partition, n.epoch, n.owner::uuid, n.next_offset, n.target, n.required, \
           n.skipped, $2, $3 \
    FROM ROWS FROM (pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]), \
                    pg_catalog.unnest($7::int4[]), pg_catalog.unnest($8::int8[]), pg_catalog.unnest($9::text[]), \
                    pg_catalog.unnest($10::int8[]), pg_catalog.unnest($11::text[]), pg_catalog.unnest($12::bool[]), \
                    pg_catalog.unnest($13::int8[])) \
         AS n(sink, input, topic, partition, epoch, owner, next_offset, target, required, skipped) \
    ON CONFLICT (topology, sink, input, topic, partition) DO UPDATE \
        SET epoch = excluded.epoch, owner = excluded.owner, next_offset = excluded.next_offset, \
            target = excluded.target, required = excluded.required, skipped = o.skipped + excluded.skipped, \
            node = excluded.node, session = excluded.session, \
            claimed_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.clock_timestamp()";

/// A sink rejects a record only after it had none of it, so its own letters below its offset stay.
const FORGET_LETTERS: &str = "\
    DELETE FROM aqueduct.dead_letter AS l \
    USING ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int4[]), \
                     pg_catalog.unnest($5::int8[])) AS n(input, topic, partition, open) \
    WHERE l.topology = $1 AND l.source = n.input AND l.topic = n.topic AND l.partition = n.partition \
      AND l.\"offset\" >= COALESCE((SELECT o.next_offset FROM aqueduct.offsets AS o \
                                   WHERE o.topology = l.topology AND o.sink = l.actor AND o.input = l.source \
                                     AND o.topic = l.topic AND o.partition = l.partition), n.open)";

const RESET: &str = "DELETE FROM aqueduct.offsets WHERE topology = $1 AND ($2::text IS NULL OR sink = $2)";

const STILL_OWNING: &str = "SELECT DISTINCT session FROM aqueduct.offsets WHERE session = ANY ($1::text[])";

const END_SESSIONS: &str = "SELECT aqueduct.end_sessions($1::text[])";

/// Names of applications are there for everybody to see, whoever else's sessions they are.
const POSITIONS: &str = "\
    SELECT o.sink, o.input, o.topic, o.partition, o.epoch, o.next_offset, o.session = $2, o.node = $3, \
           o.session IN (SELECT a.application_name FROM pg_catalog.pg_stat_activity AS a \
                         WHERE a.datname = pg_catalog.current_database()), \
           EXTRACT(epoch FROM pg_catalog.clock_timestamp() - o.updated_at)::float8 \
    FROM aqueduct.offsets AS o WHERE o.topology = $1 \
    ORDER BY o.sink, o.input, o.topic, o.partition";

/// Guarded like a writer's, but never back: a sink that settles late says less than was said before.
const RECORD: &str = "\
    UPDATE aqueduct.offsets AS o \
    SET next_offset = n.next, updated_at = pg_catalog.clock_timestamp() \
    FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::int4[]), \
                    pg_catalog.unnest($6::int8[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::int8[])) \
         AS n(input, topic, partition, epoch, owner, next) \
    WHERE o.topology = $1 AND o.sink = $2 AND o.input = n.input AND o.topic = n.topic \
      AND o.partition = n.partition AND o.epoch = n.epoch AND o.owner = n.owner::uuid AND o.next_offset < n.next";
