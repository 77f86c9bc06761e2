//! Every statement that names a user's table or columns, built here and nowhere else.
//!
//! Invariant: whatever varies is an [`Identifier`] or a [`TableName`]; no value is ever part of a text.

use super::identifier::{Identifier, TableName};
use super::rollups::Rollup;
use aqueduct_topology::model::Aggregate;
use std::fmt::Write;

fn list(names: &[Identifier]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(text, "{comma}{name}").expect("invariant: writing to a string succeeds");
    }
    text
}

fn join(parts: &[&dyn std::fmt::Display]) -> String {
    let mut text = String::new();
    for part in parts {
        write!(text, "{part}").expect("invariant: writing to a string succeeds");
    }
    text
}

/// COPY into `columns` of `table`.
pub fn copy_in(table: &TableName, columns: &[Identifier]) -> String {
    join(&[&"COPY ", table, &" (", &list(columns), &") FROM STDIN (FORMAT binary)"])
}

/// COPY into the staging table of this session.
pub fn copy_in_staging(columns: &[Identifier]) -> String {
    join(&[&"COPY pg_temp.aqueduct_staging (", &list(columns), &") FROM STDIN (FORMAT binary)"])
}

/// The staging table: the `columns` of `table`, with their types, emptied at each commit.
pub fn create_staging(table: &TableName, columns: &[Identifier]) -> String {
    join(&[
        &"CREATE TEMP TABLE aqueduct_staging ON COMMIT DELETE ROWS AS SELECT ",
        &list(columns),
        &" FROM ",
        table,
        &" WITH NO DATA",
    ])
}

/// Moves what is staged into `table`, except rows whose `unique` columns are there already. Ordered, so that two
/// writers take the index's locks in one order.
pub fn insert_staged(table: &TableName, columns: &[Identifier], unique: &[Identifier]) -> String {
    let columns = list(columns);
    let unique = list(unique);
    join(&[
        &"INSERT INTO ",
        table,
        &" (",
        &columns,
        &") SELECT ",
        &columns,
        &" FROM pg_temp.aqueduct_staging ORDER BY ",
        &unique,
        &" ON CONFLICT (",
        &unique,
        &") DO NOTHING",
    ])
}

/// Numbers staged rows in the order in which they came.
pub const NUMBER_STAGED: &str = "\
    ALTER TABLE pg_temp.aqueduct_staging ADD COLUMN aqueduct_staged int8 GENERATED ALWAYS AS IDENTITY";

/// Which row takes the place of another of its key.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    /// The business key.
    pub key: &'a [Identifier],
    /// Its columns that may be NULL: a key with one equals no other.
    pub nullable: &'a [Identifier],
    /// A row gives way only to one that is not lower by this.
    pub order_by: Option<&'a Identifier>,
}

/// Moves what is staged into `table`: of each key the last row to come, or the highest in the order, in place of the one that
/// is there. By the key, so that two writers take the index's locks in one order.
pub fn replace_staged(table: &TableName, columns: &[Identifier], replacement: Replacement<'_>) -> String {
    let Replacement { key, nullable, order_by } = replacement;
    let alone: Vec<String> = nullable.iter().map(|name| join(&[&"s.", name, &" IS NULL"])).collect();
    let mut keys = qualified_by("s", key);
    if !alone.is_empty() {
        keys.push_str(&join(&[&", CASE WHEN ", &alone.join(" OR "), &" THEN s.aqueduct_staged END"]));
    }
    let order = order_by.map_or(String::new(), |order| join(&[&"s.", order, &" DESC, "]));
    let set: Vec<String> = columns
        .iter()
        .filter(|column| !key.contains(column))
        .map(|column| join(&[column, &" = excluded.", column]))
        .collect();
    let action = match set.is_empty() {
        true => "NOTHING".to_owned(),
        false => join(&[&"UPDATE SET ", &set.join(", ")]),
    };
    let unless_newer = order_by.filter(|_| !set.is_empty()).map_or(String::new(), |order| {
        join(&[&" WHERE t.", order, &" IS NULL OR excluded.", order, &" >= t.", order])
    });
    join(&[
        &"INSERT INTO ",
        table,
        &" AS t (",
        &list(columns),
        &") SELECT DISTINCT ON (",
        &keys,
        &") ",
        &qualified_by("s", columns),
        &" FROM pg_temp.aqueduct_staging AS s ORDER BY ",
        &keys,
        &", ",
        &order,
        &"s.aqueduct_staged DESC ON CONFLICT (",
        &list(key),
        &") DO ",
        &action,
        &unless_newer,
    ])
}

