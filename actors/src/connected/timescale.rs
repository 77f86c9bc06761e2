//! TimescaleDB: versions, tables and columns, hypertables, privileges, migrations.
//!
//! Tables are compared by what the writer itself goes by, so that what passes here can be written there.

use super::{ANSWER_MAX, Inquiry, Server, failure, field_span, retention};
use crate::timescale::migrate::{ENGINE, Error as MigrationError, Migrator, Plan};
use crate::timescale::{Connection, Connector, Identifier, TableName, limits};
use crate::timescale_writer::columns_of;
use crate::timescale_writer::fault::Fault;
use crate::timescale_writer::table::{self, Key};
use aqueduct_engine::Error;
use aqueduct_topology::model::{Actor, Kind, OnConflict, TimescaleWriter, Topology};
use aqueduct_topology::{Code, Diagnostic, Span};
use tokio_postgres::types::ToSql;

const SERVER: Server =
    Server { name: "timescale", key: "connections.timescale.url", variable: "TIMESCALE_URL", also: "" };

/// The oldest versions, as the README says.
const POSTGRES_MIN: i32 = 14;
const EXTENSION_MIN: (u32, u32) = (2, 13);

const VERSIONS: &str = "\
    SELECT pg_catalog.current_setting('server_version_num')::int4 / 10000, \
           (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'timescaledb')";

/// The column that a table is a hypertable by; no row where it is none.
const TIME_COLUMN: &str = "\
    SELECT d.column_name::text FROM timescaledb_information.dimensions d \
    WHERE d.hypertable_schema = $1 AND d.hypertable_name = $2 AND d.dimension_number = 1";

/// What the user may not do with the engine's own tables, a line each.
const OWN_PRIVILEGES: &str = "\
    SELECT wanted.privilege || ' on aqueduct.' || c.relname, current_user::text \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN (VALUES ('migrations', 'SELECT'), ('offsets', 'SELECT'), ('offsets', 'INSERT'), ('offsets', 'UPDATE'), \
                 ('dead_letter', 'SELECT'), ('dead_letter', 'INSERT'), ('dead_letter', 'DELETE')) \
         AS wanted (name, privilege) ON wanted.name = c.relname \
    WHERE n.nspname = 'aqueduct' \
      AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
               AND pg_catalog.has_table_privilege(c.oid, wanted.privilege)) \
    UNION ALL \
    SELECT 'EXECUTE on aqueduct.' || p.proname, current_user::text \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    WHERE n.nspname = 'aqueduct' AND p.proname = 'end_sessions' \
      AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') \
    ORDER BY 1";

/// Asks the database of the topology, if it has one.
pub(super) async fn ask(inquiry: &Inquiry<'_>) {
    let Some(connection) = &inquiry.topology.connections.timescale else { return };
    let place = inquiry.place(connection.url.span, |kind| matches!(kind, Kind::TimescaleWriter(_)));
    let asking = async {
        let connector =
            Connector::new(connection, &inquiry.topology.name.value, inquiry.node, inquiry.clock.clone())?;
        let connection = connector.connect().await?;
        let extended = versions(inquiry, &connection, place).await?;
        own_privileges(inquiry, &connection, place).await?;
        for (actor, writer) in writers(inquiry.topology) {
            of_writer(inquiry, &connection, (actor, writer), extended).await?;
        }
        if extended {
            retention::ask(inquiry, &connection).await?;
        }
        migrations(inquiry, connector, place).await;
        Ok(())
    };
    inquiry.within(SERVER, place, ANSWER_MAX, asking).await;
}

fn writers(topology: &Topology) -> impl Iterator<Item = (&Actor, &TimescaleWriter)> {
    topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::TimescaleWriter(writer) => Some((actor, writer)),
        _ => None,
    })
}

/// Whether the extension is there.
async fn versions(inquiry: &Inquiry<'_>, connection: &Connection, place: Span) -> Result<bool, Error> {
    let answer = connection.client().query_one(VERSIONS, &[]);
    let row = connection.within("read the server's version", limits::STATEMENT_WAIT_MAX, answer).await?;
    let (server, extension): (i32, Option<String>) = (row.get(0), row.get(1));
    if let Some(finding) = judge_versions(server, extension.as_deref(), place) {
        inquiry.report(finding);
    }
    Ok(extension.is_some())
}

fn judge_versions(server: i32, extension: Option<&str>, place: Span) -> Option<Diagnostic> {
    let (major, minor) = EXTENSION_MIN;
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let (message, help) = match extension {
        _ if server < POSTGRES_MIN => (
            format!("the database is PostgreSQL {server}"),
            format!("PostgreSQL {POSTGRES_MIN} or later is needed: upgrade the server"),
        ),
        None => (
            "the database has no TimescaleDB".to_owned(),
            "run `CREATE EXTENSION timescaledb` in it, as a superuser".to_owned(),
        ),
        Some(version) => {
            let mut numbers = version.split(['.', '-']);
            if (number(numbers.next()), number(numbers.next())) >= EXTENSION_MIN {
                return None;
            }
            (
                format!("the database has TimescaleDB {version}"),
                format!("{major}.{minor} or later is needed: `ALTER EXTENSION timescaledb UPDATE`"),
            )
        }
    };
    Some(Diagnostic::error(Code::TooOld, place, message).help(help))
}

