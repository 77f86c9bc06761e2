//! Table `aqueduct.schema_snapshot`.

use super::{Key, Note, Notes, Thing};
use crate::timescale::connect::Connection;
use aqueduct_engine::Error;
use tokio_postgres::types::ToSql;

const EXISTS: &str = "SELECT pg_catalog.to_regclass('aqueduct.schema_snapshot') IS NOT NULL";

const LOAD: &str = "SELECT thing, object, of_table, definition, \"set\", file FROM aqueduct.schema_snapshot";

const DELETE: &str = "\
    DELETE FROM aqueduct.schema_snapshot AS s USING ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) \
    AS gone(thing, object) WHERE s.thing = gone.thing AND s.object = gone.object";

const INSERT: &str = "\
    INSERT INTO aqueduct.schema_snapshot (thing, object, of_table, definition, \"set\", file) \
    SELECT n.* FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), \
                               pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[])) AS n \
    ON CONFLICT (thing, object) DO UPDATE SET of_table = excluded.of_table, definition = excluded.definition, \
        \"set\" = excluded.\"set\", file = excluded.file, noted_at = pg_catalog.clock_timestamp()";

async fn exists(connection: &Connection) -> Result<bool, Error> {
    Ok(connection.row("look for aqueduct.schema_snapshot", EXISTS, &[]).await?.get(0))
}

/// What is noted; none where the table is not there yet. Notes of kinds that a newer version knows are left out.
pub(super) async fn load(connection: &Connection) -> Result<Option<Notes>, Error> {
    if !exists(connection).await? {
        return Ok(None);
    }
    let rows = connection.rows("read aqueduct.schema_snapshot", LOAD, &[]).await?;
    let notes = rows.iter().filter_map(|row| {
        let key = Key { thing: Thing::parse(row.get(0))?, object: row.get(1) };
        Some((key, Note { table: row.get(2), definition: row.get(3), set: row.get(4), file: row.get(5) }))
    });
    Ok(Some(Notes(notes.collect())))
}

/// Makes what is stored, `stored`, into `notes`. Where the table is not there yet nothing is, and its own migration brings
/// all that were made before it; gives what is stored then.
pub(super) async fn save(connection: &Connection, stored: &Notes, notes: &Notes) -> Result<Notes, Error> {
    if stored == notes || !exists(connection).await? {
        return Ok(stored.clone());
    }
    let gone = || stored.0.keys().filter(|key| !notes.0.contains_key(key));
    let things: Vec<&str> = gone().map(|key| key.thing.word()).collect();
    let objects: Vec<&str> = gone().map(|key| key.object.as_str()).collect();
    let params: [&(dyn ToSql + Sync); 2] = [&things, &objects];
    connection.hits("forget what a migration dropped", DELETE, &params).await?;
    let new: Vec<(&Key, &Note)> =
        notes.0.iter().filter(|(key, note)| stored.0.get(key) != Some(note)).collect();
    let things: Vec<&str> = new.iter().map(|(key, _)| key.thing.word()).collect();
    let objects: Vec<&str> = new.iter().map(|(key, _)| key.object.as_str()).collect();
    let tables: Vec<Option<&str>> = new.iter().map(|(_, note)| note.table.as_deref()).collect();
    let definitions: Vec<&str> = new.iter().map(|(_, note)| note.definition.as_str()).collect();
    let sets: Vec<&str> = new.iter().map(|(_, note)| note.set.as_str()).collect();
    let files: Vec<Option<&str>> = new.iter().map(|(_, note)| note.file.as_deref()).collect();
    let params: [&(dyn ToSql + Sync); 6] = [&things, &objects, &tables, &definitions, &sets, &files];
    connection.hits("note what a migration made", INSERT, &params).await?;
    Ok(notes.clone())
}
