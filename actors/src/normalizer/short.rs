//! The short way of a value to its column: of texts without escapes, plain numbers, times in UTC.
//!
//! Invariant: what goes this way goes the long one ([`super::field`]) with the same end. Whatever is unusual or wrong goes
//! that one alone, which also says what is wrong.

use super::column::Column;
use crate::expr::decimal::scaled;
use crate::expr::{digits, time};
use crate::json::{Scalar, ScalarKind};
use aqueduct_topology::model::{FieldType, TimeUnit};

/// How the usual values of a field are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Short {
    /// Not this way.
    None,
    /// Text, and other scalars as they are written.
    Text {
        bytes_max: usize,
    },
    Int,
    Float,
    /// Units lie below `units_end` in size.
    Decimal {
        scale: u32,
        units_end: i128,
    },
    /// A time as text.
    Iso,
    /// A time as text, or a number of milliseconds.
    IsoOrMillis,
    /// A time as a number, of whose units a second has `10^power`.
    Units {
        power: u32,
    },
}

impl Short {
    /// For fields of `kind`, with times in `unit`.
    pub(super) fn new(kind: FieldType, unit: Option<TimeUnit>, bytes_max: usize, units_end: i128) -> Self {
        match kind {
            FieldType::Text => Short::Text { bytes_max },
            FieldType::Int64 => Short::Int,
            FieldType::Float64 => Short::Float,
            FieldType::Decimal { scale, .. } => Short::Decimal { scale: scale.into(), units_end },
            FieldType::Timestamp => match unit {
                None => Short::IsoOrMillis,
                Some(TimeUnit::Iso) => Short::Iso,
                Some(TimeUnit::Seconds) => Short::Units { power: 0 },
                Some(TimeUnit::Millis) => Short::Units { power: 3 },
                Some(TimeUnit::Micros) => Short::Units { power: 6 },
                Some(TimeUnit::Nanos) => Short::Units { power: 9 },
            },
            FieldType::Bool | FieldType::Json => Short::None,
        }
    }

    /// Writes `value` to `column`; says whether it did.
    #[inline(always)]
    pub(super) fn read(self, value: Scalar<'_>, column: &mut Column) -> bool {
        let Scalar { kind, rest, length } = value;
        if let Short::Text { bytes_max } = self {
            // U+0000 would have been escaped.
            if length <= bytes_max {
                column.push_front(rest, length);
            }
            return length <= bytes_max;
        }
        if kind == ScalarKind::Bool {
            return false;
        }
        match self {
            Short::None | Short::Text { .. } => false,
            Short::Int => match digits::plain(rest, length) {
                Some(number) if number.fraction == 0 => {
                    column.push_int(number.units);
                    true
                }
                _ => false,
            },
            Short::Float => match digits::plain(rest, length).and_then(digits::Plain::to_f64) {
                Some(number) => {
                    column.push_float(number);
                    true
                }
                None => false,
            },
            Short::Decimal { scale, units_end } => {
                let units = digits::plain(rest, length)
                    .and_then(|number| scaled(number.units, number.fraction as u32, scale));
                match units {
                    Some(units) if units > -units_end && units < units_end => {
                        column.push_units(units);
                        true
                    }
                    _ => false,
                }
            }
            Short::Iso if kind == ScalarKind::Plain => push_time(time::parse_utc(rest, length), column),
            Short::IsoOrMillis if kind == ScalarKind::Plain => {
                push_time(time::parse_utc(rest, length), column)
            }
            Short::Iso => false,
            Short::IsoOrMillis => push_time(units(rest, length, 3), column),
            Short::Units { power } => push_time(units(rest, length, power), column),
        }
    }
}

#[inline(always)]
fn units(rest: &[u8], length: usize, power: u32) -> Option<i64> {
    let number = digits::leading(rest);
    if number.count != length || length == 0 {
        return None;
    }
    time::micros(number.value as i64, power).and_then(time::known)
}

#[inline(always)]
fn push_time(time: Option<i64>, column: &mut Column) -> bool {
    match time {
        Some(time) => {
            column.push_int(time);
            true
        }
        None => false,
    }
}
