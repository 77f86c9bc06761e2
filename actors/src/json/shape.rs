//! Shapes that messages have had: what stood between their scalars, byte for byte.
//!
//! The messages of a topic differ in their scalars, and seldom in what stands between them: names, punctuation, spaces.
//! What stood there in a message that was scanned is kept as a path of a tree, and the next message is held against that:
//! a comparison of bytes where the scanner would look at each. Where all of a message is known, its shape tells where every
//! path leads, so that nobody has to walk it again ([`super::Known`]).
//!
//! Invariant: the tape is the one that scanning gives. Outside of scalars the scanner goes by bytes alone, which are the
//! same here, and scalars are read by the scanner's own rules; where no known text follows, the scanner goes on.
//! Deliberately absent: faults. Whatever is wrong with a message is for the scanner to find.

use super::scan::{Node, scalar, skip_space};
use super::{NONE, lanes};
use std::sync::atomic::{AtomicU64, Ordering};

/// Most texts kept: of a message as long as may be learnt, and of some that differ.
const TEXTS_MAX: usize = 1 << 13;
/// Longest of them.
const TEXT_BYTES_MAX: usize = 256;
/// Most that may stand at one place: each is compared in its turn.
const SIBLINGS_MAX: usize = 16;
/// Values and names of a message that is learnt: a record of two thousand columns. A longer one is seldom as long as the
/// one before.
const NODES_MAX: usize = 1 << 12;
/// Messages of unknown shape until all are forgotten, if there is no room for one's; doubled each time.
const PATIENCE: (u32, u32) = (1 << 10, 1 << 20);
/// Messages that are let pass after there was no room for one's; doubled each time.
const PAUSE_MAX: u32 = 1 << 10;

/// The shape of a message; never that of another tree, nor of this one before it was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) tree: u64,
    pub(super) leaf: u32,
}

/// How far a message was known.
pub(super) enum Followed {
    /// To its end.
    Whole(Shape),
    /// Up to here, where a scalar ends or the message begins.
    Until(usize),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shapes {
    tree: u64,
    texts: Vec<Text>,
    first: u32,
    misses: u32,
    patience: u32,
    pause: u32,
    pausing: u32,
}

/// A message that was scanned.
struct Scanned<'m> {
    bytes: &'m [u8],
    nodes: &'m [Node],
    /// Those of the nodes that are containers, with their indices.
    containers: Vec<(usize, &'m Node)>,
}

/// What stands before a scalar, or at the end.
#[derive(Debug)]
struct Text {
    /// Its first sixteen bytes, and which bits of these there are.
    head: u128,
    mask: u128,
    bytes: Box<[u8]>,
    is_last: bool,
    names: Box<[Begun]>,
    ended: Box<[Ended]>,
    /// What may stand in its place.
    sibling: u32,
    /// What may follow after the scalar.
    next: u32,
}

/// A name, or a container that begins; counted from the start of the text.
#[derive(Clone, Copy, Debug)]
struct Begun {
    start: u32,
    end: u32,
    meta: u32,
}

/// A container that ends.
#[derive(Clone, Copy, Debug)]
struct Ended {
    node: u32,
    end: u32,
    after: u32,
}

impl Default for Shapes {
    fn default() -> Self {
        let patience = PATIENCE.0;
        Self { tree: 0, texts: Vec::new(), first: NONE, misses: 0, patience, pause: 1, pausing: 0 }
    }
}

impl Shapes {
    /// Writes to `nodes`, which is empty, what is known of the message.
    pub(super) fn follow(&self, bytes: &[u8], nodes: &mut Vec<Node>) -> Followed {
        let (mut at, mut candidate) = (0, self.first);
        loop {
            let Some(text) = self.texts.get(candidate as usize) else { return Followed::Until(at) };
            candidate = match text.end_at(bytes, at) {
                Some(end) if text.is_last => {
                    if end == bytes.len() {
                        text.note_all(at as u32, nodes);
                        return Followed::Whole(Shape { tree: self.tree, leaf: candidate });
                    }
                    text.sibling
                }
                Some(end) => match scalar(bytes, end) {
                    Ok(node) => {
                        text.note(at, node, nodes);
                        at = node.end as usize;
                        text.next
                    }
                    // Another text may be longer; if there is none, the scanner says what is wrong.
                    Err(_) => text.sibling,
                },
                None => text.sibling,
            };
        }
    }

