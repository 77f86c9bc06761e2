//! A table that has grown: what TimescaleDB says of it is what was made of its catalogue and of its files.

use super::Play;
use crate::harness::world::Sql;

/// Chunks that there are none of, beside the table's own.
const MANY: &str = "INSERT INTO _timescaledb_catalog.chunk (hypertable_id, schema_name, table_name, creation_time) \
    SELECT h.id, 'nowhere', 'chunk_' || n, now() FROM _timescaledb_catalog.hypertable AS h, generate_series(1, 10001) AS n \
    WHERE h.schema_name = 'market' AND h.table_name = 'trades'";
const FEW: &str = "DELETE FROM _timescaledb_catalog.chunk WHERE schema_name = 'nowhere'";

/// A chunk of long ago, which nobody writes to.
const ASIDE: &str = "INSERT INTO market.trades (ts, id, k, p, q) VALUES ('2001-01-01', 0, 'K00', 1, 1)";
/// Where its file is, from the server's folder.
const FILE: &str = "SELECT pg_relation_filepath(c) FROM show_chunks('market.trades', older_than => '2002-01-01'::timestamptz) AS c";
/// Segments of a gigabyte each, all hole.
const SEGMENTS: u32 = 12;

pub fn grown(play: &Play<'_>) {
    let sql = play.stage.sql();
    sql.batch(ASIDE);
    let (inject, end) = (
        || {
            sql.batch(MANY);
            grow(&sql);
        },
        || {
            sql.batch(FEW);
            sql.batch("SELECT drop_chunks('market.trades', older_than => '2002-01-01'::timestamptz)");
        },
    );
    let fault = "a table grows by 12 GB and ten thousand chunks";
    play.strikes(fault, &["AqueductChunksMany", "AqueductTableGrowsFast"], inject, end);
}

fn grow(sql: &Sql) {
    let file: String = sql.rows(FILE, &[])[0].get(0);
    let segments = (1..SEGMENTS).map(|number| format!("{file}.{number}"));
    let files: Vec<String> = std::iter::once(file.clone()).chain(segments).collect();
    // It runs in the server's folder, as the server's user.
    let program = format!("cat > /dev/null; truncate -s 1G {}", files.join(" "));
    sql.batch(&sql.format("COPY (SELECT 1) TO PROGRAM %L", &[&program]));
}
