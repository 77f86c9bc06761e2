//! Whether what is declared of a table's life is what the live one has, and whether its schedule may drop.

use super::Inquiry;
use crate::timescale::retention::{Edition, interval};
use crate::timescale::{Connection, TableName};
use aqueduct_engine::Error;
use aqueduct_topology::model::{Kind, TimescaleWriter, Work};
use aqueduct_topology::{Code, Diagnostic, Span};
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// Of a hypertable: the edition, what a new chunk spans, what a policy of the server drops. No row where it is none.
const LIVE: &str = "\
    SELECT coalesce(pg_catalog.current_setting('timescaledb.license', true), ''), \
           (extract(epoch FROM d.time_interval) * 1000000)::int8, \
           (SELECT j.config ->> 'drop_after' FROM timescaledb_information.jobs AS j \
            WHERE j.proc_name = 'policy_retention' AND j.hypertable_schema = $1 AND j.hypertable_name = $2 LIMIT 1) \
    FROM timescaledb_information.dimensions AS d \
    WHERE d.hypertable_schema = $1 AND d.hypertable_name = $2 AND d.dimension_number = 1";

/// Whether we may ask for a drop, and whether whoever carries it out may. No row before the migration.
const MAY_DROP: &str = "\
    SELECT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') \
               AND pg_catalog.has_schema_privilege(p.pronamespace, 'USAGE'), \
           current_user::text, \
           (SELECT pg_catalog.pg_has_role(p.proowner, c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c \
            WHERE c.oid = pg_catalog.to_regclass($1)), \
           pg_catalog.pg_get_userbyid(p.proowner)::text \
    FROM pg_catalog.pg_proc AS p \
    WHERE p.oid = pg_catalog.to_regprocedure('aqueduct.drop_past(text, text, text, text, interval, timestamptz)')";

/// Asks about every table with a policy.
pub(super) async fn ask(inquiry: &Inquiry<'_>, connection: &Connection) -> Result<(), Error> {
    let schedule = inquiry.topology.schedules(Work::Retention).map(|(actor, _)| actor.name.span).next();
    for actor in &inquiry.topology.actors {
        let Kind::TimescaleWriter(writer) = &actor.kind else { continue };
        if writer.policy.is_empty() {
            continue;
        }
        let table = TableName::parse(&writer.table.value)?;
        let (schema, name) = (table.schema.as_str(), table.table.as_str());
        let params: [&(dyn ToSql + Sync); 2] = [&schema, &name];
        let rows = connection.rows("read the policies of a table", LIVE, &params).await?;
        let Some(row) = rows.first() else { continue };
        let live =
            Live { edition: Edition::of(row.get(0)), interval_us: row.get(1), drops_after: row.get(2) };
        judge(writer, &live).into_iter().for_each(|finding| inquiry.report(finding));
        if let (Some(_), Some(place)) = (&writer.policy.retention, schedule) {
            may_drop(inquiry, connection, &table, place).await?;
        }
    }
    Ok(())
}

struct Live {
    edition: Edition,
    interval_us: Option<i64>,
    drops_after: Option<String>,
}