    /// Keeps the shape of a message that was scanned, where there is room.
    #[cold]
    pub(super) fn learn(&mut self, bytes: &[u8], nodes: &[Node]) {
        if nodes.len() > NODES_MAX {
            return;
        }
        self.misses = self.misses.saturating_add(1);
        if self.pausing > 0 {
            self.pausing -= 1;
        } else if self.add(bytes, nodes) {
            self.pause = 1;
        } else if self.misses < self.patience {
            self.pausing = self.pause;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        } else {
            let patience = (self.patience * 2).min(PATIENCE.1);
            *self = Self { patience, ..Self::default() };
        }
    }

    /// Whether there was room.
    fn add(&mut self, bytes: &[u8], nodes: &[Node]) -> bool {
        if self.texts.is_empty() {
            static TREES: AtomicU64 = AtomicU64::new(1);
            self.tree = TREES.fetch_add(1, Ordering::Relaxed);
        }
        let containers = nodes.iter().enumerate().filter(|(_, node)| is_container(bytes, node));
        let message = Scanned { bytes, nodes, containers: containers.collect() };
        let (mut parent, mut start, mut begun) = (NONE, 0, 0);
        for (index, node) in nodes.iter().enumerate() {
            if is_name(bytes, node) || is_container(bytes, node) {
                continue;
            }
            let range = (start, node.start as usize);
            match self.child(parent, &message, range, begun..index, false) {
                Some(child) => parent = child,
                None => return false,
            }
            (start, begun) = (node.end as usize, index + 1);
        }
        self.child(parent, &message, (start, bytes.len()), begun..nodes.len(), true).is_some()
    }

    /// The text from `start` to `end` of `message` after `parent`, made if it is new; `begun` are the nodes in it.
    fn child(
        &mut self,
        parent: u32,
        message: &Scanned<'_>,
        (start, end): (usize, usize),
        begun: std::ops::Range<usize>,
        is_last: bool,
    ) -> Option<u32> {
        let Scanned { bytes, nodes, containers } = message;
        let shown = &bytes[start..end];
        let (mut at, mut last, mut count) = (self.next_of(parent), NONE, 0);
        while let Some(text) = self.texts.get(at as usize) {
            if *text.bytes == *shown && text.is_last == is_last {
                return Some(at);
            }
            (last, at, count) = (at, text.sibling, count + 1);
        }
        if count == SIBLINGS_MAX || self.texts.len() == TEXTS_MAX || shown.len() > TEXT_BYTES_MAX {
            return None;
        }
        let names = nodes[begun.clone()].iter().map(|node| Begun {
            start: node.start - start as u32,
            end: if is_container(bytes, node) { 0 } else { node.end - start as u32 },
            meta: if is_container(bytes, node) { 0 } else { node.meta },
        });
        let ends_here = |node: &Node| (start + 1..=end).contains(&(node.end as usize));
        let ended = containers.iter().filter(|(index, node)| *index < begun.end && ends_here(node));
        let ended = ended.map(|(index, node)| Ended {
            node: *index as u32,
            end: node.end - start as u32,
            after: node.meta,
        });
        let mut head = [0; 16];
        let length = shown.len().min(16);
        head[..length].copy_from_slice(&shown[..length]);
        let new = self.texts.len() as u32;
        self.texts.push(Text {
            head: u128::from_le_bytes(head),
            mask: if length == 0 { 0 } else { u128::MAX >> (128 - 8 * length) },
            bytes: shown.into(),
            is_last,
            names: names.collect(),
            ended: ended.collect(),
            sibling: NONE,
            next: NONE,
        });
        match (self.texts.get_mut(last as usize), parent) {
            (Some(text), _) => text.sibling = new,
            (None, NONE) => self.first = new,
            (None, parent) => self.texts[parent as usize].next = new,
        }
        Some(new)
    }

