//! Reads a scanned message.

use super::scan::{ESCAPED, Node, Tape};
use super::shape::Shape;
use super::unescape::unescape;
use std::borrow::Cow;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{..}`
    Object,
    /// `[..]`
    Array,
    /// `".."`
    String,
    /// A number, kept as its text.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

/// A value that is one piece of text.
#[derive(Clone, Copy, Debug)]
pub struct Scalar<'a> {
    /// What it is.
    pub kind: ScalarKind,
    /// The message from the value on; of a string, from behind its quote on. So more than one byte can be looked at together.
    pub rest: &'a [u8],
    /// How many bytes of it are the value.
    pub length: usize,
}

/// What a [`Scalar`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// A string that needs no unescaping.
    Plain,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

impl<'a> Scalar<'a> {
    /// Its bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        &self.rest[..self.length]
    }
}

/// A message and its tape.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    text: &'a str,
    nodes: &'a [Node],
    pub(super) shape: Option<Shape>,
}

impl<'a> Document<'a> {
    /// `text` as `tape` has just scanned it.
    pub fn new(text: &'a str, tape: &'a Tape) -> Self {
        Self { text, nodes: &tape.nodes, shape: tape.shape }
    }

    /// The value of index `index`; 0 is the whole message.
    pub fn node(&'a self, index: u32) -> NodeRef<'a> {
        NodeRef { document: self, index }
    }

    /// The value of index `index`, if it is one piece of text.
    #[inline(always)]
    pub fn scalar(&self, index: u32) -> Option<Scalar<'a>> {
        let node = self.nodes.get(index as usize)?;
        let rest = self.text.as_bytes().get(node.start as usize..)?;
        // A node ends after it starts, a string two bytes after it at least.
        let length = node.end.wrapping_sub(node.start) as usize;
        let kind = match *rest.first()? {
            b'"' if node.meta == ESCAPED => return None,
            b'"' => {
                return Some(Scalar {
                    kind: ScalarKind::Plain,
                    rest: &rest[1..],
                    length: length.wrapping_sub(2),
                });
            }
            b'-' | b'0'..=b'9' => ScalarKind::Number,
            b't' | b'f' => ScalarKind::Bool,
            _ => return None,
        };
        Some(Scalar { kind, rest, length })
    }

    pub(super) fn raw(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    pub(super) fn first_byte(&self, index: u32) -> u8 {
        self.text.as_bytes()[self.raw(index).start as usize]
    }

    /// The index of the value after this one and its descendants.
    #[inline]
    pub(super) fn after(&self, index: u32) -> u32 {
        match self.first_byte(index) {
            b'{' | b'[' => self.raw(index).meta,
            _ => index + 1,
        }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }
}

/// One value of a message.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'a> {
    document: &'a Document<'a>,
    index: u32,
}

impl<'a> NodeRef<'a> {
    /// Its place on the tape.
    pub fn index(self) -> u32 {
        self.index
    }

    /// What it is.
    #[inline]
    pub fn kind(self) -> Kind {
        match self.document.first_byte(self.index) {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Its bytes as they came; a string with its quotes.
    #[inline]
    pub fn source(self) -> &'a str {
        let node = self.document.raw(self.index);
        &self.document.text[node.start as usize..node.end as usize]
    }

    /// The text of a string that needs no unescaping.
    #[inline]
    pub fn plain_text(self) -> Option<&'a str> {
        let node = self.document.raw(self.index);
        if self.document.first_byte(self.index) != b'"' || node.meta == ESCAPED {
            return None;
        }
        Some(&self.document.text[node.start as usize + 1..node.end as usize - 1])
    }

    /// The text of a string; `None` for other values, and for a string with a lone surrogate.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if let Some(text) = self.plain_text() {
            return Some(Cow::Borrowed(text));
        }
        if self.kind() != Kind::String {
            return None;
        }
        let source = self.source();
        unescape(&source[1..source.len() - 1]).ok().map(Cow::Owned)
    }

    /// The elements of an array, or the values of an object's members; nothing for a scalar.
    pub fn children(self) -> impl Iterator<Item = (Option<NodeRef<'a>>, NodeRef<'a>)> + use<'a> {
        let document = self.document;
        let (kind, end) = (self.kind(), document.after(self.index));
        let mut next = if matches!(kind, Kind::Object | Kind::Array) { self.index + 1 } else { end };
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let name = (kind == Kind::Object).then(|| {
                next += 1;
                document.node(next - 1)
            });
            let value = document.node(next);
            next = document.after(next);
            Some((name, value))
        })
    }

    /// The member of that name; of several the last.
    pub fn member(self, name: &str) -> Option<NodeRef<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        self.children()
            .filter(|(found, _)| found.and_then(NodeRef::text).is_some_and(|found| found == name))
            .last()
            .map(|(_, value)| value)
    }

    /// The element at `index`.
    pub fn element(self, index: usize) -> Option<NodeRef<'a>> {
        if self.kind() != Kind::Array {
            return None;
        }
        self.children().nth(index).map(|(_, value)| value)
    }

    /// How many elements or members.
    pub fn len(self) -> usize {
        self.children().count()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.children().next().is_none()
    }

    /// Why PostgreSQL's `jsonb` would refuse these bytes, if it would: U+0000, a lone surrogate, a number without measure.
    pub fn jsonb_fault(self) -> Option<&'static str> {
        let end = self.document.after(self.index);
        (self.index..end).find_map(|index| {
            let node = self.document.node(index);
            match node.kind() {
                Kind::String if node.plain_text().is_none() => match node.text() {
                    None => Some("a lone surrogate"),
                    Some(text) if text.contains('\0') => Some("U+0000"),
                    Some(_) => None,
                },
                Kind::Number => {
                    let source = node.source();
                    let exponent = source.split(['e', 'E']).nth(1)?.trim_start_matches(['+', '-', '0']);
                    (exponent.len() > 4 || source.len() > 16_000).then_some("a number beyond numeric")
                }
                _ => None,
            }
        })
    }
}
