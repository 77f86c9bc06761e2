//! From a [`Node`] to a [`Kernel`], by the types of the columns.
//!
//! What has no kernel, or no one type, is walked row by row from the lowest node above it whose type is known: so nothing
//! is refused here, and nothing means anything else than it does to the walker.

use super::among::Among;
use super::kernel::{Kernel, Literal, Operands};
use super::kind::Kind;
use super::text::TextKernel;
use crate::expr::decimal::{Decimal, power_of_ten};
use crate::expr::functions::Function;
use crate::expr::program::{Arithmetic, Comparison, Constant, Node, TextTest};

/// Plans for columns of these kinds, by slot.
pub(super) struct Planner<'k> {
    pub(super) kinds: &'k [Option<Kind>],
}

impl Planner<'_> {
    /// A kernel of bools that says where `node` is true.
    pub(super) fn condition(&self, node: &Node) -> Kernel {
        match self.value(node) {
            Some(kernel) if kernel.kind() == Kind::Bool => kernel,
            _ => Kernel::Walk { node: Box::new(node.clone()), kind: Kind::Bool, truth: true },
        }
    }

    /// A kernel of the values of `node`; `None` if they have no one type.
    pub(super) fn value(&self, node: &Node) -> Option<Kernel> {
        self.kernel(node).or_else(|| {
            let kind = Kind::of_walked(node)?;
            Some(Kernel::Walk { node: Box::new(node.clone()), kind, truth: false })
        })
    }

    fn kernel(&self, node: &Node) -> Option<Kernel> {
        match node {
            Node::Constant(constant) => {
                Kind::of_constant(constant).map(|kind| Kernel::Constant(constant.clone(), kind))
            }
            Node::Slot(slot) => {
                let kind = self.kinds.get(*slot as usize).copied().flatten();
                kind.map(|kind| Kernel::Column { slot: *slot, kind })
            }
            Node::And(sides) => {
                Some(Kernel::And(Box::new(sides.each_ref().map(|side| self.condition(side)))))
            }
            Node::Or(sides) => Some(Kernel::Or(Box::new(sides.each_ref().map(|side| self.condition(side))))),
            Node::Not(of) => self.value(of).filter(is(Kind::Bool)).map(|of| Kernel::Not(Box::new(of))),
            Node::Conditional(parts) => self.conditional(parts),
            Node::Compare(comparison, sides) => self.compare(*comparison, sides),
            Node::Text { slot, test, literal } => {
                self.text(&Node::Slot(*slot), TextKernel::literal(*test, literal))
            }
            Node::Among { slot, texts } => {
                self.text(&Node::Slot(*slot), TextKernel::Among(Among::new(texts.to_vec())))
            }
            Node::Matches(of, regex) => self.text(of, TextKernel::Matches(regex.clone())),
            Node::Present { of, negated } => {
                self.value(of).map(|of| Kernel::Present { of: Box::new(of), negated: *negated })
            }
            Node::In(sides) => self.contained(sides),
            Node::Arithmetic(operation, sides) => self.arithmetic(*operation, sides),
            Node::Negate(of) => {
                let has_sign = |of: &Kernel| !matches!(of.kind(), Kind::Bool | Kind::Text | Kind::Time);
                self.value(of).filter(has_sign).map(|of| Kernel::Negate(Box::new(of)))
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Step(_) | Node::List(_) | Node::Loop(_) => None,
        }
    }

    fn text(&self, of: &Node, test: TextKernel) -> Option<Kernel> {
        self.value(of).filter(is(Kind::Text)).map(|of| Kernel::Text(Box::new(of), test))
    }

    fn call(&self, function: Function, arguments: &[Node]) -> Option<Kernel> {
        if let (Some(test), [of, Node::Constant(Constant::Text(literal))]) = (function.text_test(), arguments)
        {
            return self.text(of, TextKernel::literal(test, literal));
        }
        let [of] = arguments else { return None };
        let of = self.value(of)?;
        match (function, of.kind()) {
            (Function::Double, Kind::Int | Kind::Double | Kind::Decimal(_)) => {
                Some(Kernel::Double(Box::new(of)))
            }
            (Function::Abs, Kind::Int | Kind::Double | Kind::Decimal(_)) => Some(Kernel::Abs(Box::new(of))),
            (Function::Size, Kind::Text) => Some(Kernel::Size(Box::new(of))),
            (Function::Decimal, Kind::Int) => Some(Kernel::Decimal(Box::new(of))),
            (Function::Decimal, Kind::Decimal(_))
            | (Function::Int, Kind::Int)
            | (Function::Text, Kind::Text) => Some(of),
            _ => None,
        }
    }

    fn conditional(&self, [condition, yes, no]: &[Node; 3]) -> Option<Kernel> {
        let absent = |node: &Node| matches!(node, Node::Constant(Constant::Null));
        let absent_as = |other: &Kernel| Kernel::Absent(other.kind());
        let (yes, no) = match (absent(yes), absent(no)) {
            (false, true) => self.value(yes).map(|yes| (yes.clone(), absent_as(&yes)))?,
            (true, false) => self.value(no).map(|no| (absent_as(&no), no))?,
            _ => (self.value(yes)?, self.value(no)?),
        };
        (yes.kind() == no.kind()).then(|| Kernel::Conditional(Box::new([self.condition(condition), yes, no])))
    }

    fn compare(&self, comparison: Comparison, sides: &[Node; 2]) -> Option<Kernel> {
        match sides {
            [Node::Constant(_), Node::Constant(_)] => None,
            [of, Node::Constant(constant)] => self.compare_literal(comparison, self.value(of)?, constant),
            [Node::Constant(constant), of] => {
                self.compare_literal(comparison.turned(), self.value(of)?, constant)
            }
            [first, second] => {
                let sides = [self.value(first)?, self.value(second)?];
                let operands = match sides.each_ref().map(Kernel::kind) {
                    [Kind::Text, Kind::Text] => Operands::Texts(Box::new(sides)),
                    [one, other] if one == other && one.is_int() => Operands::Ints(Box::new(sides)),
                    _ => numbers(sides)?,
                };
                Some(Kernel::Compare(comparison, operands))
            }
        }
    }

    fn compare_literal(&self, comparison: Comparison, of: Kernel, constant: &Constant) -> Option<Kernel> {
        if let (Kind::Text, Constant::Text(literal)) = (of.kind(), constant) {
            let test = match comparison {
                Comparison::Equal => TextKernel::literal(TextTest::Is, literal),
                Comparison::NotEqual => TextKernel::literal(TextTest::IsNot, literal),
                order => TextKernel::Order(order, literal.clone()),
            };
            return Some(Kernel::Text(Box::new(of), test));
        }
        let (comparison, literal) = exact_literal(comparison, of.kind(), constant)?;
        Some(Kernel::Compare(comparison, Operands::Literal(Box::new(of), literal)))
    }

    /// `x in [1, 2]`: of constants that are all of the type of what is searched for.
    fn contained(&self, [of, within]: &[Node; 2]) -> Option<Kernel> {
        let Node::List(items) = within else { return None };
        let constants = items.iter().map(|item| match item {
            Node::Constant(constant) => Some(constant),
            _ => None,
        });
        let constants: Vec<&Constant> = constants.collect::<Option<_>>()?;
        let of = self.value(of)?;
        let texts = constants.iter().map(|constant| match constant {
            Constant::Text(text) => Some(text.clone()),
            _ => None,
        });
        if of.kind() == Kind::Text {
            return Some(Kernel::Text(
                Box::new(of),
                TextKernel::Among(Among::new(texts.collect::<Option<_>>()?)),
            ));
        }
        let literal = |constant: &&Constant| {
            exact_literal(Comparison::Equal, of.kind(), constant).map(|(_, literal)| literal)
        };
        let among = constants.iter().map(literal).collect::<Option<_>>()?;
        Some(Kernel::In(Box::new(of), among))
    }

    fn arithmetic(&self, operation: Arithmetic, sides: &[Node; 2]) -> Option<Kernel> {
        match sides {
            [Node::Constant(_), Node::Constant(_)] => None,
            [of, Node::Constant(constant)] => {
                let (of, literal, kind) = self.beside_literal(operation, of, constant, false)?;
                let operands = Operands::Literal(Box::new(of), literal);
                Some(Kernel::Arithmetic { operation, operands, kind })
            }
            [Node::Constant(constant), of] => {
                let (of, literal, kind) = self.beside_literal(operation, of, constant, true)?;
                let operands = Operands::LiteralFirst(literal, Box::new(of));
                Some(Kernel::Arithmetic { operation, operands, kind })
            }
            [first, second] => {
                let sides = [self.value(first)?, self.value(second)?];
                let kind = combined(operation, sides.each_ref().map(Kernel::kind))?;
                let operands = if kind.is_int() { Operands::Ints(Box::new(sides)) } else { numbers(sides)? };
                Some(Kernel::Arithmetic { operation, operands, kind })
            }
        }
    }

    /// One side of arithmetic whose other one, `first` or second, is `constant`; that one; and the result's kind.
    fn beside_literal(
        &self,
        operation: Arithmetic,
        of: &Node,
        constant: &Constant,
        first: bool,
    ) -> Option<(Kernel, Literal, Kind)> {
        let of = self.value(of)?;
        let sums = operation.is_sum();
        Some(match (of.kind(), constant) {
            (kind, Constant::Time(value) | Constant::Duration(value)) => {
                let own = Kind::of_constant(constant)?;
                let (one, other) = if first { (own, kind) } else { (kind, own) };
                (of, Literal::Int(*value), moment(operation, one, other)?)
            }
            (Kind::Int, Constant::Int(value)) => (of, Literal::Int(*value), Kind::Int),
            (Kind::Double, Constant::Int(_) | Constant::Number(_)) => {
                (of, Literal::Double(constant.value().to_f64()?), Kind::Double)
            }
            (Kind::Decimal(scale), Constant::Int(_) | Constant::Number(_)) if sums => {
                let number = constant.value().to_decimal()?;
                (of, Literal::Decimal(number.units, number.scale), Kind::Decimal(scale.max(number.scale)))
            }
            _ => return None,
        })
    }
}