fn judge(writer: &TimescaleWriter, live: &Live) -> Vec<Diagnostic> {
    let (table, policy) = (&writer.table.value, &writer.policy);
    let mut found = Vec::new();
    if let (Some(wanted), Some(is)) = (&policy.chunk_interval, live.interval_us)
        && wanted.value.as_micros() != is.max(0) as u128
    {
        let (is, wanted_words) = (interval(Duration::from_micros(is.max(0) as u64)), interval(wanted.value));
        let message = format!("new chunks of `{table}` span {is}, and `chunk_interval` is {wanted_words}");
        let finding = Diagnostic::warning(Code::UnfitChunks, wanted.span, message);
        found.push(finding.help(format!(
            "`SELECT set_chunk_time_interval('{table}', INTERVAL '{wanted_words}')` for chunks to come, in a new migration"
        )));
    }
    if let Some(after) = &live.drops_after {
        let span = policy.retention.as_ref().map_or(writer.table.span, |said| said.span);
        let message = format!("a policy of the server drops chunks of `{table}` after {after}");
        let finding = Diagnostic::warning(Code::UnfitChunks, span, message);
        found.push(
            finding
                .label("it knows no legal hold, and leaves no evidence")
                .help(format!("`SELECT remove_retention_policy('{table}')`: a schedule drops what is older")),
        );
    }
    if let Some(after) = policy.compress_after.as_ref().filter(|_| !live.edition.compresses()) {
        let edition = live.edition.word();
        let message = format!("nothing is compressed: the server runs the {edition} edition of TimescaleDB");
        let finding = Diagnostic::warning(Code::Unlicensed, after.span, message);
        found.push(finding.help(
            "use the Timescale edition (`timescaledb.license = timescale`), or leave `compress_after` out",
        ));
    }
    found
}

async fn may_drop(
    inquiry: &Inquiry<'_>,
    connection: &Connection,
    table: &TableName,
    place: Span,
) -> Result<(), Error> {
    let quoted = table.to_string();
    let rows = connection.rows("read the privilege to drop", MAY_DROP, &[&quoted]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (may_ask, user, may_drop, owner): (bool, String, Option<bool>, String) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if !may_ask {
        let message = format!("user `{user}` may not drop what is past its retention");
        let finding = Diagnostic::error(Code::NoPrivilege, place, message);
        inquiry.report(finding.help("`GRANT aqueduct_retention TO` it"));
    }
    if may_drop == Some(false) {
        let message =
            format!("`{owner}`, who owns schema aqueduct, may not drop chunks of `{}`", table.plain());
        let finding = Diagnostic::error(Code::NoPrivilege, place, message);
        inquiry.report(
            finding.help(format!("let one role own both: `ALTER TABLE {} OWNER TO {owner}`", table.plain())),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::{Source, load};

    fn findings(policy: &str, live: &Live) -> Vec<(Code, String)> {
        let text = format!(
            "topology: t\nconnections: {{ kafka: {{ bootstrap: \"k:1\" }}, timescale: {{ url: \"postgres://d/d\" }} }}\nactors:\n  \
             a: {{ kind: kafka_source, topic: x }}\n  b: {{ kind: normalizer, from: a, fields: {{ ts: {{ type: timestamp, path: /t }} }} }}\n  \
             c: {{ kind: timescale_writer, from: b, table: m.t{policy} }}\n"
        );
        let (topology, found) = load(&Source::new("t.yaml", text), &|_| None);
        let topology = topology.unwrap_or_else(|| panic!("{found:?}"));
        let Some(Kind::TimescaleWriter(writer)) = topology.actor("c").map(|actor| &actor.kind) else {
            panic!()
        };
        judge(writer, live).into_iter().map(|finding| (finding.code, finding.message)).collect()
    }

    #[test]
    fn what_the_server_has_otherwise_is_said() {
        let apache =
            Live { edition: Edition::Apache, interval_us: Some(7 * 86_400_000_000), drops_after: None };
        let policy = ", retention: 90d, chunk_interval: 1d, compress_after: 7d";
        let found = findings(policy, &apache);
        assert_eq!(
            found[0],
            (Code::UnfitChunks, "new chunks of `m.t` span 7 days, and `chunk_interval` is 1 day".into())
        );
        assert_eq!((found[1].0, found.len()), (Code::Unlicensed, 2));
        let able = Live {
            edition: Edition::Timescale,
            interval_us: Some(86_400_000_000),
            drops_after: Some("30 days".into()),
        };
        let found = findings(policy, &able);
        assert_eq!(
            found,
            [(Code::UnfitChunks, "a policy of the server drops chunks of `m.t` after 30 days".into())]
        );
        assert_eq!(findings("", &apache), []);
    }
}
