//! Puts a batch through a [`Kernel`].

use super::kernel::{Kernel, Literal, Operands};
use super::kind::Kind;
use super::vector::{Values, Vector, any, both, either, tested};
use super::{arithmetic, compare, logic, text, walk};
use crate::expr::decimal::Decimal;
use crate::expr::program::{Arithmetic, Comparison};
use crate::expr::time;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use std::iter::repeat;

/// The rows at hand, and which column each slot is.
#[derive(Clone, Copy)]
pub(super) struct Batch<'b> {
    pub(super) rows: &'b RecordBatch,
    pub(super) columns: &'b [usize],
}

impl Kernel {
    /// Its value for every row. Of rows that are not `wanted` it may be anything; `None` = all are.
    pub(super) fn run(&self, batch: Batch<'_>, wanted: Option<&BooleanBuffer>) -> Vector {
        let rows = batch.rows.num_rows();
        match self {
            Kernel::Column { slot, .. } => column(batch.rows.column(batch.columns[*slot as usize])),
            Kernel::Constant(constant, kind) => {
                Vector::repeat(constant, rows).unwrap_or_else(|| Vector::absent(*kind, rows))
            }
            Kernel::Absent(kind) => Vector::absent(*kind, rows),
            Kernel::Double(of) => double(of.run(batch, wanted), of.kind()),
            Kernel::Decimal(of) => {
                let of = of.run(batch, wanted);
                let units: Vec<i128> = of.ints().iter().map(|&value| i128::from(value)).collect();
                Vector { values: Values::Decimal(units.into()), ..of }
            }
            Kernel::Arithmetic { operation, operands, kind } => {
                let found = combine(*operation, operands, batch, wanted);
                if *kind == Kind::Time { known_times(found) } else { found }
            }
            Kernel::Negate(of) => signed(of.run(batch, wanted), Sign::Turned),
            Kernel::Abs(of) => signed(of.run(batch, wanted), Sign::Dropped),
            Kernel::Compare(comparison, operands) => order(*comparison, operands, batch, wanted),
            Kernel::Text(of, test) => test.run(of.run(batch, wanted), wanted),
            Kernel::Size(of) => {
                let of = of.run(batch, wanted);
                let sizes = text::sizes(of.texts());
                Vector { values: Values::Int(sizes.into()), ..of }
            }
            Kernel::In(of, among) => {
                let of = of.run(batch, wanted);
                let mut found = BooleanBuffer::new_unset(rows);
                among.iter().for_each(|one| found |= &compare::literal(Comparison::Equal, &of, *one));
                condition(found, of.valid, of.faults)
            }
            Kernel::Present { of, negated } => {
                let of = of.run(batch, wanted);
                let present = of.valid.unwrap_or_else(|| BooleanBuffer::new_set(rows));
                let holds = if *negated { !&present } else { present };
                condition(holds, None, of.faults)
            }
            Kernel::Not(of) => {
                let of = of.run(batch, wanted);
                let turned = !of.bools();
                Vector { values: Values::Bool(turned), ..of }
            }
            Kernel::And(sides) => logic::and(sides, batch, wanted),
            Kernel::Or(sides) => logic::or(sides, batch, wanted),
            Kernel::Conditional(parts) => logic::conditional(parts, batch, wanted),
            Kernel::Walk { node, kind, truth } => walk::run(node, (*kind, *truth), batch, wanted),
        }
    }
}

fn column(array: &ArrayRef) -> Vector {
    let values = match array.data_type() {
        DataType::Boolean => Values::Bool(array.as_boolean().values().clone()),
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            Values::Int(values.iter().map(|&value| i64::from(value)).collect())
        }
        DataType::Int64 => Values::Int(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Float64 => Values::Double(array.as_primitive::<Float64Type>().values().clone()),
        DataType::Decimal128(..) => Values::Decimal(array.as_primitive::<Decimal128Type>().values().clone()),
        DataType::Utf8 => Values::Text(array.as_string::<i32>().clone()),
        DataType::Timestamp(..) => {
            Values::Int(array.as_primitive::<TimestampMicrosecondType>().values().clone())
        }
        other => unreachable!("invariant: a column of {other} has no kind"),
    };
    let valid = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| nulls.inner().clone());
    Vector { values, valid, faults: None }
}

/// The answers to a question: false of null.
pub(super) fn condition(
    mut holds: BooleanBuffer,
    valid: Option<BooleanBuffer>,
    faults: Option<BooleanBuffer>,
) -> Vector {
    if let Some(valid) = valid {
        holds &= &valid;
    }
    Vector { faults, ..Vector::of(Values::Bool(holds)) }
}

/// Of a computation in which some rows `failed`: of those only that had something to compute.
fn computed(
    (values, failed): arithmetic::Computed,
    valid: Option<BooleanBuffer>,
    faults: Option<BooleanBuffer>,
) -> Vector {
    let failed = failed.and_then(|failed| match &valid {
        Some(valid) => any(&failed & valid),
        None => Some(failed),
    });
    Vector { values, valid, faults: either(faults.as_ref(), failed.as_ref()) }
}

/// A time that was computed and lies beyond the years 1 to 9999 is a fault.
fn known_times(of: Vector) -> Vector {
    let unknown = any(tested(of.ints(), |micros| time::known(micros).is_none()));
    computed((of.values, unknown), of.valid, of.faults)
}

