//! Versioned SQL: which files there are, which of them the database has, and applying the rest exactly once.
//!
//! Sets of files (the engine's own, a topology's) are applied in order, each file in its own transaction together with
//! its row in `aqueduct.migrations`. A file whose first line is `-- no-transaction` runs outside one, statement by
//! statement; it must be fit to run twice, is recorded after its last statement, and runs again from its first after an
//! interruption.
//!
//! Invariant: who applies holds the migration lock of the database, a lock of its session: several nodes that start at
//! once migrate once. Deliberately absent: migrating down (a new file says what is to be undone), and any change of a
//! file that was applied.

mod apply;
mod error;
pub(super) mod file;
pub(super) mod lexer;
mod report;
mod schema;
mod store;
mod verify;
mod watch;

pub use error::{Error, Outcome, StatementError};
pub use file::{BREAKING, ENGINE, FOLDER, MigrationFile, MigrationSet, NO_TRANSACTION};
pub use report::{
    Applied, AppliedFile, Event, Finding, Pending, Plan, Problem, State, Status, StatusLine, Verified,
};
pub use schema::{Drift, Thing};

use super::connect::{Connection, Connector};
use super::limits;
use apply::Run;
use schema::Snapshot;
use std::time::Duration;
use verify::Record;
use watch::Watch;

/// How often a waiting migrator asks whether it is its turn. It does not wait inside the database: a session that waits
/// there holds a snapshot, for which the other one's concurrent index would wait in turn, for ever.
const TURN_INTERVAL: Duration = Duration::from_millis(200);

/// Compares sets of files with a database, and applies what it lacks.
#[derive(Debug)]
pub struct Migrator {
    connector: Connector,
    sets: Vec<MigrationSet>,
}

impl Migrator {
    /// For the database of `connector`; the sets are applied in this order, the engine's first.
    pub fn new(connector: Connector, sets: Vec<MigrationSet>) -> Self {
        Self { connector, sets }
    }

    /// What [`Migrator::up`] would do now. Changes nothing.
    pub async fn plan(&self) -> Result<Plan, Error> {
        Ok(self.plan_with(&self.records().await?))
    }

    /// Every file and every record.
    pub async fn status(&self) -> Result<Status, Error> {
        let records = self.records().await?;
        let lines = self.sets.iter().flat_map(|set| verify::status(set, &records));
        Ok(Status { migrations: lines.collect() })
    }

    /// Whether files and database tell one history, and whether what they made is what is live. Changes nothing.
    pub async fn verify(&self) -> Result<Verified, Error> {
        let connection = self.connector.connect_pooled().await?;
        let records = store::records(&connection).await?;
        let compared = schema::compare(&connection, &self.sets, &records).await?;
        let findings = self.findings(&records);
        let files = self.sets.iter().map(|set| set.files.len()).sum();
        let lines = || self.sets.iter().flat_map(|set| verify::status(set, &records));
        let count = |state: State| lines().filter(|line| line.state == state).count();
        Ok(Verified {
            files,
            applied: count(State::Applied),
            pending: count(State::Pending),
            things: compared.things,
            findings,
            drift: compared.drift,
            not_noted: compared.not_noted,
        })
    }

    /// Applies what the database lacks, one session at a time; `report` hears what happens meanwhile. Refuses to apply
    /// anything where files and database disagree.
    pub async fn up(&self, report: &dyn Fn(&Event)) -> Result<Applied, Error> {
        let connection = self.connector.connect_pooled().await?;
        self.await_turn(&connection, report).await?;
        let outcome = self.apply_pending(&connection, report).await;
        if outcome.is_ok() {
            store::unlock(&connection).await?;
        }
        // After an error the lock goes with the session, which ends here.
        outcome
    }

    async fn await_turn(&self, connection: &Connection, report: &dyn Fn(&Event)) -> Result<(), Error> {
        let clock = self.connector.clock();
        let begin = clock.now();
        let mut told = None;
        while !store::try_lock(connection).await? {
            let holder = store::lock_holder(connection).await?;
            let waited = begin.elapsed();
            if waited >= limits::MIGRATION_LOCK_WAIT_MAX {
                let holder = holder.or(told).unwrap_or_else(|| "several in turn".into());
                return Err(Error::Busy { holder, waited });
            }
            if let Some(holder) = holder.filter(|holder| told.as_ref() != Some(holder)) {
                report(&Event::WaitingForTurn { holder: holder.clone() });
                told = Some(holder);
            }
            clock.sleep(TURN_INTERVAL).await;
        }
        Ok(())
    }

    async fn apply_pending(
        &self,
        connection: &Connection,
        report: &dyn Fn(&Event),
    ) -> Result<Applied, Error> {
        store::create(connection).await?;
        let records = store::records(connection).await?;
        let plan = self.plan_with(&records);
        if plan.findings.iter().any(|finding| finding.problem.blocks()) {
            return Err(Error::Drift(plan.findings));
        }
        let mut snapshot = Snapshot::begin(connection, &self.sets, &records).await?;
        let mut watch = Watch::new(&self.connector, connection, report).await?;
        let mut applied = Vec::new();
        let pending = self.pending(&records);
        for ((set, file), pending) in pending.into_iter().zip(plan.pending) {
            report(&Event::Started(pending.clone()));
            let clock = self.connector.clock();
            let run = Run { connection, clock, set, file, watch: &mut watch, snapshot: &mut snapshot };
            let duration_ms = run.apply().await?;
            let done =
                AppliedFile { set: pending.set, file: pending.file, version: pending.version, duration_ms };
            report(&Event::Finished(done.clone()));
            applied.push(done);
        }
        let files: usize = self.sets.iter().map(|set| set.files.len()).sum();
        Ok(Applied { already: files - applied.len(), applied, findings: plan.findings })
    }

    async fn records(&self) -> Result<Vec<Record>, Error> {
        let connection = self.connector.connect_pooled().await?;
        store::records(&connection).await
    }

    fn findings(&self, records: &[Record]) -> Vec<Finding> {
        self.sets.iter().flat_map(|set| verify::findings(set, records)).collect()
    }

    fn pending(&self, records: &[Record]) -> Vec<(&MigrationSet, &MigrationFile)> {
        let is_known = |set: &MigrationSet, file: &MigrationFile| {
            records.iter().any(|record| record.set == set.name && record.version == file.version)
        };
        let files = self.sets.iter().flat_map(|set| set.files.iter().map(move |file| (set, file)));
        files.filter(|(set, file)| !is_known(set, file)).collect()
    }

    fn plan_with(&self, records: &[Record]) -> Plan {
        let pending = self.pending(records).into_iter().map(|(set, file)| Pending {
            set: set.name.clone(),
            file: set.path(&file.name),
            version: file.version,
            statements: file.statements().map_or(0, |statements| statements.len()),
            transactional: file.transactional,
        });
        Plan { pending: pending.collect(), findings: self.findings(records) }
    }
}
