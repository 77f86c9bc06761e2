//! Many pointers found in one walk.
//!
//! Invariant: what a slot holds after [`Paths::resolve`] is what looking its path up alone would find; of duplicate
//! members the last counts, with all that is below it.

use super::document::Document;
use super::{NONE, NodeRef};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A member of an object.
    Member(String),
    /// An element of an array.
    Element(u32),
    /// A pointer's token of digits: an array's element or an object's member, as the value turns out.
    Either(String, u32),
}

impl Step {
    /// What a JSON pointer's token may mean.
    pub fn from_token(token: &str) -> Self {
        let canonical = token == "0" || !token.starts_with('0');
        match token.parse() {
            Ok(index) if canonical && token.bytes().all(|byte| byte.is_ascii_digit()) => {
                Step::Either(token.to_owned(), index)
            }
            _ => Step::Member(token.to_owned()),
        }
    }
}

/// A set of paths from one root. A slot is the number of a path.
#[derive(Clone, Debug)]
pub struct Paths {
    nodes: Vec<Branch>,
}

#[derive(Clone, Debug, Default)]
struct Branch {
    steps: Vec<(Step, u32)>,
    names: Vec<Name>,
    /// One bit per name, by [`bit`]: most members nobody asked for are passed over by it.
    wanted: u64,
    elements: Vec<(u32, u32)>,
}

/// A member's name, ready to be compared: its first eight bytes as one number, then the whole.
#[derive(Clone, Debug)]
struct Name {
    head: u64,
    text: Box<[u8]>,
    /// Two where a name of digits is also a pointer's token.
    children: Vec<u32>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { nodes: vec![Branch::default()] }
    }
}

impl Paths {
    /// The slot of `steps`; the same path has the same slot. Slot 0 is the root.
    pub fn slot(&mut self, steps: &[Step]) -> u32 {
        let mut at = 0;
        for step in steps {
            let known = self.nodes[at as usize].steps.iter().find(|(known, _)| known == step);
            at = match known {
                Some(&(_, child)) => child,
                None => self.grow(at, step),
            };
        }
        at
    }

    fn grow(&mut self, parent: u32, step: &Step) -> u32 {
        let child = self.nodes.len() as u32;
        self.nodes.push(Branch::default());
        let branch = &mut self.nodes[parent as usize];
        branch.steps.push((step.clone(), child));
        if let Step::Member(name) | Step::Either(name, _) = step {
            branch.wanted |= bit(head(name.as_bytes()));
            match branch.names.iter_mut().find(|known| *known.text == *name.as_bytes()) {
                Some(known) => known.children.push(child),
                None => branch.names.push(Name {
                    head: head(name.as_bytes()),
                    text: name.as_bytes().into(),
                    children: vec![child],
                }),
            }
        }
        if let Step::Element(index) | Step::Either(_, index) = step {
            branch.elements.push((*index, child));
            branch.elements.sort_unstable();
        }
        child
    }

