//! What a batch is put through: a [`Node`] with types, and constants where they are cheapest.

use super::kind::Kind;
use super::text::TextKernel;
use crate::expr::program::{Arithmetic, Comparison, Constant, Node};

/// Gives one [`super::vector::Vector`] for a batch.
#[derive(Clone, Debug)]
pub(super) enum Kernel {
    Column {
        slot: u32,
        kind: Kind,
    },
    Constant(Constant, Kind),
    /// Null in every row.
    Absent(Kind),
    /// The nearest double of each number; one that is not finite is a fault.
    Double(Box<Kernel>),
    /// The decimals that whole numbers are.
    Decimal(Box<Kernel>),
    Arithmetic {
        operation: Arithmetic,
        operands: Operands,
        kind: Kind,
    },
    Negate(Box<Kernel>),
    Abs(Box<Kernel>),
    Compare(Comparison, Operands),
    Text(Box<Kernel>, TextKernel),
    /// How many characters each text has.
    Size(Box<Kernel>),
    /// Whether it equals one of the literals.
    In(Box<Kernel>, Vec<Literal>),
    Present {
        of: Box<Kernel>,
        negated: bool,
    },
    Not(Box<Kernel>),
    And(Box<[Kernel; 2]>),
    Or(Box<[Kernel; 2]>),
    Conditional(Box<[Kernel; 3]>),
    /// What has no kernel: each row is walked. `truth`: only whether it is true is asked.
    Walk {
        node: Box<Node>,
        kind: Kind,
        truth: bool,
    },
}

/// The two sides of an operation, brought to one type.
#[derive(Clone, Debug)]
pub(super) enum Operands {
    Ints(Box<[Kernel; 2]>),
    Doubles(Box<[Kernel; 2]>),
    /// And their scales.
    Decimals(Box<[Kernel; 2]>, [u32; 2]),
    Texts(Box<[Kernel; 2]>),
    /// The second side is the same in every row.
    Literal(Box<Kernel>, Literal),
    /// The first one is.
    LiteralFirst(Literal, Box<Kernel>),
}

/// A constant, of the type of what it meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal {
    Int(i64),
    Double(f64),
    /// Units and scale.
    Decimal(i128, u32),
}

impl Kernel {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Kernel::Column { kind, .. }
            | Kernel::Constant(_, kind)
            | Kernel::Absent(kind)
            | Kernel::Arithmetic { kind, .. }
            | Kernel::Walk { kind, .. } => *kind,
            Kernel::Double(_) => Kind::Double,
            Kernel::Decimal(_) => Kind::Decimal(0),
            Kernel::Size(_) => Kind::Int,
            Kernel::Negate(of) | Kernel::Abs(of) => of.kind(),
            Kernel::Conditional(parts) => parts[1].kind(),
            Kernel::Compare(..)
            | Kernel::Text(..)
            | Kernel::In(..)
            | Kernel::Present { .. }
            | Kernel::Not(_)
            | Kernel::And(_)
            | Kernel::Or(_) => Kind::Bool,
        }
    }

    /// Whether a row costs so much that those which do not matter are better left out.
    pub(super) fn is_costly(&self) -> bool {
        let texts = |kernel: &Kernel| match kernel {
            Kernel::Text(..) | Kernel::Walk { .. } => true,
            Kernel::Arithmetic { operands, .. } | Kernel::Compare(_, operands) => {
                matches!(operands, Operands::Texts(_))
            }
            _ => false,
        };
        self.any(&texts)
    }

    /// Whether any part of it is walked row by row.
    pub(super) fn walks(&self) -> bool {
        self.any(&|kernel| matches!(kernel, Kernel::Walk { .. }))
    }

    /// Whether `test` holds of it or of anything it works on.
    fn any(&self, test: &dyn Fn(&Kernel) -> bool) -> bool {
        test(self) || self.parts().iter().any(|part| part.any(test))
    }

    /// What it works on.
    fn parts(&self) -> &[Kernel] {
        match self {
            Kernel::Column { .. } | Kernel::Constant(..) | Kernel::Absent(_) | Kernel::Walk { .. } => &[],
            Kernel::Double(of)
            | Kernel::Decimal(of)
            | Kernel::Negate(of)
            | Kernel::Abs(of)
            | Kernel::Text(of, _)
            | Kernel::Size(of)
            | Kernel::In(of, _)
            | Kernel::Present { of, .. }
            | Kernel::Not(of) => std::slice::from_ref(of),
            Kernel::Arithmetic { operands, .. } | Kernel::Compare(_, operands) => match operands {
                Operands::Ints(sides)
                | Operands::Doubles(sides)
                | Operands::Decimals(sides, _)
                | Operands::Texts(sides) => &sides[..],
                Operands::Literal(of, _) | Operands::LiteralFirst(_, of) => std::slice::from_ref(of),
            },
            Kernel::And(sides) | Kernel::Or(sides) => &sides[..],
            Kernel::Conditional(parts) => &parts[..],
        }
    }
}
