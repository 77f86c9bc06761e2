//! Events of the YAML parser into the tree.
//!
//! Invariant: work and memory are bounded by the text's length and by [`limits`]; an alias is paid for before it is copied.

use super::accident::at_syntax_error;
use super::node::{Entry, Mapping, Node, Scalar, Style, Tag, Value};
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::{self, ALIAS_NODES_MAX, DEPTH_MAX, NODES_MAX, SOURCE_BYTES_MAX};
use crate::{Source, Span, Spanned};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

/// The file's one document, as far as it could be read. `None` = nothing to go on with.
pub(crate) fn parse(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    if source.text.len() > SOURCE_BYTES_MAX {
        diagnostics.push(crate::source::too_large());
        return None;
    }
    Builder::new(source, diagnostics).run()
}

/// A list or mapping that is still open.
enum Open {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashMap<String, Span>, merges: Vec<Node>, key: Option<Key> },
}

/// A key that waits for its value; `None` when it was refused.
type Key = Option<Spanned<String>>;

struct Frame {
    open: Open,
    start: usize,
    end: usize,
    anchor: usize,
    tag: Option<Tag>,
    nodes: usize,
}

struct Builder<'a> {
    source: &'a Source,
    diagnostics: &'a mut Vec<Diagnostic>,
    offsets: Offsets,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    alias_nodes: usize,
    root: Option<Node>,
    documents: usize,
}

/// Why reading stopped; the finding is already recorded.
struct Stop;

impl<'a> Builder<'a> {
    fn new(source: &'a Source, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            source,
            diagnostics,
            offsets: Offsets::new(&source.text),
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            alias_nodes: 0,
            root: None,
            documents: 0,
        }
    }

    fn run(mut self) -> Option<Node> {
        let source = self.source;
        let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = self.offsets.byte(error.marker().index());
                    self.diagnostics.push(at_syntax_error(source, at, error.info()));
                    return None;
                }
            };
            let span = Span::new(self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
            if self.event(event, span).is_err() {
                return None;
            }
        }
        self.root
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, span, tag.map(|tag| Tag { text: tag.to_string() }));
                self.count(1, span)?;
                self.keep_anchor(anchor, &node, 1);
                self.place(node, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Open::Sequence(Vec::new()), span, anchor, tag.map(|tag| tag.to_string()))
            }
            Event::MappingStart(anchor, tag) => {
                let open = Open::Mapping {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    merges: Vec::new(),
                    key: None,
                };
                self.open(open, span, anchor, tag.map(|tag| tag.to_string()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, span: Span) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        let finding = Diagnostic::error(Code::NotATopology, span, "the file holds more than one document")
            .label("the second begins here")
            .help("a file is one document: write each into a file of its own");
        self.diagnostics.push(finding);
        Err(Stop)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span, tag: Option<Tag>) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let written = self.source.text.get(span.start..span.end).unwrap_or_default();
        let end = span.start + written.trim_end().len();
        let value =
            Value::Scalar(Scalar { text: text.to_owned(), style, interpolated: false, refused: false });
        Node { span: Span::new(span.start, end), tag, value }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        self.nodes += nodes;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        self.refuse(span, format!("the file has more than {NODES_MAX} values"))
    }

    fn refuse(&mut self, span: Span, message: String) -> Result<(), Stop> {
        self.diagnostics.push(Diagnostic::error(Code::TooLarge, span, message));
        Err(Stop)
    }

    fn open(&mut self, open: Open, span: Span, anchor: usize, tag: Option<String>) -> Result<(), Stop> {
        self.count(1, span)?;
        if self.stack.len() >= DEPTH_MAX {
            return self.refuse(span, format!("values are nested deeper than {DEPTH_MAX}"));
        }
        let tag = tag.map(|text| Tag { text });
        self.stack.push(Frame { open, start: span.start, end: span.end, anchor, tag, nodes: 1 });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        // A flow collection ends with its bracket; a block one with its last child.
        let end = if span.end > span.start { span.end } else { frame.end };
        let value = match frame.open {
            Open::Sequence(nodes) => Value::Sequence(nodes),
            Open::Mapping { entries, seen, merges, .. } => Value::Mapping(self.merged(entries, seen, merges)),
        };
        let node = Node { span: Span::new(frame.start, end.max(frame.start)), tag: frame.tag, value };
        self.keep_anchor(frame.anchor, &node, frame.nodes);
        self.place(node, frame.nodes)
    }

    fn keep_anchor(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some(nodes) = self.anchors.get(&anchor).map(|(_, nodes)| *nodes) else {
            let finding = Diagnostic::error(Code::NotYaml, span, "the alias names a value that contains it")
                .help("an alias repeats a value that is complete");
            self.diagnostics.push(finding);
            return Err(Stop);
        };
        self.alias_nodes += nodes;
        if self.alias_nodes > ALIAS_NODES_MAX {
            return self.refuse(span, format!("aliases repeat more than {ALIAS_NODES_MAX} values"));
        }
        self.count(nodes, span)?;
        let (node, _) = self.anchors[&anchor].clone();
        if self.stack.len() + depth(&node) > DEPTH_MAX {
            return self.refuse(span, format!("values are nested deeper than {DEPTH_MAX}"));
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.end = frame.end.max(span.end);
        }
        self.place_with_end(node, nodes, span.end)
    }

    fn place(&mut self, node: Node, nodes: usize) -> Result<(), Stop> {
        let end = node.span.end;
        self.place_with_end(node, nodes, end)
    }

    fn place_with_end(&mut self, node: Node, nodes: usize, end: usize) -> Result<(), Stop> {
        let Some(frame) = self.stack.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        frame.end = frame.end.max(end);
        frame.nodes += nodes;
        match &mut frame.open {
            Open::Sequence(items) => items.push(node),
            Open::Mapping { entries, seen, merges, key } => match key.take() {
                None => *key = Some(key_of(node, self.diagnostics)),
                Some(None) => {}
                Some(Some(name)) if name.value == "<<" => merges.push(node),
                Some(Some(name)) => match seen.entry(name.value.clone()) {
                    Slot::Occupied(first) => self.diagnostics.push(written_twice(&name, *first.get())),
                    Slot::Vacant(slot) => {
                        slot.insert(name.span);
                        entries.push(Entry { key: name, value: node });
                    }
                },
            },
        }
        Ok(())
    }

    /// Puts the entries of merged mappings behind the mapping's own, which win.
    fn merged(
        &mut self,
        mut entries: Vec<Entry>,
        mut seen: HashMap<String, Span>,
        merges: Vec<Node>,
    ) -> Mapping {
        let mut bases = Vec::new();
        for merge in merges {
            match merge.value {
                Value::Sequence(nodes) => bases.extend(nodes),
                _ => bases.push(merge),
            }
        }
        for base in bases {
            let span = base.span;
            match base.value {
                Value::Mapping(mapping) => {
                    let fresh = mapping
                        .entries
                        .into_iter()
                        .filter(|entry| seen.insert(entry.key.value.clone(), entry.key.span).is_none());
                    entries.extend(fresh);
                }
                _ => self.diagnostics.push(
                    Diagnostic::error(Code::NotAKey, span, "`<<` takes a mapping, or a list of mappings")
                        .help("give it an alias of a mapping: `<<: *base`"),
                ),
            }
        }
        Mapping { entries }
    }
}