fn double(of: Vector, kind: Kind) -> Vector {
    let (values, failed) = match kind {
        Kind::Int => (of.ints().iter().map(|&value| value as f64).collect(), None),
        Kind::Decimal(scale) => (of.decimals(scale).map(Decimal::to_f64).collect(), None),
        _ => {
            let values = of.doubles();
            let failed = any(tested(values, |value: f64| !value.is_finite()));
            (values.to_vec(), failed)
        }
    };
    computed((Values::Double(values.into()), failed), of.valid, of.faults)
}

#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Turned,
    Dropped,
}

fn signed(of: Vector, sign: Sign) -> Vector {
    let turned = sign == Sign::Turned;
    let found =
        match &of.values {
            Values::Double(values) => {
                let signed = |value: f64| if turned { -value } else { value.abs() };
                (Values::Double(values.iter().map(|&value| signed(value)).collect()), None)
            }
            Values::Decimal(values) => {
                let (units, failed) =
                    arithmetic::unary(
                        values,
                        |value: i128| {
                            if turned { value.checked_neg() } else { value.checked_abs() }
                        },
                    );
                (Values::Decimal(units.into()), failed)
            }
            _ => {
                let (values, failed) = arithmetic::unary(of.ints(), |value: i64| {
                    if turned { value.checked_neg() } else { value.checked_abs() }
                });
                (Values::Int(values.into()), failed)
            }
        };
    computed(found, of.valid, of.faults)
}

fn combine(
    operation: Arithmetic,
    operands: &Operands,
    batch: Batch<'_>,
    wanted: Option<&BooleanBuffer>,
) -> Vector {
    let run = |sides: &[Kernel; 2]| sides.each_ref().map(|side| side.run(batch, wanted));
    match operands {
        Operands::Ints(sides) => of_both(run(sides), |first, second| {
            arithmetic::ints(operation, pairs(first.ints(), second.ints()))
        }),
        Operands::Doubles(sides) => of_both(run(sides), |first, second| {
            arithmetic::doubles(operation, pairs(first.doubles(), second.doubles()))
        }),
        Operands::Decimals(sides, [one, other]) => of_both(run(sides), |first, second| {
            arithmetic::decimals(operation, first.decimals(*one).zip(second.decimals(*other)))
        }),
        Operands::Literal(of, literal) => {
            let vector = of.run(batch, wanted);
            let found = match *literal {
                Literal::Int(other) => {
                    arithmetic::ints(operation, vector.ints().iter().copied().zip(repeat(other)))
                }
                Literal::Double(other) => {
                    arithmetic::doubles(operation, vector.doubles().iter().copied().zip(repeat(other)))
                }
                Literal::Decimal(units, scale) => arithmetic::decimals(
                    operation,
                    vector.decimals(of.kind().scale()).zip(repeat(Decimal { units, scale })),
                ),
            };
            computed(found, vector.valid, vector.faults)
        }
        Operands::LiteralFirst(literal, of) => {
            let vector = of.run(batch, wanted);
            let found = match *literal {
                Literal::Int(one) => {
                    arithmetic::ints(operation, repeat(one).zip(vector.ints().iter().copied()))
                }
                Literal::Double(one) => {
                    arithmetic::doubles(operation, repeat(one).zip(vector.doubles().iter().copied()))
                }
                Literal::Decimal(units, scale) => arithmetic::decimals(
                    operation,
                    repeat(Decimal { units, scale }).zip(vector.decimals(of.kind().scale())),
                ),
            };
            computed(found, vector.valid, vector.faults)
        }
        Operands::Texts(_) => unreachable!("invariant: texts are walked when they are joined"),
    }
}

fn of_both(
    [first, second]: [Vector; 2],
    combine: impl FnOnce(&Vector, &Vector) -> arithmetic::Computed,
) -> Vector {
    let found = combine(&first, &second);
    let valid = both(first.valid.as_ref(), second.valid.as_ref());
    computed(found, valid, either(first.faults.as_ref(), second.faults.as_ref()))
}

fn pairs<'v, T: Copy>(first: &'v [T], second: &'v [T]) -> impl Iterator<Item = (T, T)> + Clone + 'v {
    first.iter().copied().zip(second.iter().copied())
}

fn order(
    comparison: Comparison,
    operands: &Operands,
    batch: Batch<'_>,
    wanted: Option<&BooleanBuffer>,
) -> Vector {
    let sides = match operands {
        Operands::Literal(of, literal) | Operands::LiteralFirst(literal, of) => {
            let of = of.run(batch, wanted);
            return condition(compare::literal(comparison, &of, *literal), of.valid, of.faults);
        }
        Operands::Ints(sides)
        | Operands::Doubles(sides)
        | Operands::Decimals(sides, _)
        | Operands::Texts(sides) => sides,
    };
    let [first, second] = sides.each_ref().map(|side| side.run(batch, wanted));
    let holds = match operands {
        Operands::Doubles(_) => compare::doubles(comparison, first.doubles(), second.doubles()),
        Operands::Decimals(_, [one, other]) => {
            compare::decimals(comparison, (first.units(), *one), (second.units(), *other))
        }
        Operands::Texts(_) => compare::texts(comparison, first.texts(), second.texts(), wanted),
        _ => compare::ordered(comparison, first.ints(), second.ints()),
    };
    let valid = both(first.valid.as_ref(), second.valid.as_ref());
    condition(holds, valid, either(first.faults.as_ref(), second.faults.as_ref()))
}
