//! The values of one expression for all rows of a batch.
//!
//! Invariant: a row with a fault has no value, whatever `values` and `valid` hold for it.

use super::kind::Kind;
use crate::expr::decimal::Decimal;
use crate::expr::program::Constant;
use arrow_array::StringArray;
use arrow_buffer::{BooleanBuffer, Buffer, ScalarBuffer};

/// One value for every row. What is `None` costs nothing: most columns have no nulls, most expressions cannot fail.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub(super) values: Values,
    /// The rows that have a value; `None` = all.
    pub(super) valid: Option<BooleanBuffer>,
    /// The rows whose value cannot be computed; `None` = none.
    pub(super) faults: Option<BooleanBuffer>,
}

/// Values alone; anything where there is none.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Bool(BooleanBuffer),
    /// Whole numbers, microseconds of times and of durations.
    Int(ScalarBuffer<i64>),
    Double(ScalarBuffer<f64>),
    /// Units of a scale that all rows share.
    Decimal(ScalarBuffer<i128>),
    Text(StringArray),
}

impl Vector {
    /// Every row has one of `values`.
    pub(super) fn of(values: Values) -> Self {
        Self { values, valid: None, faults: None }
    }

    /// `constant` in each of so many rows; of a number that is written out, nothing.
    pub(super) fn repeat(constant: &Constant, rows: usize) -> Option<Self> {
        Some(Self::of(match constant {
            Constant::Bool(true) => Values::Bool(BooleanBuffer::new_set(rows)),
            Constant::Bool(false) => Values::Bool(BooleanBuffer::new_unset(rows)),
            Constant::Int(value) | Constant::Time(value) | Constant::Duration(value) => {
                Values::Int(vec![*value; rows].into())
            }
            Constant::Text(text) => Values::Text(StringArray::from_iter_values((0..rows).map(|_| text))),
            Constant::Null | Constant::Number(_) => return None,
        }))
    }

    /// No row has a value.
    pub(super) fn absent(kind: Kind, rows: usize) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bool(BooleanBuffer::new_unset(rows)),
            Kind::Int | Kind::Time | Kind::Duration => Values::Int(vec![0; rows].into()),
            Kind::Double => Values::Double(vec![0.0; rows].into()),
            Kind::Decimal(_) => Values::Decimal(vec![0; rows].into()),
            Kind::Text => Values::Text(StringArray::from_iter_values((0..rows).map(|_| ""))),
        };
        Self { values, valid: Some(BooleanBuffer::new_unset(rows)), faults: None }
    }

    /// The rows that are true: null and a fault are not.
    pub(super) fn holds(&self) -> BooleanBuffer {
        let mut holds = self.bools().clone();
        if let Some(valid) = &self.valid {
            holds &= valid;
        }
        without(holds, self.faults.as_ref())
    }

    pub(super) fn bools(&self) -> &BooleanBuffer {
        match &self.values {
            Values::Bool(values) => values,
            other => unreachable!("invariant: planned as bools, found {other:?}"),
        }
    }

    pub(super) fn ints(&self) -> &[i64] {
        match &self.values {
            Values::Int(values) => values,
            other => unreachable!("invariant: planned as whole numbers, found {other:?}"),
        }
    }

    pub(super) fn doubles(&self) -> &[f64] {
        match &self.values {
            Values::Double(values) => values,
            other => unreachable!("invariant: planned as doubles, found {other:?}"),
        }
    }

    pub(super) fn units(&self) -> &[i128] {
        match &self.values {
            Values::Decimal(values) => values,
            other => unreachable!("invariant: planned as decimals, found {other:?}"),
        }
    }

    pub(super) fn texts(&self) -> &StringArray {
        match &self.values {
            Values::Text(values) => values,
            other => unreachable!("invariant: planned as text, found {other:?}"),
        }
    }

    /// Its decimals, which all have `scale`.
    pub(super) fn decimals(&self, scale: u32) -> impl Iterator<Item = Decimal> + Clone + '_ {
        self.units().iter().map(move |&units| Decimal { units, scale })
    }
}

/// The rows in both.
pub(super) fn both(first: Option<&BooleanBuffer>, second: Option<&BooleanBuffer>) -> Option<BooleanBuffer> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first & second),
        (one, other) => one.or(other).cloned(),
    }
}

/// The rows in either.
pub(super) fn either(first: Option<&BooleanBuffer>, second: Option<&BooleanBuffer>) -> Option<BooleanBuffer> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first | second),
        (one, other) => one.or(other).cloned(),
    }
}

