//! Arithmetic of whole columns.
//!
//! The first pass computes every row and only keeps whether any failed; which ones is asked again, and only then.

use super::vector::Values;
use crate::expr::decimal::Decimal;
use crate::expr::program::Arithmetic;
use arrow_buffer::BooleanBuffer;

/// Values, and the rows that have none in range.
pub(super) type Computed = (Values, Option<BooleanBuffer>);

/// Of whole numbers, times and durations.
pub(super) fn ints(operation: Arithmetic, pairs: impl Iterator<Item = (i64, i64)> + Clone) -> Computed {
    let (values, failed) = match operation {
        Arithmetic::Add => checked(pairs, i64::overflowing_add),
        Arithmetic::Subtract => checked(pairs, i64::overflowing_sub),
        Arithmetic::Multiply => checked(pairs, i64::overflowing_mul),
        Arithmetic::Divide => checked(pairs, |one, other| flagged(one.checked_div(other))),
        Arithmetic::Remainder => checked(pairs, |one, other| flagged(one.checked_rem(other))),
    };
    (Values::Int(values.into()), failed)
}

/// Of doubles: what is not finite has failed.
pub(super) fn doubles(operation: Arithmetic, pairs: impl Iterator<Item = (f64, f64)> + Clone) -> Computed {
    let finite = |value: f64| (value, !value.is_finite());
    let (values, failed) = match operation {
        Arithmetic::Add => checked(pairs, |one, other| finite(one + other)),
        Arithmetic::Subtract => checked(pairs, |one, other| finite(one - other)),
        Arithmetic::Multiply => checked(pairs, |one, other| finite(one * other)),
        Arithmetic::Divide => checked(pairs, |one, other| finite(one / other)),
        Arithmetic::Remainder => checked(pairs, |one, other| finite(one % other)),
    };
    (Values::Double(values.into()), failed)
}

/// The sum of decimals, or their difference. Each result has the larger of both scales.
pub(super) fn decimals(
    operation: Arithmetic,
    pairs: impl Iterator<Item = (Decimal, Decimal)> + Clone,
) -> Computed {
    let units = |sum: Option<Decimal>| flagged(sum.map(|sum| sum.units));
    let (values, failed) = match operation {
        Arithmetic::Subtract => {
            checked(pairs, |one, other| units(other.checked_neg().and_then(|other| one.checked_add(other))))
        }
        _ => checked(pairs, |one, other| units(one.checked_add(other))),
    };
    (Values::Decimal(values.into()), failed)
}

/// Of one value each.
pub(super) fn unary<T: Copy, U: Default>(
    values: &[T],
    operation: impl Fn(T) -> Option<U>,
) -> (Vec<U>, Option<BooleanBuffer>) {
    checked(values.iter().map(|&value| (value, ())), |value, ()| flagged(operation(value)))
}

fn flagged<T: Default>(value: Option<T>) -> (T, bool) {
    let failed = value.is_none();
    (value.unwrap_or_default(), failed)
}

#[inline(always)]
fn checked<A, B, T>(
    pairs: impl Iterator<Item = (A, B)> + Clone,
    operation: impl Fn(A, B) -> (T, bool),
) -> (Vec<T>, Option<BooleanBuffer>) {
    let mut any_failed = false;
    let values = pairs
        .clone()
        .map(|(one, other)| {
            let (value, failed) = operation(one, other);
            any_failed |= failed;
            value
        })
        .collect();
    let failed = any_failed.then(|| pairs.map(|(one, other)| operation(one, other).1).collect());
    (values, failed)
}