async fn own_privileges(inquiry: &Inquiry<'_>, connection: &Connection, place: Span) -> Result<(), Error> {
    let answer = connection.client().query(OWN_PRIVILEGES, &[]);
    let doing = "read the privileges on schema aqueduct";
    let rows = connection.within(doing, limits::STATEMENT_WAIT_MAX, answer).await?;
    let Some(first) = rows.first() else { return Ok(()) };
    let user: String = first.get(1);
    let missing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let message = format!("user `{user}` lacks {}", missing.join(", "));
    let finding = Diagnostic::error(Code::NoPrivilege, place, message);
    inquiry
        .report(finding.help("`GRANT aqueduct_writer TO` it, or grant USAGE on schema aqueduct, and these"));
    Ok(())
}

async fn of_writer(
    inquiry: &Inquiry<'_>,
    connection: &Connection,
    (actor, writer): (&Actor, &TimescaleWriter),
    extended: bool,
) -> Result<(), Error> {
    let name = TableName::parse(&writer.table.value)?;
    let columns = columns_of(inquiry.topology, actor)?;
    let unique: Vec<Identifier> =
        writer.unique.iter().map(|column| Identifier::new(&column.value)).collect::<Result<_, _>>()?;
    let key = Key { indexed: &unique, replaces: writer.on_conflict == OnConflict::Replace };
    let (_, faults) = table::inspect(connection, &name, &columns, key).await?;
    let there = !faults.contains(&Fault::NoTable);
    let whose = Whose { topology: inquiry.topology, actor, writer };
    faults.iter().for_each(|fault| inquiry.report(whose.finding(fault)));
    if there && extended {
        let (schema, table) = (name.schema.as_str(), name.table.as_str());
        let params: [&(dyn ToSql + Sync); 2] = [&schema, &table];
        let answer = connection.client().query_opt(TIME_COLUMN, &params);
        let row = connection.within("look for a hypertable", limits::STATEMENT_WAIT_MAX, answer).await?;
        if let Some(finding) = whose.hypertable(row.map(|row| row.get(0))) {
            inquiry.report(finding);
        }
    }
    Ok(())
}

/// A writer whose table is looked at.
struct Whose<'a> {
    topology: &'a Topology,
    actor: &'a Actor,
    writer: &'a TimescaleWriter,
}

impl Whose<'_> {
    fn finding(&self, fault: &Fault) -> Diagnostic {
        let (table, here) = (&self.writer.table.value, self.writer.table.span);
        let at = |column: &str| field_span(self.topology, self.actor, column).unwrap_or(here);
        let error = |code: Code, span: Span, message: String, help: String| {
            let finding = Diagnostic::error(code, span, message).help(help);
            if span == here { finding } else { finding.also(here, "the table") }
        };
        match fault {
            Fault::NoTable => error(
                Code::NoTable,
                here,
                format!("the table `{table}` does not exist"),
                "`aqueduct migrate new FILE` writes the migration that creates it, `aqueduct migrate up FILE` applies it"
                    .to_owned(),
            ),
            Fault::NoColumn { column, needed } => error(
                Code::NoColumn,
                at(column),
                format!("the table `{table}` has no column `{column}`"),
                format!("add the column `{column} {needed}`, or leave the field out"),
            ),
            Fault::ReadOnly { column } => error(
                Code::UnfitColumn,
                at(column),
                format!("the column `{column}` of `{table}` is generated and cannot be written"),
                "leave the field out, or make the column an ordinary one".to_owned(),
            ),
            Fault::Type { column, found, field, needed } => error(
                Code::UnfitColumn,
                at(column),
                format!("the column `{column}` of `{table}` is {found}, and the field is {field}"),
                format!("make the column {needed}, or change the field's type"),
            ),
            Fault::Unfilled { column } => error(
                Code::UnfilledColumn,
                here,
                format!("the column `{column}` of `{table}` refuses NULL, has no default, and no field fills it"),
                "add the field, or give the column a default".to_owned(),
            ),
            Fault::RefusesNull { column } => {
                let message = format!("the column `{column}` of `{table}` refuses NULL, and the field may have none");
                Diagnostic::warning(Code::UnfilledColumn, at(column), message)
                    .label("rows without it are rejected to the dead letter")
                    .also(here, "the table")
                    .help("drop NOT NULL from the column, or give the field a `default`")
            }
            Fault::FewDigits { column } => {
                let message = format!("the column `{column}` of `{table}` is real, which keeps six digits, rarely more");
                Diagnostic::warning(Code::UnfitColumn, at(column), message)
                    .label("rows with more digits here are rejected to the dead letter")
                    .also(here, "the table")
                    .help("make the column double precision, unless what comes never has more")
            }
            Fault::Forbidden { user, needed } => error(
                Code::NoPrivilege,
                here,
                format!("user `{user}` may not write into `{table}`"),
                format!("grant it USAGE on the schema, and {needed} on the table"),
            ),
            Fault::NoUnique { columns } => {
                let columns = columns.join(", ");
                let span = self.writer.unique.first().map_or(here, |column| column.span);
                error(
                    Code::NoUniqueIndex,
                    span,
                    format!("the table `{table}` has no unique index over ({columns})"),
                    format!("create one: `CREATE UNIQUE INDEX ON {table} ({columns})`"),
                )
            }
        }
    }

    /// `time` is the column it is a hypertable by.
    fn hypertable(&self, time: Option<String>) -> Option<Diagnostic> {
        let (table, here) = (&self.writer.table.value, self.writer.table.span);
        let event = self.topology.input_event_time(self.actor)?;
        match time {
            Some(time) if time == event => None,
            Some(time) => {
                let message =
                    format!("the table `{table}` is divided by `{time}`, and the event time is `{event}`");
                let finding = Diagnostic::warning(Code::PlainTable, here, message);
                Some(
                    finding.help(
                        "make both the same: queries, retention and compression go by the table's column",
                    ),
                )
            }
            None => {
                let message = format!("the table `{table}` is no hypertable");
                let finding = Diagnostic::warning(Code::PlainTable, here, message);
                Some(finding.label("it is written, without chunks, compression or retention").help(format!(
                    "`SELECT create_hypertable('{table}', by_range('{event}'), migrate_data => true)`"
                )))
            }
        }
    }
}

