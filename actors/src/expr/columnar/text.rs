//! What is asked of each row of a column of text.

use super::vector::{Values, Vector};
use crate::expr::program::{Comparison, TextTest};
use ahash::AHashSet;
use arrow_array::{Array, StringArray};
use arrow_buffer::BooleanBuffer;
use memchr::memmem::Finder;
use regex::Regex;

/// A question with its answer's half already known.
#[derive(Clone, Debug)]
pub(super) enum TextKernel {
    Is(Box<str>),
    IsNot(Box<str>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Box<Finder<'static>>),
    Order(Comparison, Box<str>),
    Among(Vec<Box<str>>),
    AmongMany(AHashSet<Box<str>>),
    Matches(Regex),
}

/// Up to so many texts are compared one after the other: that costs less than the hash of one.
const AMONG_MAX: usize = 6;

impl TextKernel {
    pub(super) fn literal(test: TextTest, literal: &str) -> Self {
        let text = || literal.into();
        match test {
            TextTest::Is => TextKernel::Is(text()),
            TextTest::IsNot => TextKernel::IsNot(text()),
            TextTest::StartsWith => TextKernel::StartsWith(text()),
            TextTest::EndsWith => TextKernel::EndsWith(text()),
            TextTest::Contains => TextKernel::Contains(Box::new(Finder::new(literal).into_owned())),
        }
    }

    pub(super) fn among(texts: Vec<Box<str>>) -> Self {
        if texts.len() <= AMONG_MAX {
            TextKernel::Among(texts)
        } else {
            TextKernel::AmongMany(texts.into_iter().collect())
        }
    }

    /// Of the rows that are wanted; the others are false. False of null too.
    pub(super) fn run(&self, of: Vector, wanted: Option<&BooleanBuffer>) -> Vector {
        let texts = of.texts();
        let rows = Rows { texts, wanted };
        let mut holds = match self {
            TextKernel::Is(literal) => rows.of_length(literal.len(), |text| *text == *literal.as_bytes()),
            TextKernel::IsNot(literal) => {
                !&rows.of_length(literal.len(), |text| *text == *literal.as_bytes())
            }
            TextKernel::StartsWith(literal) => rows.test(|text| text.starts_with(literal.as_bytes())),
            TextKernel::EndsWith(literal) => rows.test(|text| text.ends_with(literal.as_bytes())),
            TextKernel::Contains(finder) => rows.test(|text| finder.find(text).is_some()),
            TextKernel::Order(comparison, literal) => {
                rows.test(|text| comparison.holds(text.cmp(literal.as_bytes())))
            }
            TextKernel::Among(among) => rows.test(|text| among.iter().any(|one| *one.as_bytes() == *text)),
            TextKernel::AmongMany(among) => rows.test_text(|text| among.contains(text)),
            TextKernel::Matches(regex) => rows.test_text(|text| regex.is_match(text)),
        };
        if let Some(valid) = &of.valid {
            holds &= valid;
        }
        Vector { faults: of.faults, ..Vector::of(Values::Bool(holds)) }
    }
}

struct Rows<'r> {
    texts: &'r StringArray,
    wanted: Option<&'r BooleanBuffer>,
}

impl Rows<'_> {
    #[inline(always)]
    fn test(&self, test: impl Fn(&[u8]) -> bool) -> BooleanBuffer {
        self.test_range(|bytes, start, end| test(&bytes[start..end]))
    }

    /// Only texts of that length are looked at.
    #[inline(always)]
    fn of_length(&self, length: usize, test: impl Fn(&[u8]) -> bool) -> BooleanBuffer {
        self.test_range(|bytes, start, end| end - start == length && test(&bytes[start..end]))
    }

    #[inline(always)]
    fn test_range(&self, test: impl Fn(&[u8], usize, usize) -> bool) -> BooleanBuffer {
        let bytes = self.texts.value_data();
        let ends = self.texts.value_offsets();
        let at = |row: usize| test(bytes, ends[row] as usize, ends[row + 1] as usize);
        self.rows(at)
    }

    #[inline(always)]
    fn test_text(&self, test: impl Fn(&str) -> bool) -> BooleanBuffer {
        self.rows(|row| test(self.texts.value(row)))
    }

    #[inline(always)]
    fn rows(&self, test: impl Fn(usize) -> bool) -> BooleanBuffer {
        let rows = self.texts.len();
        match self.wanted {
            None => BooleanBuffer::collect_bool(rows, test),
            Some(wanted) => BooleanBuffer::collect_bool(rows, |row| wanted.value(row) && test(row)),
        }
    }
}
