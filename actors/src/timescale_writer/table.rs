//! The live table beside the rows we mean to write: which column is encoded how, and every way in which they disagree.
//!
//! Invariant: what passes here can be encoded and exactly stored; a value the database still refuses is that record's
//! fault, not the table's.

use super::array::Element;
use super::encode::Encoding;
use super::fault::Fault;
use super::parsed::Scalar;
use crate::timescale::types::sql_type;
use crate::timescale::{Connection, Identifier, TableName, limits, sql};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{Column, FieldType};
use tokio_postgres::types::{Kind, ToSql, Type};

/// How rows of the topology's columns are written into the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// The table's columns, in the row's order.
    pub(crate) columns: Vec<Identifier>,
    /// Position in the batch and encoding, by column.
    pub(crate) encodings: Vec<(usize, Encoding)>,
}

/// One column of the live table.
#[derive(Clone, Debug)]
struct Live {
    name: String,
    /// As PostgreSQL writes it, for messages.
    written: String,
    base: Type,
    modifier: i32,
    refuses_null: bool,
    filled: bool,
    read_only: bool,
    is_enum: bool,
}

/// What a business key asks of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// Columns with a unique index; empty = none is asked for.
    pub(crate) indexed: &'a [Identifier],
    /// Rows are replaced.
    pub(crate) replaces: bool,
}

/// How `columns` are written into the live `table`; an error if they cannot be.
pub(super) async fn check(
    connection: &Connection,
    table: &TableName,
    columns: &[Column],
    key: Key<'_>,
) -> Result<Plan, Error> {
    let (plan, faults) = inspect(connection, table, columns, key).await?;
    refused(table, &faults).map_or(Ok(plan), Err)
}

/// Compares `columns` with the live `table`: how they are written there, and everything that is wrong.
pub(crate) async fn inspect(
    connection: &Connection,
    table: &TableName,
    columns: &[Column],
    key: Key<'_>,
) -> Result<(Plan, Vec<Fault>), Error> {
    let live = read(connection, table).await?;
    if live.is_empty() {
        return Ok((Plan::default(), vec![Fault::NoTable]));
    }
    let (plan, mut faults) = compare(columns, &live)?;
    faults.extend(privileges(connection, table, key.replaces).await?);
    if !key.indexed.is_empty() {
        faults.extend(unique_index(connection, table, key.indexed).await?);
    }
    Ok((plan, faults))
}

/// The error of what is fatal among `faults`: the columns in one sentence, anything else in its own.
fn refused(table: &TableName, faults: &[Fault]) -> Option<Error> {
    let fatal = || faults.iter().filter(|fault| fault.is_fatal());
    let alone =
        |fault: &&Fault| matches!(fault, Fault::NoTable | Fault::Forbidden { .. } | Fault::NoUnique { .. });
    let columns: Vec<String> = fatal().filter(|fault| !alone(fault)).map(ToString::to_string).collect();
    if columns.is_empty() {
        return fatal().find(alone).map(|fault| config(fault.about(table)));
    }
    Some(config(format!(
        "table `{}` does not fit the topology: {}; `aqueduct migrate new FILE` shows the table the topology needs",
        table.plain(),
        columns.join("; ")
    )))
}

/// Compares `columns` with a table that has them, except where `declared` gives one another type.
pub(crate) fn fit(
    table: &TableName,
    columns: &[Column],
    declared: &[(String, FieldType)],
) -> Result<Plan, Error> {
    let live = |column: &Column| {
        let own = declared.iter().find(|(name, _)| *name == column.name);
        Live::of(&column.name, own.map_or(column.kind, |(_, kind)| *kind))
    };
    let (plan, faults) = compare(columns, &columns.iter().map(live).collect::<Vec<_>>())?;
    refused(table, &faults).map_or(Ok(plan), Err)
}

impl Live {
    /// The column that a migration makes for a field of that type.
    fn of(name: &str, kind: FieldType) -> Self {
        let (base, modifier) = match kind {
            FieldType::Text => (Type::TEXT, -1),
            FieldType::Int64 => (Type::INT8, -1),
            FieldType::Float64 => (Type::FLOAT8, -1),
            FieldType::Decimal { precision, scale } => {
                (Type::NUMERIC, (i32::from(precision) << 16 | i32::from(scale)) + 4)
            }
            FieldType::Bool => (Type::BOOL, -1),
            FieldType::Timestamp => (Type::TIMESTAMPTZ, -1),
            FieldType::Json => (Type::JSONB, -1),
        };
        let (refuses_null, filled, read_only, is_enum) = (false, false, false, false);
        let (name, written) = (name.to_owned(), sql_type(kind).to_string());
        Self { name, written, base, modifier, refuses_null, filled, read_only, is_enum }
    }
}