/// The rows of `rows` that are not in `taken`.
pub(super) fn without(mut rows: BooleanBuffer, taken: Option<&BooleanBuffer>) -> BooleanBuffer {
    if let Some(taken) = taken {
        rows &= &!taken;
    }
    rows
}

/// `Some` only if there is a row in it.
pub(super) fn any(rows: BooleanBuffer) -> Option<BooleanBuffer> {
    rows.has_true().then_some(rows)
}

/// For which values `test` holds.
#[inline(always)]
pub(super) fn tested<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
    let (blocks, rest) = values.as_chunks::<64>();
    let mut words = Vec::with_capacity(values.len().div_ceil(64));
    words.extend(blocks.iter().map(|block| word(|bit| test(block[bit]))));
    if !rest.is_empty() {
        words.push(word(|bit| rest.get(bit).is_some_and(|&value| test(value))));
    }
    packed(words, values.len())
}

/// For which pairs of values `test` holds.
#[inline(always)]
pub(super) fn tested_pairs<T: Copy>(first: &[T], second: &[T], test: impl Fn(T, T) -> bool) -> BooleanBuffer {
    assert_eq!(first.len(), second.len(), "invariant: both sides have a value for every row");
    let ((blocks, rest), (others, others_rest)) = (first.as_chunks::<64>(), second.as_chunks::<64>());
    let mut words = Vec::with_capacity(first.len().div_ceil(64));
    words.extend(blocks.iter().zip(others).map(|(block, other)| word(|bit| test(block[bit], other[bit]))));
    if !rest.is_empty() {
        let pair = |bit| rest.get(bit).zip(others_rest.get(bit));
        words.push(word(|bit| pair(bit).is_some_and(|(&one, &other)| test(one, other))));
    }
    packed(words, first.len())
}

/// For which texts `test` holds of where they begin and end, by their ends as Arrow has them.
#[inline(always)]
pub(super) fn tested_ends(ends: &[i32], test: impl Fn(usize, usize) -> bool) -> BooleanBuffer {
    let rows = ends.len() - 1;
    let mut words = Vec::with_capacity(rows.div_ceil(64));
    let mut rest = ends;
    while let Some(block) = rest.first_chunk::<65>() {
        words.push(word(|bit| test(block[bit] as usize, block[bit + 1] as usize)));
        rest = &rest[64..];
    }
    if rest.len() > 1 {
        let one = |bit| rest.get(bit).zip(rest.get(bit + 1));
        words.push(word(|bit| one(bit).is_some_and(|(&start, &end)| test(start as usize, end as usize))));
    }
    packed(words, rows)
}

/// 64 answers in a word. They are bytes first: a loop over bytes becomes vector instructions, one over bits does not.
#[inline(always)]
fn word(test: impl Fn(usize) -> bool) -> u64 {
    /// Moves the lowest bit of each byte into the highest byte, in order.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut answers = [0u8; 64];
    for (bit, answer) in answers.iter_mut().enumerate() {
        *answer = u8::from(test(bit));
    }
    let (eights, _) = answers.as_chunks::<8>();
    let bytes = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    bytes.enumerate().fold(0, |word, (at, byte)| word | byte << (8 * at))
}

fn packed(words: Vec<u64>, rows: usize) -> BooleanBuffer {
    BooleanBuffer::new(Buffer::from_vec(words), 0, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_in_the_order_of_the_rows() {
        for rows in [0, 1, 7, 8, 63, 64, 65, 200] {
            let values: Vec<u32> = (0..rows).collect();
            let odd = |value: u32| value.wrapping_mul(2_654_435_761) >> 31 == 1;
            let expected: Vec<bool> = values.iter().map(|&value| odd(value)).collect();
            assert_eq!(tested(&values, odd), BooleanBuffer::from(expected), "{rows} rows");
            let others: Vec<u32> = values.iter().map(|value| value ^ 1).collect();
            let expected: Vec<bool> = values.iter().zip(&others).map(|(one, other)| one < other).collect();
            assert_eq!(tested_pairs(&values, &others, |one, other| one < other), expected.into());
            let mut ends = vec![5];
            ends.extend(values.iter().scan(5, |end, &value| {
                *end += i32::from(odd(value));
                Some(*end)
            }));
            let expected: Vec<bool> = values.iter().map(|&value| odd(value)).collect();
            assert_eq!(tested_ends(&ends, |start, end| start < end), expected.into());
        }
    }
}