    fn next_of(&self, parent: u32) -> u32 {
        self.texts.get(parent as usize).map_or(self.first, |text| text.next)
    }
}

impl Text {
    /// Where it ends if it stands at `at`.
    #[inline(always)]
    fn end_at(&self, bytes: &[u8], at: usize) -> Option<usize> {
        // There is no NUL in a text, so where it is found the message does not end before it.
        if (lanes::chunk(bytes, at) ^ self.head) & self.mask != 0 {
            return None;
        }
        if self.bytes.len() > 16 && !bytes[at..].starts_with(&self.bytes) {
            return None;
        }
        // Both are lengths of slices: their sum does not overflow.
        Some(at.wrapping_add(self.bytes.len()))
    }

    /// Notes the names and containers of a text that stands at `at`, and the scalar behind it.
    #[inline(always)]
    fn note(&self, at: usize, scalar: Node, nodes: &mut Vec<Node>) {
        let at = at as u32;
        match (&*self.names, self.ended.is_empty()) {
            // Mostly it is a member's name and no more.
            ([name], true) => nodes.extend_from_slice(&[name.at(at), scalar]),
            _ => {
                self.note_all(at, nodes);
                nodes.push(scalar);
            }
        }
    }

    fn note_all(&self, at: u32, nodes: &mut Vec<Node>) {
        nodes.extend(self.names.iter().map(|begun| begun.at(at)));
        for ended in &self.ended {
            let node = &mut nodes[ended.node as usize];
            node.end = at.wrapping_add(ended.end);
            node.meta = ended.after;
        }
    }
}

impl Begun {
    /// Of a text at `at`. Positions are at most a message's length.
    #[inline(always)]
    fn at(&self, at: u32) -> Node {
        Node { start: at.wrapping_add(self.start), end: at.wrapping_add(self.end), meta: self.meta }
    }
}

fn is_container(bytes: &[u8], node: &Node) -> bool {
    matches!(bytes[node.start as usize], b'{' | b'[')
}

/// A colon follows names alone.
fn is_name(bytes: &[u8], node: &Node) -> bool {
    bytes.get(skip_space(bytes, node.end as usize)) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Known, KnownEach, Paths, Step, Tape};

    /// Messages as one topic has them: of a few shapes, and of others that begin like them.
    const MESSAGES: [&str; 15] = [
        r#"{"symbol":"A","price":1.5,"size":-2e3,"open":true,"note":null}"#,
        r#"{"symbol":"A","price":1.5,"size":-2e3,"open":true,"note":null,"more":1}"#,
        r#"{"symbol":"a rather long \"text\" with \u00e9","price":"1.5","size":0,"open":{},"note":[]}"#,
        r#"{ "symbol" : "A", "price" : 1.5 , "a_name_longer_than_sixteen_bytes" : [ 1, 2 ] } "#,
        r#"{"data":[{"p":1,"q":"2"},{"p":3,"q":"4"}],"type":"trade"}"#,
        r#"{"data":[{"p":1,"q":"2"}],"type":"trade"}"#,
        r#"{"data":[{"p":1,"q":"2"},{"p":3}],"type":"trade"}"#,
        r#"{"data":{"x":{"p":1,"q":[[]]},"y":{"p":3,"q":{}}},"type":"trade"}"#,
        r#"{"a\"b":1,"p":1,"p":{"p":2},"data":[],"data":[{"p":9}]}"#,
        r#"[[1,2],[3,4],[]]"#,
        r#"[]"#,
        r#"{}"#,
        r#"17"#,
        r#"{"p":[{"p":[{"p":[0]}]}]}"#,
        r#" {"p":1}"#,
    ];

    fn nodes(tape: &Tape) -> Vec<(u32, u32, u32)> {
        tape.nodes.iter().map(|node| (node.start, node.end, node.meta)).collect()
    }

    /// One tape that remembers, beside a new one for each message.
    #[derive(Default)]
    struct Beside {
        tape: Tape,
        known: Known,
        each: KnownEach,
    }

