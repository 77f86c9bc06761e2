//! The only way in which a name reaches SQL: quoted.
//!
//! Invariant: an [`Identifier`] is 1 to 63 bytes long and holds no NUL, so that its quoted form names exactly it
//! (PostgreSQL would cut a longer one in silence).

use aqueduct_engine::{Class, Error};
use std::fmt;

/// Longest name PostgreSQL keeps.
const BYTES_MAX: usize = 63;

/// A name of one column, table or schema. Case matters: it is always quoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(String);

impl Identifier {
    /// `name` as it stands.
    pub fn new(name: &str) -> Result<Self, Error> {
        let wrong = if name.is_empty() {
            "is empty"
        } else if name.len() > BYTES_MAX {
            "is longer than the 63 bytes PostgreSQL keeps of a name"
        } else if name.contains('\0') {
            "holds a NUL"
        } else {
            return Ok(Self(name.to_owned()));
        };
        Err(Error::new(Class::Config, format!("name `{}` {wrong}", name.escape_debug())))
    }

    /// The name, unquoted: for comparison and messages, never for SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The quoted form, for SQL.
impl fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A table with its schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Its schema.
    pub schema: Identifier,
    /// The table itself.
    pub table: Identifier,
}

impl TableName {
    /// Reads `schema.table`; a name without a dot lies in `public`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (schema, table) = text.split_once('.').unwrap_or(("public", text));
        if table.contains('.') {
            return Err(Error::new(
                Class::Config,
                format!("table `{}` has more than one dot; write `schema.table`", text.escape_debug()),
            ));
        }
        Ok(Self { schema: Identifier::new(schema)?, table: Identifier::new(table)? })
    }

    /// `schema.table` for people.
    pub fn plain(&self) -> String {
        [self.schema.as_str(), self.table.as_str()].join(".")
    }
}

/// The quoted form, for SQL.
impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_so_that_a_name_cannot_end_early() {
        let table = TableName::parse("mar\"ket.t\"; drop table x; --").unwrap();
        assert_eq!(table.to_string(), r#""mar""ket"."t""; drop table x; --""#);
    }

    #[test]
    fn a_table_without_schema_lies_in_public() {
        assert_eq!(TableName::parse("Trades").unwrap().to_string(), r#""public"."Trades""#);
    }

    #[test]
    fn names_postgresql_would_change_are_refused() {
        assert!(Identifier::new("").is_err());
        assert!(Identifier::new("a\0b").is_err());
        assert!(Identifier::new(&"é".repeat(32)).is_err());
        assert!(Identifier::new(&"e".repeat(63)).is_ok());
        assert!(TableName::parse("a.b.c").unwrap_err().message.contains("more than one dot"));
        assert!(TableName::parse(".b").is_err());
    }
}
