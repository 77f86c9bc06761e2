//! Comparisons of numbers, times and texts.

use super::kernel::Literal;
use super::vector::Vector;
use super::vector::{tested, tested_pairs};
use crate::expr::decimal::Decimal;
use crate::expr::program::Comparison;
use arrow_array::{Array, StringArray};
use arrow_buffer::BooleanBuffer;

/// Of two values of a total order.
pub(super) fn ordered<T: Copy + Ord>(comparison: Comparison, first: &[T], second: &[T]) -> BooleanBuffer {
    match comparison {
        Comparison::Equal => tested_pairs(first, second, |one, other| one == other),
        Comparison::NotEqual => tested_pairs(first, second, |one, other| one != other),
        Comparison::Less => tested_pairs(first, second, |one, other| one < other),
        Comparison::LessOrEqual => tested_pairs(first, second, |one, other| one <= other),
        Comparison::Greater => tested_pairs(first, second, |one, other| one > other),
        Comparison::GreaterOrEqual => tested_pairs(first, second, |one, other| one >= other),
    }
}

/// Of doubles, where nothing holds of what is no number: not even that it differs.
pub(super) fn doubles(comparison: Comparison, first: &[f64], second: &[f64]) -> BooleanBuffer {
    match comparison {
        Comparison::Equal => tested_pairs(first, second, |one, other| one == other),
        Comparison::NotEqual => tested_pairs(first, second, |one, other| (one < other) | (one > other)),
        Comparison::Less => tested_pairs(first, second, |one, other| one < other),
        Comparison::LessOrEqual => tested_pairs(first, second, |one, other| one <= other),
        Comparison::Greater => tested_pairs(first, second, |one, other| one > other),
        Comparison::GreaterOrEqual => tested_pairs(first, second, |one, other| one >= other),
    }
}

/// Of decimals of two scales.
pub(super) fn decimals(
    comparison: Comparison,
    first: (&[i128], u32),
    second: (&[i128], u32),
) -> BooleanBuffer {
    if first.1 == second.1 {
        return ordered(comparison, first.0, second.0);
    }
    tested_pairs(first.0, second.0, |one, other| {
        let (one, other) =
            (Decimal { units: one, scale: first.1 }, Decimal { units: other, scale: second.1 });
        comparison.holds(one.compare(other))
    })
}

/// Of texts, by their bytes.
pub(super) fn texts(
    comparison: Comparison,
    first: &StringArray,
    second: &StringArray,
    wanted: Option<&BooleanBuffer>,
) -> BooleanBuffer {
    let bytes = |texts: &StringArray, row: usize| -> std::ops::Range<usize> {
        let ends = texts.value_offsets();
        ends[row] as usize..ends[row + 1] as usize
    };
    let test = |row: usize| {
        let one = &first.value_data()[bytes(first, row)];
        let other = &second.value_data()[bytes(second, row)];
        match comparison {
            Comparison::Equal => one == other,
            Comparison::NotEqual => one != other,
            comparison => comparison.holds(one.cmp(other)),
        }
    };
    match wanted {
        None => BooleanBuffer::collect_bool(first.len(), test),
        Some(wanted) => BooleanBuffer::collect_bool(first.len(), |row| wanted.value(row) && test(row)),
    }
}

/// Of values and one that is the same for all of them.
pub(super) fn literal(comparison: Comparison, of: &Vector, literal: Literal) -> BooleanBuffer {
    match literal {
        Literal::Int(literal) => with_literal(comparison, of.ints(), literal),
        Literal::Decimal(literal, _) => with_literal(comparison, of.units(), literal),
        Literal::Double(literal) => match comparison {
            Comparison::NotEqual => tested(of.doubles(), |value| (value < literal) | (value > literal)),
            comparison => with_literal(comparison, of.doubles(), literal),
        },
    }
}

fn with_literal<T: Copy + PartialOrd>(comparison: Comparison, values: &[T], literal: T) -> BooleanBuffer {
    match comparison {
        Comparison::Equal => tested(values, |value| value == literal),
        Comparison::NotEqual => tested(values, |value| value != literal),
        Comparison::Less => tested(values, |value| value < literal),
        Comparison::LessOrEqual => tested(values, |value| value <= literal),
        Comparison::Greater => tested(values, |value| value > literal),
        Comparison::GreaterOrEqual => tested(values, |value| value >= literal),
    }
}