    impl Beside {
        /// Whether the message's shape was known.
        fn scan(&mut self, text: &str) -> bool {
            let (mut new, mut paths) = (Tape::default(), Paths::default());
            let scanned = new.scan(text);
            assert_eq!(self.tape.scan(text), scanned, "{text}");
            if scanned.is_err() {
                return false;
            }
            assert_eq!(nodes(&self.tape), nodes(&new), "{text}");
            assert!(self.tape.open.is_empty() || self.tape.shape.is_none(), "{text}");
            let tokens: [&[&str]; 6] =
                [&["data"], &["data", "0", "p"], &["p", "p"], &["symbol"], &["type"], &["1", "0"]];
            for tokens in tokens {
                paths.slot(&tokens.iter().map(|token| Step::from_token(token)).collect::<Vec<_>>());
            }
            let (document, mut found) = (Document::new(text, &self.tape), Vec::new());
            paths.resolve(document.node(0), &document, &mut found);
            self.known.resolve(&paths, &document);
            assert_eq!(self.known.found(), found, "{text}");
            if let Some(values) = document.node(0).member("data")
                && let Some(all) = self.each.resolve(&paths, values, &document)
            {
                for ((_, value), known) in values.children().zip(all.chunks_exact(paths.len())) {
                    paths.resolve(value, &document, &mut found);
                    assert_eq!(known, found, "{text}");
                }
                assert_eq!(all.len(), values.len() * paths.len(), "{text}");
            }
            self.tape.shape.is_some()
        }
    }

    #[test]
    fn what_was_seen_is_known_and_scalars_do_not_matter() {
        let mut beside = Beside::default();
        for round in 0..3 {
            for text in MESSAGES {
                assert_eq!(beside.scan(text), round > 0, "{text}");
            }
        }
        assert!(beside.scan(r#""text""#) && beside.scan("false"));
        assert!(
            beside.scan(
                r#"{"symbol":null,"price":"\n","size":false,"open":0,"note":"a longer one than before"}"#
            )
        );
        assert!(!beside.scan(r#"{"symbol":null,"price":"\n","size":false,"open":0,"nota":1}"#));
    }

    #[test]
    fn any_change_of_a_known_message_is_scanned_as_if_it_was_new() {
        let mut random = fastrand::Rng::with_seed(21);
        let mut beside = Beside::default();
        let bytes = br#"{}[]",:\-+.eE0123456789 tfnu/p"#;
        for round in 0..60_000 {
            let mut text = MESSAGES[random.usize(..MESSAGES.len())].as_bytes().to_vec();
            for _ in 0..random.usize(0..3) {
                let at = random.usize(..=text.len());
                match random.u8(..4) {
                    0 if at < text.len() => text[at] = bytes[random.usize(..bytes.len())],
                    1 => text.insert(at, bytes[random.usize(..bytes.len())]),
                    2 if at < text.len() => _ = text.remove(at),
                    _ if random.u8(..4) == 0 => text.truncate(at),
                    _ => {}
                }
            }
            let text = String::from_utf8(text).expect("ASCII");
            beside.scan(&text);
            // With few texts kept, much is known only in part.
            if round % 2_000 == 0 {
                beside.tape = Tape::default();
            }
        }
    }

    #[test]
    fn where_no_room_is_left_all_is_forgotten_in_time() {
        let mut beside = Beside::default();
        for number in 0..PATIENCE.0 * 4 {
            beside.scan(&format!(r#"{{"{number}":{{"price":1,"size":2}},"b":{number}}}"#));
        }
        let known = (0..4).map(|_| beside.scan(MESSAGES[0]));
        // Learning may be pausing.
        assert!(known.last() == Some(true) || beside.tape.shapes.pausing > 0);
        for _ in 0..=PAUSE_MAX + PATIENCE.0 * 8 {
            beside.scan(MESSAGES[0]);
        }
        assert!(beside.scan(MESSAGES[0]));
        let long = format!("[{}1]", "1,".repeat(NODES_MAX));
        assert!(!(0..4).any(|_| beside.scan(&long)));
        assert!(beside.tape.shapes.texts.len() <= TEXTS_MAX);
    }

    #[test]
    fn shapes_of_two_tapes_are_never_the_same() {
        let (mut one, mut other, mut known) = (Tape::default(), Tape::default(), Known::default());
        let mut paths = Paths::default();
        let slot = paths.slot(&[Step::from_token("b")]);
        let texts = [r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#];
        for _ in 0..4 {
            for (tape, text) in [(&mut one, texts[0]), (&mut other, texts[1])] {
                tape.scan(text).expect("JSON");
                let document = Document::new(text, tape);
                known.resolve(&paths, &document);
                let found = document.node(known.found()[slot as usize]).source();
                assert_eq!(found, if text == texts[0] { "2" } else { "1" });
            }
        }
    }
}