fn written_twice(name: &Spanned<String>, first: Span) -> Diagnostic {
    Diagnostic::error(Code::DuplicateKey, name.span, format!("`{}` is written twice", shortened(&name.value)))
        .label("again here")
        .also(first, "first here")
        .help("keep one of the two")
}

fn key_of(node: Node, diagnostics: &mut Vec<Diagnostic>) -> Key {
    match node.value {
        Value::Scalar(scalar) => Some(Spanned::new(scalar.text, node.span)),
        _ => {
            let finding = Diagnostic::error(Code::NotAKey, node.span, "a key is text, not a list or mapping")
                .help("put quotes around it if `{` or `[` belongs to the key");
            diagnostics.push(finding);
            None
        }
    }
}

/// A name short enough for a message.
pub(crate) fn shortened(name: &str) -> String {
    match name.char_indices().nth(limits::NAME_BYTES_MAX / 2) {
        Some((at, _)) => format!("{}..", &name[..at]),
        None => name.to_owned(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::Sequence(nodes) => 1 + nodes.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(mapping) => {
            1 + mapping.entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0)
        }
    }
}

/// Character indices, which the parser counts in, as byte offsets of the file.
enum Offsets {
    Ascii { length: usize },
    Table(Vec<u32>),
}

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Offsets::Ascii { length: text.len() };
        }
        // The parser is not shown a byte order mark.
        let starts = text.char_indices().filter(|(at, c)| *at > 0 || *c != '\u{feff}').map(|(at, _)| at);
        Offsets::Table(starts.chain([text.len()]).map(|at| at as u32).collect())
    }

    fn byte(&self, index: usize) -> usize {
        match self {
            Offsets::Ascii { length } => index.min(*length),
            Offsets::Table(table) => table.get(index).or(table.last()).map_or(0, |at| *at as usize),
        }
    }
}