/// Moves what is staged into `table`, except rows whose `key`, of which `time` is a part, is there already: for a table that
/// has no unique index over it. Of rows that are staged with one key, one is taken.
pub fn insert_absent(
    table: &TableName,
    columns: &[Identifier],
    key: &[Identifier],
    time: &Identifier,
) -> String {
    let keys = qualified_by("s", key);
    join(&[
        &"INSERT INTO ",
        table,
        &" (",
        &list(columns),
        &") SELECT DISTINCT ON (",
        &keys,
        &") ",
        &qualified_by("s", columns),
        &" FROM pg_temp.aqueduct_staging AS s WHERE ",
        &is_absent(table, key, Some(time)),
        &" ORDER BY ",
        &keys,
    ])
}

/// Whether the staged row `s` is not in `table`, by `key`: by an index, or, with a `time`, looked up.
fn is_absent(table: &TableName, key: &[Identifier], time: Option<&Identifier>) -> String {
    let equals = if time.is_some() { " IS NOT DISTINCT FROM s." } else { " = s." };
    let same: Vec<String> = key.iter().map(|name| join(&[&"t.", name, &equals, name])).collect();
    let same = same.join(" AND ");
    let Some(time) = time else {
        return join(&[&"NOT EXISTS (SELECT FROM ", table, &" AS t WHERE ", &same, &")"]);
    };
    // The bounds keep it off every other chunk; equal times let it use their indexes.
    join(&[
        &"NOT EXISTS (SELECT FROM ",
        table,
        &" AS t WHERE t.",
        time,
        &" = s.",
        time,
        &" AND ",
        &same,
        &" AND t.",
        time,
        &" >= (SELECT pg_catalog.min(b.",
        time,
        &") FROM pg_temp.aqueduct_staging AS b) AND t.",
        time,
        &" <= (SELECT pg_catalog.max(b.",
        time,
        &") FROM pg_temp.aqueduct_staging AS b))",
    ])
}

/// The keys that were judged in this session.
pub fn create_judged(table: &TableName, key: &[Identifier]) -> String {
    join(&[
        &"CREATE TEMP TABLE aqueduct_judged AS SELECT ",
        &list(key),
        &" FROM ",
        table,
        &" WITH NO DATA; CREATE UNIQUE INDEX ON pg_temp.aqueduct_judged (",
        &list(key),
        &")",
    ])
}

/// Notes the keys of staged rows that are neither noted nor in `table`, if one is named; a `time` says that they are looked up.
pub fn judge(table: Option<&TableName>, key: &[Identifier], time: Option<&Identifier>) -> String {
    let absent = table.map_or(String::new(), |table| [" WHERE ", &is_absent(table, key, time)].concat());
    join(&[
        &"INSERT INTO pg_temp.aqueduct_judged (",
        &list(key),
        &") SELECT ",
        &qualified_by("s", key),
        &" FROM pg_temp.aqueduct_staging AS s",
        &absent,
        &" ON CONFLICT DO NOTHING",
    ])
}

/// How many rows have `time` from $1 on and before $2.
pub fn count_between(table: &TableName, time: &Identifier) -> String {
    let (from, before) = (&" >= $1 AND ", &" < $2");
    join(&[&"SELECT pg_catalog.count(*) FROM ", table, &" WHERE ", time, from, time, before])
}

/// Deletes the rows that have `time` from $1 on and before $2.
pub fn delete_between(table: &TableName, time: &Identifier) -> String {
    join(&[&"DELETE FROM ", table, &" WHERE ", time, &" >= $1 AND ", time, &" < $2"])
}

