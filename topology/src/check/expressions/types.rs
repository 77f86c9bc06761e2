//! The types a value of an expression may have: a set, because a message may hold anything.
//!
//! The members are the evaluator's own kinds of value, so that what is said here of a set is what happens to each.

use crate::model::FieldType;
use std::ops::{BitAnd, BitOr};

/// A set of kinds of value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u16);

impl Types {
    pub(super) const NONE: Self = Self(0);
    /// Absent or null.
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOL: Self = Self(1 << 1);
    pub(super) const INT: Self = Self(1 << 2);
    pub(super) const DOUBLE: Self = Self(1 << 3);
    pub(super) const DECIMAL: Self = Self(1 << 4);
    /// A number of the message: it becomes what it meets.
    pub(super) const NUMBER: Self = Self(1 << 5);
    /// A number that was written with digits after its point: the same, and never whole.
    pub(super) const FRACTION: Self = Self(1 << 6);
    pub(super) const TEXT: Self = Self(1 << 7);
    pub(super) const TIME: Self = Self(1 << 8);
    pub(super) const DURATION: Self = Self(1 << 9);
    /// An array or object of the message.
    pub(super) const PART: Self = Self(1 << 10);
    /// A list that the expression makes.
    pub(super) const LIST: Self = Self(1 << 11);

    /// What nothing is known of, or what is refused already: fits everywhere.
    pub(super) const ANY: Self = Self((1 << 12) - 1);
    /// What a place in the message may hold.
    pub(super) const MESSAGE: Self =
        Self(Self::NULL.0 | Self::BOOL.0 | Self::NUMBER.0 | Self::TEXT.0 | Self::PART.0);
    /// All that is a number.
    pub(super) const NUMBERS: Self =
        Self(Self::INT.0 | Self::DOUBLE.0 | Self::DECIMAL.0 | Self::NUMBER.0 | Self::FRACTION.0);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a value may be of both.
    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Without null: what is judged, as null is what a message may lack at any time.
    pub(super) fn present(self) -> Self {
        Self(self.0 & !Self::NULL.0)
    }

    /// The members, one by one.
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        (0..12).map(|bit| Self(1 << bit)).filter(move |one| self.meets(*one))
    }

    /// Whether some value of `self` can be equal to some value of `other`, null apart.
    pub(super) fn comparable(self, other: Self) -> bool {
        let alike = [Self::TEXT, Self::BOOL, Self::TIME, Self::DURATION, Self::NUMBERS];
        alike.into_iter().any(|alike| self.meets(alike) && other.meets(alike))
    }

    /// In words: `text or a number`. Null is left out unless there is nothing else.
    pub(super) fn words(self) -> String {
        let present = self.present();
        if present.is_empty() {
            return "null".to_owned();
        }
        let anything = Self::MESSAGE.present();
        if present & anything == anything {
            return "a value of the message".to_owned();
        }
        let numbers = match present & Self::NUMBERS {
            Self::NONE => None,
            Self::INT => Some("a whole number"),
            Self::DOUBLE => Some("a double"),
            Self::DECIMAL => Some("a decimal"),
            _ => Some("a number"),
        };
        let others = [
            (Self::TEXT, "text"),
            (Self::BOOL, "true or false"),
            (Self::TIME, "a timestamp"),
            (Self::DURATION, "a duration"),
            (Self::PART, "an array or object"),
            (Self::LIST, "a list"),
        ];
        let others = others.into_iter().filter(|(types, _)| present.meets(*types)).map(|(_, word)| word);
        numbers.into_iter().chain(others).collect::<Vec<_>>().join(" or ")
    }
}

impl BitOr for Types {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl BitAnd for Types {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What a field of the row is in an expression.
pub(super) fn of_field(kind: FieldType, nullable: bool) -> Types {
    let types = match kind {
        // A json field is the text of its subtree.
        FieldType::Text | FieldType::Json => Types::TEXT,
        FieldType::Int64 => Types::INT,
        FieldType::Float64 => Types::DOUBLE,
        FieldType::Decimal { .. } => Types::DECIMAL,
        FieldType::Bool => Types::BOOL,
        FieldType::Timestamp => Types::TIME,
    };
    if nullable { types | Types::NULL } else { types }
}

/// What can become a value of a field, as the normalizer reads it; with `map`, by way of its text.
pub(super) fn becomes(kind: FieldType, mapped: bool) -> Types {
    let written = Types::TEXT | Types::INT | Types::DECIMAL | Types::NUMBER;
    let digits = written | Types::FRACTION;
    if mapped {
        return digits | Types::DOUBLE | Types::BOOL | Types::TIME | Types::DURATION;
    }
    match kind {
        FieldType::Text => digits | Types::DOUBLE | Types::BOOL | Types::TIME,
        FieldType::Json => digits | Types::BOOL | Types::PART,
        FieldType::Bool => Types::BOOL,
        FieldType::Int64 => written,
        FieldType::Float64 | FieldType::Decimal { .. } => digits | Types::DOUBLE,
        FieldType::Timestamp => digits | Types::TIME,
    }
}

#[cfg(test)]
mod tests {
    use super::Types;

    #[test]
    fn words_for_people() {
        assert_eq!(Types::MESSAGE.words(), "a value of the message");
        assert_eq!((Types::INT | Types::NULL).words(), "a whole number");
        assert_eq!((Types::INT | Types::TEXT).words(), "a whole number or text");
        assert_eq!((Types::INT | Types::DOUBLE).words(), "a number");
        assert_eq!(Types::NULL.words(), "null");
    }
}
