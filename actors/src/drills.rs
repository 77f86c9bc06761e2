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