fn is(kind: Kind) -> impl Fn(&Kernel) -> bool {
    move |kernel| kernel.kind() == kind
}

/// Two numbers of the type in which they compare and combine.
fn numbers(sides: [Kernel; 2]) -> Option<Operands> {
    Some(match sides.each_ref().map(Kernel::kind) {
        [Kind::Int, Kind::Int] => Operands::Ints(Box::new(sides)),
        [Kind::Double, Kind::Double | Kind::Int | Kind::Decimal(_)]
        | [Kind::Int | Kind::Decimal(_), Kind::Double] => Operands::Doubles(Box::new(sides.map(double))),
        [Kind::Decimal(one), Kind::Decimal(other)] => Operands::Decimals(Box::new(sides), [one, other]),
        [Kind::Decimal(one), Kind::Int] => Operands::Decimals(Box::new(sides.map(decimal)), [one, 0]),
        [Kind::Int, Kind::Decimal(other)] => Operands::Decimals(Box::new(sides.map(decimal)), [0, other]),
        _ => return None,
    })
}

/// Without the check of the function `double`: what is compared or combined may be anything.
fn double(of: Kernel) -> Kernel {
    match of.kind() {
        Kind::Double => of,
        _ => Kernel::Double(Box::new(of)),
    }
}

fn decimal(of: Kernel) -> Kernel {
    match of.kind() {
        Kind::Int => Kernel::Decimal(Box::new(of)),
        _ => of,
    }
}

