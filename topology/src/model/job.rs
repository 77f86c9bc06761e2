//! What a schedule is told beside its beat: which table is rolled up, or exported.

use super::{Column, FieldType};
use crate::Spanned;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Precision of a decimal that holds a sum.
const SUM_PRECISION: u8 = 38;

/// Options of `run: rollup`: a table of aggregates, a row for each bucket of event time and key.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// The writer whose table is read.
    pub of: Spanned<String>,
    /// The table that is filled, `schema.table`. The bucket's beginning is in a column named like the event time.
    pub into: Spanned<String>,
    /// The event time that a bucket spans.
    pub bucket: Spanned<Duration>,
    /// The fields whose values together are a key.
    pub by: Vec<Spanned<String>>,
    /// The other columns.
    pub columns: Vec<RollupColumn>,
    /// How far an event may trail its record: buckets that far back are made again in each run.
    pub lateness: Duration,
}

/// A column of a roll-up.
#[derive(Clone, Debug, PartialEq)]
pub struct RollupColumn {
    /// Its name.
    pub name: Spanned<String>,
    /// What it is.
    pub aggregate: Aggregate,
    /// Of which field; none for `count()`.
    pub field: Option<Spanned<String>>,
}

/// `max(price)`.
impl Display for RollupColumn {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let field = self.field.as_ref().map_or("", |field| field.value.as_str());
        write!(out, "{}({field})", self.aggregate.word())
    }
}

/// What is made of the values of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// By event time.
    First,
    /// By event time.
    Last,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Exact where the field is.
    Sum,
    /// The mean of those that are there.
    Avg,
    /// Rows.
    Count,
}

impl Aggregate {
    /// The type of its value; `None` = it has none for such a field.
    pub fn of(self, field: FieldType) -> Option<FieldType> {
        let decimal = |scale: u8| FieldType::Decimal { precision: SUM_PRECISION, scale };
        match (self, field) {
            (Self::Count, _) => Some(FieldType::Int64),
            (Self::First | Self::Last, kind) => Some(kind),
            (Self::Min | Self::Max, FieldType::Bool | FieldType::Json) => None,
            (Self::Min | Self::Max, kind) => Some(kind),
            (_, FieldType::Float64) => Some(FieldType::Float64),
            (Self::Sum, FieldType::Int64) => Some(decimal(0)),
            (Self::Sum, FieldType::Decimal { scale, .. }) => Some(decimal(scale)),
            (Self::Avg, FieldType::Int64) => Some(FieldType::Float64),
            (Self::Avg, FieldType::Decimal { scale, .. }) => Some(decimal(scale)),
            (Self::Sum | Self::Avg, _) => None,
        }
    }
}

impl Rollup {
    /// The columns of the table it fills, of rows with the columns `rows` and the event time `time`.
    pub fn row(&self, rows: &[Column], time: &str) -> Vec<Column> {
        let find = |name: &str| rows.iter().find(|column| column.name == name).cloned();
        let keys = self.by.iter().filter_map(|name| find(&name.value));
        let keys = find(time).into_iter().chain(keys).map(|column| Column { nullable: false, ..column });
        let made = self.columns.iter().filter_map(|column| {
            let (kind, nullable) = match &column.field {
                None => (FieldType::Int64, false),
                Some(field) => {
                    let field = find(&field.value)?;
                    (column.aggregate.of(field.kind)?, field.nullable)
                }
            };
            Some(Column { name: column.name.value.clone(), kind, nullable })
        });
        keys.chain(made).collect()
    }
}

/// Options of `run: export`: Parquet of the days that are closed, by Spark.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The writer whose table is exported.
    pub of: Spanned<String>,
    /// The folder or address.
    pub into: Spanned<String>,
    /// The day, then columns of the table.
    pub partition_by: Vec<Spanned<String>>,
    /// How far an event may trail its record.
    pub lateness: Duration,
    /// Where Spark runs.
    pub master: String,
    /// How long one run may take.
    pub within: Duration,
}
