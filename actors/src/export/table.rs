//! The table to export: its columns, and the time by which it is cut.

use crate::timescale::{Connection, TableName};
use aqueduct_engine::{Class, Error};
use serde::Serialize;
use tokio_postgres::types::ToSql;

/// One column, as the database says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// As `format_type` writes it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
}

/// A table, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its name.
    pub table: TableName,
    /// Its identity in the database.
    pub oid: u32,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The column by which it is cut.
    pub time_column: String,
    /// Whether that is a timestamptz; else it is a timestamp, taken for UTC.
    pub time_zoned: bool,
    /// Whether it has chunks.
    pub hypertable: bool,
}

const FIND: &str = "\
    SELECT c.oid::oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm')";

const COLUMNS: &str = "\
    SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull \
    FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const HAS_TIMESCALE: &str = "SELECT pg_catalog.to_regclass('timescaledb_information.dimensions') IS NOT NULL";

const DIMENSION: &str = "\
    SELECT d.column_name::text FROM timescaledb_information.dimensions AS d \
    WHERE d.hypertable_schema = $1 AND d.hypertable_name = $2 AND d.dimension_number = 1";

const NAME: &str = "SELECT pg_catalog.current_database()::text, s.system_identifier::text \
                    FROM pg_catalog.pg_control_system() AS s";

/// A name of the database that its address does not change: what a place holds is its.
pub async fn database(connection: &Connection) -> Result<String, Error> {
    match connection.row("ask the database who it is", NAME, &[]).await {
        Ok(row) => Ok([row.get::<_, String>(0), row.get::<_, String>(1)].join("@")),
        // Some services keep that to themselves.
        Err(_) if !connection.is_broken() => {
            let only = "SELECT pg_catalog.current_database()::text";
            Ok(connection.row("ask the database who it is", only, &[]).await?.get(0))
        }
        Err(error) => Err(error),
    }
}

/// Looks at `table`. It is cut by `time_column`, else by the time of the hypertable, else by `event_time`.
pub async fn look(
    connection: &Connection,
    table: &TableName,
    time_column: Option<&str>,
    event_time: Option<&str>,
) -> Result<Shape, Error> {
    let doing = format!("look at `{}`", table.plain());
    let names: [&(dyn ToSql + Sync); 2] = [&table.schema.as_str(), &table.table.as_str()];
    let found = connection.rows(&doing, FIND, &names).await?;
    let Some(row) = found.first() else {
        return refused(format!(
            "there is no table {}: is it the right database, and is it migrated?",
            table.plain()
        ));
    };
    let oid: u32 = row.get(0);
    let rows = connection.rows(&doing, COLUMNS, &[&oid]).await?;
    let columns: Vec<Column> =
        rows.iter().map(|row| Column { name: row.get(0), kind: row.get(1), nullable: row.get(2) }).collect();
    let timescale: bool = connection.row(&doing, HAS_TIMESCALE, &[]).await?.get(0);
    let dimension: Option<String> = if timescale {
        connection.rows(&doing, DIMENSION, &names).await?.first().map(|row| row.get(0))
    } else {
        None
    };
    let time = time_column.or(dimension.as_deref()).or(event_time);
    let (time_column, time_zoned) = time_of(table, &columns, time)?;
    Ok(Shape { table: table.clone(), oid, columns, time_column, time_zoned, hypertable: dimension.is_some() })
}

fn time_of(table: &TableName, columns: &[Column], time: Option<&str>) -> Result<(String, bool), Error> {
    let table = table.plain();
    let Some(time) = time else {
        return refused(format!(
            "{table} is no hypertable: say by which column it is cut, with --time-column"
        ));
    };
    let Some(column) = columns.iter().find(|column| column.name == time) else {
        return refused(format!("{table} has no column `{time}`; it has {}", names(columns)));
    };
    if column.kind.starts_with("timestamp") {
        Ok((time.to_owned(), column.kind.ends_with(" with time zone")))
    } else {
        refused(format!("column `{time}` of {table} is {}, and exports are cut by a timestamp", column.kind))
    }
}

/// For messages.
pub fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn refused<T>(message: String) -> Result<T, Error> {
    Err(Error::new(Class::Config, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_a_timestamp_that_the_table_has() {
        let column =
            |name: &str, kind: &str| Column { name: name.into(), kind: kind.into(), nullable: false };
        let columns = [
            column("at", "timestamp(3) with time zone"),
            column("on", "timestamp without time zone"),
            column("n", "bigint"),
        ];
        let table = TableName::parse("m.t").unwrap();
        let time = |name| time_of(&table, &columns, name);
        assert_eq!(time(Some("at")).unwrap(), ("at".to_owned(), true));
        assert_eq!(time(Some("on")).unwrap(), ("on".to_owned(), false));
        assert!(time(Some("n")).unwrap_err().message.contains("is bigint"));
        assert!(time(Some("x")).unwrap_err().message.contains("it has at, on, n"));
        assert!(time(None).unwrap_err().message.contains("--time-column"));
    }
}