/// What arithmetic of two kinds gives; `None` where it has no result at all.
fn combined(operation: Arithmetic, [first, second]: [Kind; 2]) -> Option<Kind> {
    match (first, second) {
        (Kind::Int, Kind::Int) => Some(Kind::Int),
        (Kind::Double, Kind::Double | Kind::Int) | (Kind::Int, Kind::Double) => Some(Kind::Double),
        (Kind::Decimal(one), Kind::Decimal(other)) if operation.is_sum() => {
            Some(Kind::Decimal(one.max(other)))
        }
        (Kind::Decimal(scale), Kind::Int) | (Kind::Int, Kind::Decimal(scale)) if operation.is_sum() => {
            Some(Kind::Decimal(scale))
        }
        _ => moment(operation, first, second),
    }
}

/// What arithmetic of times and durations gives.
fn moment(operation: Arithmetic, first: Kind, second: Kind) -> Option<Kind> {
    use Arithmetic::{Add, Subtract};
    match (operation, first, second) {
        (Add | Subtract, Kind::Time, Kind::Duration) | (Add, Kind::Duration, Kind::Time) => Some(Kind::Time),
        (Subtract, Kind::Time, Kind::Time) | (Add | Subtract, Kind::Duration, Kind::Duration) => {
            Some(Kind::Duration)
        }
        _ => None,
    }
}

/// `constant` as what values of `kind` are compared with, and the comparison that says the same of it: of a number finer
/// than the scale its whole units are taken, `x < 0.15` is `x <= 0.1` for tenths.
fn exact_literal(comparison: Comparison, kind: Kind, constant: &Constant) -> Option<(Comparison, Literal)> {
    match (kind, constant) {
        (Kind::Int, Constant::Int(value))
        | (Kind::Time, Constant::Time(value))
        | (Kind::Duration, Constant::Duration(value)) => Some((comparison, Literal::Int(*value))),
        (Kind::Double, Constant::Int(_) | Constant::Number(_)) => {
            Some((comparison, Literal::Double(constant.value().to_f64()?)))
        }
        (Kind::Int, Constant::Number(_)) => {
            let (comparison, units) = whole_units(comparison, constant.value().to_decimal()?, 0)?;
            Some((comparison, Literal::Int(i64::try_from(units).ok()?)))
        }
        (Kind::Decimal(scale), Constant::Int(_) | Constant::Number(_)) => {
            let (comparison, units) = whole_units(comparison, constant.value().to_decimal()?, scale)?;
            Some((comparison, Literal::Decimal(units, scale)))
        }
        _ => None,
    }
}

fn whole_units(comparison: Comparison, number: Decimal, scale: u32) -> Option<(Comparison, i128)> {
    if let Some(units) = number.rescale(scale) {
        return Some((comparison, units));
    }
    let below = number.units.div_euclid(power_of_ten(number.scale.checked_sub(scale)?)?);
    match comparison {
        Comparison::Less | Comparison::LessOrEqual => Some((Comparison::LessOrEqual, below)),
        Comparison::Greater | Comparison::GreaterOrEqual => Some((Comparison::Greater, below)),
        Comparison::Equal | Comparison::NotEqual => None,
    }
}
