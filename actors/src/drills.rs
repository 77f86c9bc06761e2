//! The drills that a topology went through, as table `aqueduct.drills` has them.

use crate::timescale::Connection;
use aqueduct_engine::Error;
use aqueduct_engine::archive::Drill;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const DRILLS: &str = "SELECT drill, passed, node, (EXTRACT(epoch FROM started_at) * 1000000)::int8, \
        (EXTRACT(epoch FROM ended_at) * 1000000)::int8, report \
     FROM aqueduct.drills WHERE topology = $1 ORDER BY ended_at DESC, id DESC LIMIT $2";

/// The drills of `topology`, the newest first.
pub async fn list(connection: &Connection, topology: &str, limit: i64) -> Result<Vec<Drill>, Error> {
    let params: [&(dyn ToSql + Sync); 2] = [&topology, &limit];
    let rows = connection.rows("read drills", DRILLS, &params).await?;
    let drill = |row: &Row| Drill {
        drill: row.get(0),
        passed: row.get(1),
        node: row.get(2),
        started_us: row.get(3),
        ended_us: row.get(4),
        report: row.get(5),
    };
    Ok(rows.iter().map(drill).collect())
}

/// Keeps `drill`, which `topology` went through.
pub async fn record(connection: &Connection, topology: &str, drill: &Drill) -> Result<(), Error> {
    let Drill { drill: name, passed, node, started_us, ended_us, report } = drill;
    let params: [&(dyn ToSql + Sync); 7] = [&topology, name, passed, report, node, started_us, ended_us];
    connection.hits("record a drill", RECORD, &params).await?;
    Ok(())
}

const RECORD: &str = "\
    INSERT INTO aqueduct.drills (topology, drill, passed, report, node, started_at, ended_at) \
    VALUES ($1, $2, $3, $4, $5, 'epoch'::timestamptz + $6::int8 * interval '1 microsecond', \
            'epoch'::timestamptz + $7::int8 * interval '1 microsecond')";