async fn read(connection: &Connection, table: &TableName) -> Result<Vec<Live>, Error> {
    let (schema, name) = (table.schema.as_str(), table.table.as_str());
    let doing = format!("read the columns of `{}`", table.plain());
    let rows = connection
        .within(
            &doing,
            limits::STATEMENT_WAIT_MAX,
            connection.client().query(sql::TABLE_COLUMNS, &[&schema, &name]),
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Live {
            name: row.get(0),
            written: row.get(1),
            base: Type::from_oid(row.get(2)).unwrap_or(Type::UNKNOWN),
            modifier: row.get(3),
            refuses_null: row.get(4),
            filled: row.get(5),
            read_only: row.get(6),
            is_enum: row.get(7),
        })
        .collect())
}

fn compare(columns: &[Column], live: &[Live]) -> Result<(Plan, Vec<Fault>), Error> {
    let mut faults = Vec::new();
    let mut plan = Plan::default();
    for (index, column) in columns.iter().enumerate() {
        let name = || column.name.clone();
        match live.iter().find(|live| live.name == column.name) {
            None => faults.push(Fault::NoColumn { column: name(), needed: sql_type(column.kind) }),
            Some(found) if found.read_only => faults.push(Fault::ReadOnly { column: name() }),
            Some(found) => match encoding(column.kind, found) {
                Some(encoding) => {
                    plan.columns.push(Identifier::new(&column.name)?);
                    plan.encodings.push((index, encoding));
                    if column.nullable && found.refuses_null {
                        faults.push(Fault::RefusesNull { column: name() });
                    }
                    if encoding == Encoding::Float4 {
                        faults.push(Fault::FewDigits { column: name() });
                    }
                }
                None => faults.push(Fault::Type {
                    column: name(),
                    found: found.written.clone(),
                    field: column.kind.to_string(),
                    needed: sql_type(column.kind),
                }),
            },
        }
    }
    let unfilled = live.iter().filter(|live| live.refuses_null && !live.filled);
    let unfilled = unfilled.filter(|live| !columns.iter().any(|column| column.name == live.name));
    faults.extend(unfilled.map(|live| Fault::Unfilled { column: live.name.clone() }));
    Ok((plan, faults))
}

/// How a field is written into a column of that type; `None` = not, or not exactly.
fn encoding(field: FieldType, live: &Live) -> Option<Encoding> {
    let base = &live.base;
    let textual = [Type::TEXT, Type::VARCHAR, Type::BPCHAR].contains(base) || live.is_enum;
    Some(match field {
        FieldType::Text if textual => Encoding::Text,
        FieldType::Json if *base == Type::JSONB => Encoding::Jsonb,
        FieldType::Json if *base == Type::JSON || *base == Type::TEXT => Encoding::Text,
        FieldType::Text => Encoding::Parsed(read_from_text(base)?),
        FieldType::Json if matches!(base.kind(), Kind::Array(_)) => Encoding::Array(element(live)?),
        FieldType::Int64 if *base == Type::INT8 => Encoding::Int8,
        FieldType::Int64 if *base == Type::INT4 => Encoding::Narrow(Scalar::Int4),
        FieldType::Int64 if *base == Type::INT2 => Encoding::Narrow(Scalar::Int2),
        FieldType::Int64 if *base == Type::NUMERIC && holds(live.modifier, 19, 0) => Encoding::Int8AsNumeric,
        FieldType::Float64 if *base == Type::FLOAT8 => Encoding::Float8,
        FieldType::Float64 if *base == Type::FLOAT4 => Encoding::Float4,
        FieldType::Bool if *base == Type::BOOL => Encoding::Bool,
        FieldType::Timestamp if *base == Type::TIMESTAMPTZ || *base == Type::TIMESTAMP => {
            Encoding::Timestamptz
        }
        FieldType::Decimal { scale, .. } if *base == Type::NUMERIC && holds(live.modifier, 0, scale) => {
            Encoding::Numeric { scale }
        }
        _ => return None,
    })
}