/// The newest row of each `key` by `order`, each of `columns` as the type beside it, at event times from $1 to before $2
/// if there is a `time`.
pub fn newest_rows(
    table: &TableName,
    columns: &[(Identifier, &'static str)],
    key: &[Identifier],
    (order, time): (&Identifier, Option<&Identifier>),
) -> String {
    let cells: Vec<String> =
        columns.iter().map(|(name, kind)| join(&[name, &"::", kind, &" AS ", name])).collect();
    let mut text = String::from("SELECT ");
    if !key.is_empty() {
        text.push_str(&join(&[&"DISTINCT ON (", &qualified(key), &") "]));
    }
    text.push_str(&join(&[&cells.join(", "), &" FROM ", table, &" AS t WHERE t.", order, &" IS NOT NULL"]));
    for name in key {
        text.push_str(&join(&[&" AND t.", name, &" IS NOT NULL"]));
    }
    if let Some(time) = time {
        text.push_str(&join(&[&" AND t.", time, &" >= $1 AND t.", time, &" < $2"]));
    }
    text.push_str(" ORDER BY ");
    if !key.is_empty() {
        text.push_str(&join(&[&qualified(key), &", "]));
    }
    text.push_str(&join(&[&"t.", order, &" DESC"]));
    if key.is_empty() {
        text.push_str(" LIMIT 1");
    }
    text
}

/// The last $2 rows by `time` before $1, newest first, each of `columns` as the type beside it.
pub fn rows_before(table: &TableName, columns: &[(Identifier, &'static str)], time: &Identifier) -> String {
    let cells: Vec<String> =
        columns.iter().map(|(name, kind)| join(&[name, &"::", kind, &" AS ", name])).collect();
    let columns = cells.join(", ");
    join(&[
        &"SELECT ",
        &columns,
        &" FROM ",
        table,
        &" AS t WHERE t.",
        time,
        &" < $1 ORDER BY t.",
        time,
        &" DESC LIMIT $2",
    ])
}

/// Of the table itself, not of the output column of that name.
fn qualified(names: &[Identifier]) -> String {
    qualified_by("t", names)
}

fn qualified_by(of: &str, names: &[Identifier]) -> String {
    names.iter().map(|name| join(&[&of, &".", name])).collect::<Vec<_>>().join(", ")
}

/// The newest `time` before $1.
pub fn newest_time_before(table: &TableName, time: &Identifier) -> String {
    join(&[&"SELECT max(", time, &") FROM ", table, &" WHERE ", time, &" < $1"])
}

/// The oldest `time`.
pub fn oldest_time(table: &TableName, time: &Identifier) -> String {
    join(&[&"SELECT min(", time, &") FROM ", table])
}

/// The oldest `time`, in microseconds, from $1 microseconds on.
pub fn oldest_time_from(table: &TableName, time: &Identifier) -> String {
    let from = " >= 'epoch'::timestamptz + $1::int8 * interval '1 microsecond'";
    join(&[
        &"SELECT (extract(epoch FROM pg_catalog.min(",
        time,
        &")) * 1000000)::int8 FROM ",
        table,
        &" WHERE ",
        time,
        &from,
    ])
}

/// Makes the rows of a roll-up anew, with a bucket of $1 microseconds, from those of event times from $2 to before $3
/// microseconds. Rows that stay as they are are left alone.
pub fn roll_up(rollup: &Rollup) -> String {
    let Rollup { source, target, time, keys, columns, .. } = rollup;
    let at = |number: &str| format!("'epoch'::timestamptz + ${number}::int8 * interval '1 microsecond'");
    let bucket = join(&[
        &"pg_catalog.date_bin($1::int8 * interval '1 microsecond', s.",
        time,
        &", 'epoch'::timestamptz)",
    ]);
    let cells = columns.iter().map(|(_, what, field)| aggregate(*what, field.as_ref(), time));
    let cells: Vec<String> =
        std::iter::once(bucket).chain(keys.iter().map(|key| join(&[&"s.", key]))).chain(cells).collect();
    let groups: Vec<String> = (1..=keys.len() + 1).map(|place| place.to_string()).collect();
    let unique: Vec<Identifier> = std::iter::once(time).chain(keys).cloned().collect();
    let made: Vec<Identifier> = columns.iter().map(|(name, _, _)| name.clone()).collect();
    let all: Vec<Identifier> = unique.iter().chain(&made).cloned().collect();
    let present: Vec<String> = keys.iter().map(|key| join(&[&" AND s.", key, &" IS NOT NULL"])).collect();
    let set: Vec<String> = made.iter().map(|name| join(&[name, &" = excluded.", name])).collect();
    join(&[
        &"INSERT INTO ",
        target,
        &" AS t (",
        &list(&all),
        &") SELECT ",
        &cells.join(", "),
        &" FROM ",
        source,
        &" AS s WHERE s.",
        time,
        &" >= ",
        &at("2"),
        &" AND s.",
        time,
        &" < ",
        &at("3"),
        &present.concat(),
        &" GROUP BY ",
        &groups.join(", "),
        &" ON CONFLICT (",
        &list(&unique),
        &") DO UPDATE SET ",
        &set.join(", "),
        &" WHERE ROW(",
        &qualified(&made),
        &") IS DISTINCT FROM ROW(",
        &qualified_by("excluded", &made),
        &")",
    ])
}

/// Of the values that are there; the first and the last by `time`, and by the value where times are equal.
fn aggregate(what: Aggregate, field: Option<&Identifier>, time: &Identifier) -> String {
    let Some(field) = field else { return "pg_catalog.count(*)".into() };
    let ordered = |order: &str| {
        let (value, at) = (join(&[&"s.", field]), join(&[&"s.", time]));
        format!(
            "(pg_catalog.array_agg({value} ORDER BY {at} {order}, {value} {order}) FILTER (WHERE {value} IS NOT NULL))[1]"
        )
    };
    let called = |name: &str| join(&[&"pg_catalog.", &name, &"(s.", field, &")"]);
    match what {
        Aggregate::First => ordered("ASC"),
        Aggregate::Last => ordered("DESC"),
        Aggregate::Min => called("min"),
        Aggregate::Max => called("max"),
        Aggregate::Sum => called("sum"),
        Aggregate::Avg => called("avg"),
        Aggregate::Count => called("count"),
    }
}

/// How many rows of `table` the planner expects with `time` from $1 on and before $2.
pub fn explain_between(table: &TableName, time: &Identifier) -> String {
    let (from, before) = (&" >= $1 AND ", &" < $2");
    join(&[&"EXPLAIN (FORMAT JSON) SELECT FROM ", table, &" WHERE ", time, from, time, before])
}

/// Empties the staging table within a transaction.
pub const EMPTY_STAGING: &str = "DELETE FROM pg_temp.aqueduct_staging";

/// One row a column of a table: name, type (a domain's own type under it), modifier, whether it refuses NULL, whether
/// something fills it when it is left out, the kind of type.
pub const TABLE_COLUMNS: &str = "\
    SELECT a.attname::text, \
           pg_catalog.format_type(a.atttypid, a.atttypmod), \
           CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END::oid, \
           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, \
           a.attnotnull, \
           a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '', \
           a.attgenerated <> '' OR a.attidentity = 'a', \
           t.typtype = 'e' \
    FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped \
      AND c.relkind IN ('r', 'p', 'v', 'f') \
    ORDER BY a.attnum";

/// Changes when one of the named columns of a table does (its name, its type, its modifier, whether it is there), and when
/// another one begins or ceases to need a value that nobody gives it.
pub const TABLE_SHAPE: &str = "\
    SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attname) \
    FROM pg_catalog.pg_attribute a \
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
      AND (a.attname = ANY ($2::text[]) \
           OR a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '')";

/// The columns of each unique index of a table, sorted.
pub const UNIQUE_KEYS: &str = "\
    SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) ORDER BY 1) \
    FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
      AND i.indexprs IS NULL";

/// What a writer still needs of its table.
pub const TABLE_PRIVILEGES: &str = "\
    SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
           pg_catalog.has_table_privilege(c.oid, 'INSERT'), \
           pg_catalog.has_table_privilege(c.oid, 'UPDATE'), \
           current_user::text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2";

/// The schema of the index of a table that was begun and never finished.
pub const INVALID_INDEX: &str = "\
    SELECT n.nspname::text \
    FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE i.indrelid = pg_catalog.to_regclass($1) AND c.relname = $2::text AND NOT i.indisvalid";

/// Drops an index that is there.
pub fn drop_index(schema: &Identifier, index: &Identifier, concurrently: bool) -> String {
    let how: &dyn std::fmt::Display = if concurrently { &"CONCURRENTLY " } else { &"" };
    join(&[&"DROP INDEX ", how, schema, &".", index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rows_are_those_of_the_table_whatever_a_cast_is_called() {
        let name = |name: &str| Identifier::new(name).unwrap();
        let (table, columns) =
            (TableName::parse("m.t").unwrap(), [(name("k\"y"), "text"), (name("p"), "text")]);
        let all = newest_rows(&table, &columns, &[name("k\"y")], (&name("ts"), Some(&name("ts"))));
        let expected =
            r#"SELECT DISTINCT ON (t."k""y") "k""y"::text AS "k""y", "p"::text AS "p" FROM "m"."t" AS t "#
                .to_owned()
                + r#"WHERE t."ts" IS NOT NULL AND t."k""y" IS NOT NULL AND t."ts" >= $1 AND t."ts" < $2 "#
                + r#"ORDER BY t."k""y", t."ts" DESC"#;
        assert_eq!(all, expected);
        let one = newest_rows(&table, &columns[1..], &[], (&name("seq"), None));
        let expected = r#"SELECT "p"::text AS "p" FROM "m"."t" AS t WHERE t."seq" IS NOT NULL ORDER BY t."seq" DESC LIMIT 1"#;
        assert_eq!(one, expected, "a key without a field is one key");
    }

    #[test]
    fn a_row_replaces_another_of_its_key_unless_that_is_newer() {
        let name = |name: &str| Identifier::new(name).unwrap();
        let (table, columns) = (TableName::parse("m.t").unwrap(), ["k", "ts", "seq", "bid"].map(name));
        let key = &columns[..2];
        let last = Replacement { key, nullable: &[], order_by: None };
        let expected =
            r#"INSERT INTO "m"."t" AS t ("k", "ts", "seq", "bid") SELECT DISTINCT ON (s."k", s."ts") "#
                .to_owned()
                + r#"s."k", s."ts", s."seq", s."bid" FROM pg_temp.aqueduct_staging AS s ORDER BY s."k", s."ts", "#
                + r#"s.aqueduct_staged DESC ON CONFLICT ("k", "ts") DO UPDATE SET "seq" = excluded."seq", "bid" = excluded."bid""#;
        assert_eq!(replace_staged(&table, &columns, last), expected);
        let newest = Replacement { nullable: &columns[..1], order_by: Some(&columns[2]), ..last };
        let text = replace_staged(&table, &columns, newest);
        for part in [
            r#"ON (s."k", s."ts", CASE WHEN s."k" IS NULL THEN s.aqueduct_staged END)"#,
            r#"END, s."seq" DESC, s.aqueduct_staged DESC"#,
            r#"WHERE t."seq" IS NULL OR excluded."seq" >= t."seq""#,
        ] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        assert!(replace_staged(&table, key, last).ends_with("DO NOTHING"), "there is nothing to replace");
    }

    #[test]
    fn names_are_quoted_wherever_they_stand() {
        let table = TableName::parse("m.t\"").unwrap();
        let columns = [Identifier::new("ts").unwrap(), Identifier::new("order").unwrap()];
        assert_eq!(copy_in(&table, &columns), r#"COPY "m"."t""" ("ts", "order") FROM STDIN (FORMAT binary)"#);
        assert_eq!(
            insert_staged(&table, &columns, &columns[..1]),
            r#"INSERT INTO "m"."t""" ("ts", "order") SELECT "ts", "order" FROM pg_temp.aqueduct_staging ORDER BY "ts" ON CONFLICT ("ts") DO NOTHING"#
        );
    }
}
