//! What is asked of each row of a column of text.

use super::among::{Among, Ask};
use super::vector::{Values, Vector, tested_ends};
use crate::expr::program::{Comparison, TextTest};
use arrow_array::{Array, StringArray};
use arrow_buffer::BooleanBuffer;
use memchr::memmem::Finder;
use regex::Regex;

/// A question with its answer's half already known.
#[derive(Clone, Debug)]
pub(super) enum TextKernel {
    Among(Among),
    NotAmong(Among),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Box<Finder<'static>>),
    Order(Comparison, Box<str>),
    Matches(Regex),
}

impl TextKernel {
    pub(super) fn literal(test: TextTest, literal: &str) -> Self {
        let text = || literal.into();
        match test {
            TextTest::Is => TextKernel::Among(Among::new(vec![text()])),
            TextTest::IsNot => TextKernel::NotAmong(Among::new(vec![text()])),
            TextTest::StartsWith => TextKernel::StartsWith(text()),
            TextTest::EndsWith => TextKernel::EndsWith(text()),
            TextTest::Contains => TextKernel::Contains(Box::new(Finder::new(literal).into_owned())),
        }
    }

    /// Of the rows that are wanted; the others are false. False of null too.
    pub(super) fn run(&self, of: Vector, wanted: Option<&BooleanBuffer>) -> Vector {
        let texts = of.texts();
        let rows = Rows { texts, wanted };
        let mut holds = match self {
            TextKernel::Among(among) => among.found(rows),
            TextKernel::NotAmong(among) => !&among.found(rows),
            TextKernel::StartsWith(literal) => rows.test(|text| text.starts_with(literal.as_bytes())),
            TextKernel::EndsWith(literal) => rows.test(|text| text.ends_with(literal.as_bytes())),
            TextKernel::Contains(finder) => rows.test(|text| finder.find(text).is_some()),
            TextKernel::Order(comparison, literal) => {
                rows.test(|text| comparison.holds(text.cmp(literal.as_bytes())))
            }
            TextKernel::Matches(regex) => rows.test_text(|text| regex.is_match(text)),
        };
        if let Some(valid) = &of.valid {
            holds &= valid;
        }
        Vector { faults: of.faults, ..Vector::of(Values::Bool(holds)) }
    }
}

/// How many characters each text has.
pub(super) fn sizes(texts: &StringArray) -> Vec<i64> {
    let (bytes, ends) = (texts.value_data(), texts.value_offsets());
    let lengths = ends.windows(2).map(|ends| i64::from(ends[1] - ends[0]));
    let (first, last) = (ends[0] as usize, ends[ends.len() - 1] as usize);
    if bytes[first..last].is_ascii() {
        return lengths.collect();
    }
    // Every byte begins a character but for those that go on with one, which are the smallest of all as signed numbers.
    let goes_on = |byte: &&u8| (**byte as i8) < -64;
    let begun = |ends: &[i32]| {
        let text = &bytes[ends[0] as usize..ends[1] as usize];
        text.len() as i64 - text.iter().filter(goes_on).count() as i64
    };
    ends.windows(2).map(begun).collect()
}

impl Ask for Rows<'_> {
    #[inline(always)]
    fn ask(&self, test: impl Fn(&[u8], usize, usize) -> bool) -> BooleanBuffer {
        self.test_range(test)
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

    #[inline(always)]
    fn test_range(&self, test: impl Fn(&[u8], usize, usize) -> bool) -> BooleanBuffer {
        let bytes = self.texts.value_data();
        let ends = self.texts.value_offsets();
        match self.wanted {
            None => tested_ends(ends, |start, end| test(bytes, start, end)),
            Some(_) => self.rows(|row| test(bytes, ends[row] as usize, ends[row + 1] as usize)),
        }
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