/// A type whose values a text carries as people write them.
fn read_from_text(base: &Type) -> Option<Scalar> {
    Some(match *base {
        Type::UUID => Scalar::Uuid,
        Type::DATE => Scalar::Date,
        Type::TIME => Scalar::Time,
        Type::TIMESTAMP => Scalar::Timestamp,
        Type::INTERVAL => Scalar::Interval,
        Type::INET => Scalar::Inet,
        Type::CIDR => Scalar::Cidr,
        Type::BYTEA => Scalar::Bytea,
        _ => return None,
    })
}

/// The elements of an array column, as far as a JSON array can be written into it.
fn element(live: &Live) -> Option<Element> {
    let Kind::Array(of) = live.base.kind() else { return None };
    let scalar = match *of {
        Type::BOOL => Scalar::Bool,
        Type::INT2 => Scalar::Int2,
        Type::INT4 => Scalar::Int4,
        Type::INT8 => Scalar::Int8,
        Type::FLOAT4 => Scalar::Float4,
        Type::FLOAT8 => Scalar::Float8,
        Type::NUMERIC => Scalar::Numeric(digits_kept(live.modifier)?),
        Type::TEXT | Type::VARCHAR => Scalar::Text,
        _ => read_from_text(of)?,
    };
    Some(Element { scalar, oid: of.oid() })
}

/// How many digits after the point `numeric` with this type modifier keeps, the inner `None` = any; the outer: it rounds
/// before the point.
fn digits_kept(modifier: i32) -> Option<Option<u8>> {
    if modifier < 4 {
        return Some(None);
    }
    u8::try_from(scale_of(modifier)).ok().map(Some)
}

/// Eleven bits, signed: PostgreSQL knows negative scales.
fn scale_of(modifier: i32) -> i32 {
    (((modifier - 4) & 0x7ff) ^ 1024) - 1024
}

/// Whether `numeric` with this type modifier keeps `scale` digits after the point (PostgreSQL would round in silence)
/// and `integer` before it. Fewer digits before the point than a decimal field may have are no fault of the table:
/// a value that is too large is refused, loudly.
fn holds(modifier: i32, integer: i32, scale: u8) -> bool {
    if modifier < 4 {
        return true;
    }
    let precision = (modifier - 4) >> 16 & 0xffff;
    let kept = scale_of(modifier);
    kept >= i32::from(scale) && precision - kept >= integer
}

async fn privileges(
    connection: &Connection,
    table: &TableName,
    replaces: bool,
) -> Result<Option<Fault>, Error> {
    let (schema, name) = (table.schema.as_str(), table.table.as_str());
    let doing = format!("read the privileges on `{}`", table.plain());
    let params: [&(dyn ToSql + Sync); 2] = [&schema, &name];
    let answer = connection.client().query_opt(sql::TABLE_PRIVILEGES, &params);
    let row = connection.within(&doing, limits::STATEMENT_WAIT_MAX, answer).await?;
    let Some(row) = row else { return Ok(None) };
    let (usage, insert, update): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let may = usage && insert && (update || !replaces);
    let needed = if replaces { "INSERT, SELECT and UPDATE" } else { "INSERT and SELECT" };
    Ok((!may).then(|| Fault::Forbidden { user: row.get(3), needed }))
}

async fn unique_index(
    connection: &Connection,
    table: &TableName,
    unique: &[Identifier],
) -> Result<Option<Fault>, Error> {
    let (schema, name) = (table.schema.as_str(), table.table.as_str());
    let doing = format!("read the unique indexes of `{}`", table.plain());
    let params: [&(dyn ToSql + Sync); 2] = [&schema, &name];
    let answer = connection.client().query(sql::UNIQUE_KEYS, &params);
    let rows = connection.within(&doing, limits::STATEMENT_WAIT_MAX, answer).await?;
    let mut wanted: Vec<String> = unique.iter().map(|name| name.as_str().to_owned()).collect();
    wanted.sort();
    let found = rows.iter().any(|row| row.get::<_, Vec<String>>(0) == wanted);
    Ok((!found).then_some(Fault::NoUnique { columns: wanted }))
}

