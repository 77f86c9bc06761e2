//! The type that all values of a vector have.

use crate::expr::functions::Function;
use crate::expr::program::{Constant, Node};
use arrow_schema::{DataType, TimeUnit};

/// One type for every row. What may be of another type in the next row has none, and is walked row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Double,
    /// With so many digits after the point.
    Decimal(u32),
    Text,
    Time,
    Duration,
}

impl Kind {
    /// The kind of a column; `None` where expressions see no value in it.
    pub(super) fn of_column(kind: &DataType) -> Option<Self> {
        Some(match kind {
            DataType::Utf8 => Kind::Text,
            DataType::Int32 | DataType::Int64 => Kind::Int,
            DataType::Float64 => Kind::Double,
            DataType::Decimal128(_, scale) => Kind::Decimal(u32::try_from(*scale).ok()?),
            DataType::Boolean => Kind::Bool,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Time,
            _ => return None,
        })
    }

    /// The type of a column of its values.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Decimal(scale) => DataType::Decimal128(38, scale as i8),
            Kind::Text => DataType::Utf8,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Duration => DataType::Duration(TimeUnit::Microsecond),
        }
    }

    /// The kind of a constant; a number that is written out adapts to what it meets and has none.
    pub(super) fn of_constant(constant: &Constant) -> Option<Self> {
        Some(match constant {
            Constant::Bool(_) => Kind::Bool,
            Constant::Int(_) => Kind::Int,
            Constant::Text(_) => Kind::Text,
            Constant::Time(_) => Kind::Time,
            Constant::Duration(_) => Kind::Duration,
            Constant::Null | Constant::Number(_) => return None,
        })
    }

    /// The kind of whatever a node without a kernel gives that is not null.
    pub(super) fn of_walked(node: &Node) -> Option<Self> {
        match node {
            Node::Call(function, _) => Self::of_function(*function),
            Node::Loop(each) => (!each.collects()).then_some(Kind::Bool),
            Node::Matches(..)
            | Node::In(_)
            | Node::Among { .. }
            | Node::Compare(..)
            | Node::Present { .. }
            | Node::Not(_) => Some(Kind::Bool),
            _ => None,
        }
    }

    fn of_function(function: Function) -> Option<Self> {
        Some(match function {
            Function::StartsWith | Function::EndsWith | Function::Contains | Function::Bool => Kind::Bool,
            Function::Size | Function::IndexOf | Function::LastIndexOf | Function::Int | Function::Uint => {
                Kind::Int
            }
            Function::Part(_) => Kind::Int,
            Function::Replace | Function::Substring | Function::Trim | Function::Text => Kind::Text,
            Function::LowerAscii | Function::UpperAscii => Kind::Text,
            Function::Double => Kind::Double,
            Function::Timestamp => Kind::Time,
            Function::Duration => Kind::Duration,
            Function::Split | Function::Abs | Function::Decimal => return None,
        })
    }

    /// Whether its values are kept as whole numbers.
    pub(super) fn is_int(self) -> bool {
        matches!(self, Kind::Int | Kind::Time | Kind::Duration)
    }

    /// The digits after the point that its values share.
    pub(super) fn scale(self) -> u32 {
        match self {
            Kind::Decimal(scale) => scale,
            _ => 0,
        }
    }
}