    /// The steps to `slot`.
    pub fn steps(&self, slot: u32) -> Vec<Step> {
        let parent = |child: u32| {
            let of = |branch: &Branch| branch.steps.iter().find(|(_, to)| *to == child).cloned();
            let mut parents = self.nodes.iter().enumerate();
            parents.find_map(|(parent, branch)| Some((parent as u32, of(branch)?.0)))
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut at = slot;
        while let Some((above, step)) = parent(at) {
            steps.push(step);
            at = above;
        }
        steps.reverse();
        steps
    }

    /// How many slots.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no path but the root.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Fills `found` (one per slot) with the values' indices below `root`; [`NONE`] where a path leads nowhere.
    pub fn resolve(&self, root: NodeRef<'_>, document: &Document<'_>, found: &mut Vec<u32>) {
        found.clear();
        found.resize(self.nodes.len(), NONE);
        self.visit(0, root.index(), document, found);
    }

    // Recursion is as deep as the author's longest path.
    fn visit(&self, at: u32, value: u32, document: &Document<'_>, found: &mut [u32]) {
        if found[at as usize] != NONE {
            self.forget(at, found);
        }
        found[at as usize] = value;
        let branch = &self.nodes[at as usize];
        if branch.steps.is_empty() {
            return;
        }
        match document.first_byte(value) {
            b'{' if !branch.names.is_empty() => self.members(branch, value, document, found),
            b'[' if !branch.elements.is_empty() => self.elements(branch, value, document, found),
            _ => {}
        }
    }

    /// Members mostly come in the order of the names, so the search for one begins after the one found last.
    fn members(&self, branch: &Branch, value: u32, document: &Document<'_>, found: &mut [u32]) {
        let end = document.after(value);
        let (mut name, mut expected) = (value + 1, 0);
        while name < end {
            let member = name + 1;
            if let Some(at) = branch.position(document, name, expected) {
                expected = at + 1;
                for &child in &branch.names[at].children {
                    if found[child as usize] == NONE && self.nodes[child as usize].steps.is_empty() {
                        found[child as usize] = member;
                    } else {
                        self.visit(child, member, document, found);
                    }
                }
            }
            name = document.after(member);
        }
    }

    fn elements(&self, branch: &Branch, value: u32, document: &Document<'_>, found: &mut [u32]) {
        let end = document.after(value);
        let (mut element, mut index, mut wanted) = (value + 1, 0, 0);
        while element < end && wanted < branch.elements.len() {
            while let Some(&(_, child)) = branch.elements.get(wanted).filter(|(at, _)| *at == index) {
                self.visit(child, element, document, found);
                wanted += 1;
            }
            element = document.after(element);
            index += 1;
        }
    }

    fn forget(&self, at: u32, found: &mut [u32]) {
        found[at as usize] = NONE;
        for &(_, child) in &self.nodes[at as usize].steps {
            self.forget(child, found);
        }
    }
}

impl Branch {
    /// Which of the names stands at `name`; the one `expected` is tried first.
    #[inline(always)]
    fn position(&self, document: &Document<'_>, name: u32, expected: usize) -> Option<usize> {
        let node = document.raw(name);
        if node.meta != 0 {
            let text = document.node(name).text()?;
            return self.names.iter().position(|known| *known.text == *text.as_bytes());
        }
        let (start, end) = (node.start as usize + 1, node.end as usize - 1);
        let (length, head) = (end - start, head_at(document.bytes(), start, end));
        let is = |known: &Name| {
            known.head == head
                && known.text.len() == length
                && (length <= 8 || *known.text == document.bytes()[start..end])
        };
        if self.names.get(expected).is_some_and(is) {
            return Some(expected);
        }
        if self.wanted & bit(head) == 0 {
            return None;
        }
        self.names.iter().position(is)
    }
}

#[inline(always)]
fn bit(head: u64) -> u64 {
    1 << (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

fn head(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_le_bytes(bytes)
}

/// [`head`] of `bytes[start..end]`, by one load where eight bytes are there.
#[inline(always)]
fn head_at(bytes: &[u8], start: usize, end: usize) -> u64 {
    match bytes.get(start..start + 8) {
        Some(chunk) if start < end => {
            let word = u64::from_le_bytes(chunk.try_into().expect("invariant: a slice of eight bytes"));
            let length = (end - start).min(8) as u32;
            word & (u64::MAX >> (64 - 8 * length))
        }
        _ => head(&bytes[start..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tape;

    /// What each pointer finds in `text`, as source; `-` for nothing.
    fn found(text: &str, pointers: &[&str]) -> Vec<String> {
        let mut paths = Paths::default();
        let slots: Vec<u32> = pointers
            .iter()
            .map(|pointer| paths.slot(&pointer.split('/').skip(1).map(Step::from_token).collect::<Vec<_>>()))
            .collect();
        let mut tape = Tape::default();
        tape.scan(text).unwrap();
        let document = Document::new(text, &tape);
        let mut out = Vec::new();
        paths.resolve(document.node(0), &document, &mut out);
        slots
            .iter()
            .map(|&slot| match out[slot as usize] {
                NONE => "-".to_owned(),
                index => document.node(index).source().to_owned(),
            })
            .collect()
    }

    #[test]
    fn members_elements_and_both() {
        let text =
            r#"{"a":{"b":[10,[20,21],{"c":30}]},"0":"zero","longer_than_eight":1,"longer_than_nine":2,"":3}"#;
        let pointers = [
            "/a/b/0",
            "/a/b/1/1",
            "/a/b/2/c",
            "/a/b/3",
            "/0",
            "/longer_than_eight",
            "/longer_than_nine",
            "/",
        ];
        assert_eq!(found(text, &pointers), ["10", "21", "30", "-", "\"zero\"", "1", "2", "3"]);
        assert_eq!(found(text, &["/a/b/00", "/a/b/c", "/a/x", "/0/1", ""]), ["-", "-", "-", "-", text]);
    }

    #[test]
    fn the_last_of_duplicate_members_counts_with_all_below_it() {
        assert_eq!(found(r#"{"a":1,"a":2}"#, &["/a"]), ["2"]);
        assert_eq!(found(r#"{"a":{"b":1,"c":2},"a":{"b":3}}"#, &["/a/b", "/a/c"]), ["3", "-"]);
        assert_eq!(found(r#"{"a":{"b":1},"a":null}"#, &["/a/b", "/a"]), ["-", "null"]);
    }

    #[test]
    fn an_escaped_name_is_the_name_it_stands_for() {
        assert_eq!(found(r#"{"\u0061b":1,"a\"c":2}"#, &["/ab", "/a\"c"]), ["1", "2"]);
    }

    #[test]
    fn names_at_the_very_end_of_the_text_are_compared_in_full() {
        assert_eq!(found(r#"{"a":1}"#, &["/a", "/ab"]), ["1", "-"]);
        assert_eq!(found(r#"[{"a":1},{"bc":2}]"#, &["/1/bc", "/1/b", "/0/a"]), ["2", "-", "1"]);
    }
}
