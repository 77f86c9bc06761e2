//! Every way in which a live table and the rows meant for it disagree.

use crate::timescale::TableName;
use std::fmt::{self, Display, Formatter};

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no such table.
    NoTable,
    /// The table lacks a column for this field.
    NoColumn { column: String, needed: String },
    /// The column is generated.
    ReadOnly { column: String },
    /// The column cannot hold the field, or not exactly.
    Type { column: String, found: String, field: String, needed: String },
    /// The column refuses NULL, has no default, and no field fills it.
    Unfilled { column: String },
    /// The column refuses NULL, and its field may have none. Rows go on; those without it are rejected.
    RefusesNull { column: String },
    /// The column is `real`. Rows go on; those with more digits are rejected.
    FewDigits { column: String },
    /// The user may not write.
    Forbidden { user: String, needed: &'static str },
    /// The business key has no unique index.
    NoUnique { columns: Vec<String> },
}

impl Fault {
    /// Whether no row could be written, or not rightly.
    pub(super) fn is_fatal(&self) -> bool {
        !matches!(self, Fault::RefusesNull { .. } | Fault::FewDigits { .. })
    }

    /// In a sentence about `table`.
    pub(super) fn about(&self, table: &TableName) -> String {
        let table = table.plain();
        match self {
            Fault::NoTable => format!(
                "table `{table}` does not exist; `aqueduct migrate new FILE` writes the migration that creates it, \
                 `aqueduct migrate up FILE` applies it"
            ),
            Fault::Forbidden { user, needed } => format!(
                "user `{user}` may not write into `{table}`: grant it USAGE on the schema and {needed} on the table"
            ),
            Fault::NoUnique { columns } => {
                let columns = columns.join(", ");
                format!(
                    "table `{table}` has no unique index over ({columns}), which `unique: [{columns}]` needs: create \
                     one, or let `aqueduct migrate new FILE` show it"
                )
            }
            other => format!("table `{table}`: {other}"),
        }
    }
}

/// What is wrong with a column, in a clause.
impl Display for Fault {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoTable => write!(out, "it does not exist"),
            Fault::NoColumn { column, needed } => {
                write!(out, "it has no column `{column}`: add `{column} {needed}`, or leave the field out")
            }
            Fault::ReadOnly { column } => {
                write!(out, "its column `{column}` is generated and cannot be written")
            }
            Fault::Type { column, found, field, needed } => write!(
                out,
                "its column `{column}` is {found}, the topology's field is {field}: make the column {needed}, or change \
                 the field's type"
            ),
            Fault::Unfilled { column } => write!(
                out,
                "its column `{column}` refuses NULL, has no default, and no field fills it: add the field, or give it a \
                 default"
            ),
            Fault::RefusesNull { column } => {
                write!(out, "its column `{column}` refuses NULL, and the field may have none")
            }
            Fault::FewDigits { column } => {
                write!(
                    out,
                    "its column `{column}` is real, and the field may have more digits than that keeps"
                )
            }
            Fault::Forbidden { user, .. } => write!(out, "user `{user}` may not write into it"),
            Fault::NoUnique { columns } => {
                write!(out, "it has no unique index over ({})", columns.join(", "))
            }
        }
    }
}