async fn migrations(inquiry: &Inquiry<'_>, connector: Connector, place: Span) {
    let here = writers(inquiry.topology).next().map_or(place, |(_, writer)| writer.table.span);
    let sets = match &inquiry.migrations {
        Ok(sets) => sets.clone(),
        Err(error) => return inquiry.report(wrong_files(here, error)),
    };
    match Migrator::new(connector, sets).plan().await {
        Ok(plan) => pending(&plan, place, here).into_iter().for_each(|finding| inquiry.report(finding)),
        Err(MigrationError::Database(error)) => inquiry.report(failure(SERVER, place, &error)),
        Err(error) => inquiry.report(wrong_files(here, &error)),
    }
}

fn wrong_files(here: Span, error: &MigrationError) -> Diagnostic {
    Diagnostic::error(Code::PendingMigration, here, error.to_string())
        .help("see `aqueduct migrate status FILE`")
}

/// The engine's are about the connection, the topology's about its tables.
fn pending(plan: &Plan, place: Span, here: Span) -> Vec<Diagnostic> {
    let span = |set: &str| if set == ENGINE { place } else { here };
    let mut sets: Vec<&str> = plan.pending.iter().map(|pending| pending.set.as_str()).collect();
    sets.dedup();
    let of_set = |set: &str| {
        let name = |file: &'_ str| file.rsplit('/').next().unwrap_or_default().to_owned();
        let files = plan.pending.iter().filter(|one| one.set == set);
        let files: Vec<String> = files.map(|one| name(&one.file)).collect();
        let whose = if set == ENGINE { "the engine's migrations" } else { "migrations beside this file" };
        let message = format!("{whose} are not applied: {}", files.join(", "));
        Diagnostic::error(Code::PendingMigration, span(set), message)
            .help("`aqueduct migrate plan FILE` shows what they do, `aqueduct migrate up FILE` applies them")
    };
    let mut found: Vec<Diagnostic> = sets.into_iter().map(of_set).collect();
    let blocking = plan.findings.iter().filter(|finding| finding.problem.blocks());
    found.extend(blocking.map(|finding| {
        Diagnostic::error(Code::PendingMigration, span(&finding.set), finding.to_string())
            .help("see `aqueduct migrate status FILE`")
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_missing_is_said_and_what_is_newer_is_not() {
        let judged = |server, extension| {
            judge_versions(server, extension, Span::default()).map(|finding| finding.message)
        };
        assert_eq!(judged(13, Some("2.15.0")).as_deref(), Some("the database is PostgreSQL 13"));
        assert_eq!(judged(16, None).as_deref(), Some("the database has no TimescaleDB"));
        assert_eq!(judged(15, Some("2.9.3")).as_deref(), Some("the database has TimescaleDB 2.9.3"));
        for version in ["2.13.0", "2.19.3", "3.0.0-dev"] {
            assert_eq!(judged(14, Some(version)), None, "{version}");
        }
    }
}
