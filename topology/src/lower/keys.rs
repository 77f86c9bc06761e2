//! A mapping with a closed list of keys, taken from the catalog.
//!
//! Invariant: only listed keys can be asked for, and by `close` every listed key has been asked for (a test build asserts it),
//! so the catalog and lowering cannot drift apart.

use super::Context;
use crate::Span;
use crate::catalog::{Key, Place, ours};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::syntax::{Mapping, Node, shortened};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The open mapping.
pub(crate) struct Keys<'a> {
    mapping: &'a Mapping,
    lists: Vec<&'static [Key]>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Keys<'a> {
    /// Opens `node`, reporting keys that are unknown or missing. `what` names the part in messages: "a supervisor".
    pub(crate) fn open(
        cx: &Context<'_>,
        node: &'a Node,
        place: Place,
        what: &str,
        lists: &[&'static [Key]],
    ) -> Option<Self> {
        let Some(mapping) = node.mapping() else {
            let message = format!("{what} is a mapping, not {}", node.describe());
            cx.report(Diagnostic::error(Code::WrongType, node.span, message).help_if(keys_help(lists)));
            return None;
        };
        let keys = Self { mapping, lists: lists.to_vec(), asked: RefCell::default() };
        keys.refuse_unknown(cx, place, what);
        keys.refuse_missing(cx, node, what);
        Some(keys)
    }

    /// The value of a listed key; none if it is absent. An empty value counts as absent.
    pub(crate) fn get(&self, name: &'static str) -> Option<&'a Node> {
        assert!(self.listed().any(|key| key.name == name), "invariant: the catalog lists the key `{name}`");
        self.asked.borrow_mut().insert(name);
        self.mapping.get(name).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// Where a key was written.
    pub(crate) fn key_span(&self, name: &str) -> Option<Span> {
        self.mapping.get(name).map(|entry| entry.key.span)
    }

    /// Ends the reading.
    pub(crate) fn close(self) {
        if cfg!(test) {
            let asked = self.asked.borrow();
            let unread: Vec<&str> =
                self.listed().map(|key| key.name).filter(|name| !asked.contains(name)).collect();
            assert!(unread.is_empty(), "the catalog lists keys that lowering never reads: {unread:?}");
        }
    }

    fn listed(&self) -> impl Iterator<Item = &'static Key> {
        self.lists.iter().copied().flatten()
    }

    fn refuse_unknown(&self, cx: &Context<'_>, place: Place, what: &str) {
        for entry in &self.mapping.entries {
            let name = entry.key.value.as_str();
            if self.listed().any(|key| key.name == name) {
                if entry.value.is_null() && self.listed().any(|key| key.name == name && !key.required) {
                    let message = format!("`{name}` has no value");
                    cx.report(
                        Diagnostic::error(Code::MissingKey, entry.key.span, message)
                            .help("give it one, or leave the key out"),
                    );
                }
                continue;
            }
            cx.report(self.unknown(name, entry.key.span, place, what));
        }
    }

    fn unknown(&self, name: &str, span: Span, place: Place, what: &str) -> Diagnostic {
        if let Some(ours) = ours(place, name) {
            return Diagnostic::error(
                Code::ForeignWord,
                span,
                format!("`{name}` is not a word of this language"),
            )
            .help(format!("write {ours}"));
        }
        let near = nearest(name, self.listed().map(|key| key.name));
        let help = near.map(|near| format!("did you mean `{near}`?")).or_else(|| keys_help(&self.lists));
        Diagnostic::error(Code::UnknownKey, span, format!("{what} has no key `{}`", shortened(name)))
            .help_if(help)
    }

    /// Whether an unknown key of this mapping is taken for `wanted`.
    fn is_misspelt(&self, wanted: &str) -> bool {
        let unknown = self.mapping.entries.iter().map(|entry| entry.key.value.as_str());
        unknown
            .filter(|name| self.listed().all(|key| key.name != *name))
            .any(|name| nearest(name, self.listed().map(|key| key.name)) == Some(wanted))
    }

    fn refuse_missing(&self, cx: &Context<'_>, node: &Node, what: &str) {
        for key in self.listed().filter(|key| key.required) {
            if self.mapping.get(key.name).is_some_and(|entry| !entry.value.is_null()) {
                continue;
            }
            // The key is there, misspelt: that is said, and this would be the same mistake again.
            if self.mapping.get(key.name).is_none() && self.is_misspelt(key.name) {
                continue;
            }
            let span = self.key_span(key.name).unwrap_or_else(|| start_of(node));
            let finding = Diagnostic::error(Code::MissingKey, span, format!("{what} needs `{}`", key.name));
            cx.report(finding.help(format!("`{}`: {}", key.name, key.doc)));
        }
    }
}

/// The first key, or the opening brace: a short place to point at.
fn start_of(node: &Node) -> Span {
    match node.mapping().and_then(|mapping| mapping.entries.first()) {
        Some(entry) => entry.key.span,
        None => node.span,
    }
}

fn keys_help(lists: &[&'static [Key]]) -> Option<String> {
    let names: Vec<&str> = lists.iter().copied().flatten().map(|key| key.name).collect();
    (!names.is_empty()).then(|| format!("its keys are {}", names.join(", ")))
}