fn config(message: String) -> Error {
    Error::new(Class::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(name: &str, base: Type, modifier: i32) -> Live {
        let written = base.name().to_owned();
        let (refuses_null, filled, read_only, is_enum) = (false, false, false, false);
        Live { name: name.into(), written, base, modifier, refuses_null, filled, read_only, is_enum }
    }

    fn column(name: &str, kind: FieldType) -> Column {
        Column { name: name.into(), kind, nullable: false }
    }

    /// numeric(p,s) as PostgreSQL keeps it.
    fn modifier(precision: i32, scale: i32) -> i32 {
        (precision << 16 | scale & 0x7ff) + 4
    }

    const PRICE: FieldType = FieldType::Decimal { precision: 18, scale: 8 };

    #[test]
    fn columns_are_matched_by_name_in_the_rows_order() {
        let table = TableName::parse("m.t").unwrap();
        let columns = [column("ts", FieldType::Timestamp), column("price", PRICE)];
        let live = [
            live("price", Type::NUMERIC, modifier(18, 8)),
            live("note", Type::TEXT, -1),
            live("ts", Type::TIMESTAMPTZ, -1),
        ];
        let (plan, faults) = compare(&columns, &live).unwrap();
        assert_eq!(refused(&table, &faults).map(|error| error.message), None);
        assert_eq!(plan.encodings, [(0, Encoding::Timestamptz), (1, Encoding::Numeric { scale: 8 })]);
    }

    #[test]
    fn a_mismatch_names_table_column_both_types_and_the_remedy() {
        let table = TableName::parse("m.t").unwrap();
        let (_, faults) = compare(&[column("price", PRICE)], &[live("price", Type::FLOAT8, -1)]).unwrap();
        let error = refused(&table, &faults).unwrap();
        assert_eq!(error.class, Class::Config);
        for word in ["`m.t`", "`price`", "float8", "decimal(18,8)", "make the column numeric(18,8)"] {
            assert!(error.message.contains(word), "{error} lacks {word}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let table = TableName::parse("m.t").unwrap();
        let mut venue = live("venue", Type::TEXT, -1);
        venue.refuses_null = true;
        let mut total = live("total", Type::INT8, -1);
        total.read_only = true;
        let columns = [column("missing", FieldType::Text), column("total", FieldType::Int64)];
        let (_, faults) = compare(&columns, &[venue, total]).unwrap();
        let message = refused(&table, &faults).unwrap().message;
        assert!(message.contains("no column `missing`") && message.contains("`missing text`"), "{message}");
        assert!(message.contains("`total` is generated"), "{message}");
        assert!(message.contains("`venue` refuses NULL"), "{message}");
    }

    #[test]
    fn a_field_that_may_be_null_is_a_fault_of_some_rows_only() {
        let table = TableName::parse("m.t").unwrap();
        let mut side = live("side", Type::TEXT, -1);
        side.refuses_null = true;
        let optional = Column { nullable: true, ..column("side", FieldType::Text) };
        let (plan, faults) = compare(&[optional], &[side]).unwrap();
        assert_eq!(faults, [Fault::RefusesNull { column: "side".into() }]);
        assert_eq!((plan.columns.len(), refused(&table, &faults).is_none()), (1, true));
    }

    #[test]
    fn a_numeric_that_would_round_is_no_place_for_a_decimal() {
        assert!(holds(-1, 19, 8), "numeric without modifier holds everything");
        assert!(holds(modifier(18, 8), 0, 8));
        assert!(!holds(modifier(18, 4), 0, 8), "digits would be rounded away in silence");
        assert!(!holds(modifier(5, -2), 0, 0), "tens would be rounded away in silence");
        assert!(holds(modifier(9, 8), 0, 8), "a value too large is refused loudly");
        assert!(!holds(modifier(18, 0), 19, 0), "an int64 has 19 digits");
    }

    #[test]
    fn narrower_and_vaguer_types_are_refused() {
        for (field, base) in [
            (FieldType::Int64, Type::FLOAT8),
            (FieldType::Float64, Type::NUMERIC),
            (FieldType::Timestamp, Type::DATE),
            (FieldType::Json, Type::JSON_ARRAY),
            (FieldType::Text, Type::JSONB),
            (FieldType::Bool, Type::INT8),
        ] {
            assert_eq!(encoding(field, &live("x", base.clone(), -1)), None, "{field:?} into {base}");
        }
        assert_eq!(encoding(FieldType::Json, &live("x", Type::JSONB, -1)), Some(Encoding::Jsonb));
        let rounds = live("x", Type::NUMERIC_ARRAY, modifier(5, -2));
        assert_eq!(encoding(FieldType::Json, &rounds), None, "tens would be rounded away in silence");
    }
}
