//! The row a normalizer makes: its columns, where each is found, and what is required of it.

use crate::{Span, Spanned};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// UTF-8 without NUL; `text` in PostgreSQL.
    Text,
    /// `bigint`.
    Int64,
    /// Finite; `double precision`.
    Float64,
    /// Exact; `numeric`. Precision 1..=38, scale 0..=precision.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `boolean`.
    Bool,
    /// Microseconds UTC; `timestamptz`.
    Timestamp,
    /// The subtree, byte for byte; `jsonb`.
    Json,
}

/// As the file writes it.
impl Display for FieldType {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => out.write_str("text"),
            Self::Int64 => out.write_str("int64"),
            Self::Float64 => out.write_str("float64"),
            Self::Decimal { precision, scale } => write!(out, "decimal({precision},{scale})"),
            Self::Bool => out.write_str("bool"),
            Self::Timestamp => out.write_str("timestamp"),
            Self::Json => out.write_str("json"),
        }
    }
}

/// A column of a row that travels along an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The field's name.
    pub name: String,
    /// Its type.
    pub kind: FieldType,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// A JSON pointer (RFC 6901), unescaped; empty means the whole element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// The reference tokens. `"0"` names both an array's first element and a member called 0.
    pub tokens: Vec<String>,
}

/// As the file writes it.
impl Display for Pointer {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.tokens
            .iter()
            .try_for_each(|token| write!(out, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// A CEL expression that parses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// Its text, as written after `${..}` was replaced.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// Found in the element (after `explode`).
    Path(Pointer),
    /// Computed.
    Expr(Expr),
}

/// How a number or text becomes a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Seconds, with fractions.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds; cut to microseconds.
    Nanos,
    /// RFC 3339 / ISO 8601 text.
    Iso,
}

/// A value written in the file as a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// As written; read by the rules of the field's own type.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// One field of one case, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The column's name.
    pub name: Spanned<String>,
    /// The column's type.
    pub kind: FieldType,
    /// Where it is found.
    pub source: FieldSource,
    /// Absent or null gives NULL instead of a rejection.
    pub optional: bool,
    /// Absent or null gives this.
    pub default: Option<Literal>,
    /// Compared with the text that was written; what it does not list is rejected.
    pub map: Vec<(String, String)>,
    /// For timestamps from numbers; `None` = milliseconds for a number token, ISO for text that is no number.
    pub unit: Option<TimeUnit>,
    /// IANA zone of local times without one.
    pub zone: Option<Spanned<String>>,
    /// An integer token divided by ten to this power.
    pub scale: Option<u32>,
    /// A longer text is rejected.
    pub max_bytes: Option<usize>,
}

/// Which cases give rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchMode {
    /// The first whose condition is true.
    #[default]
    First,
    /// Every one whose condition is true.
    All,
}

/// One way in which a row is found in a message. A normalizer without `cases` has one, without name and condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The value of `case`; empty for the only case of a file without `cases`.
    pub name: Spanned<String>,
    /// Not true = this case does not apply.
    pub when: Option<Expr>,
    /// One row per element; `None` = the message itself is the element. `Some` of the empty pointer explodes the message.
    pub explode: Option<Pointer>,
    /// All must be true, else the row (or message) is filtered: the row's own `select`, then the case's.
    pub select: Vec<Expr>,
    /// All must be true, else the row is rejected; the name is the reason.
    pub require: Vec<(String, Expr)>,
    /// In the row's order; each complete.
    pub fields: Vec<Field>,
}

/// Bounds of the event time relative to the record's own Kafka time.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTime {
    /// The timestamp field.
    pub field: Spanned<String>,
    /// Older than record time minus this is rejected; `None` = older than 1990-01-01.
    pub past_max: Option<Duration>,
    /// Newer than record time plus this is rejected.
    pub future_max: Duration,
}
