//! What one place says: the file, the environment or the command line.
//!
//! Invariant: [`Layer`] holds only settings of [`ALL`], each with a value that was found right.

use super::{ALL, Endpoint, SETTINGS, Setting, Value};
use crate::catalog::{Key, Place, Shape};
use crate::diagnostic::{Code, Diagnostic, has_errors, sorted};
use crate::limits::NAME_BYTES_MAX;
use crate::lower::{Context, Keys, report_tags};
use crate::syntax::{self, Node, Scalar, Style};
use crate::{Env, Source, Span, interpolate};
use std::collections::BTreeMap;

/// The settings that one place says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    said: BTreeMap<&'static str, (Value, Span)>,
}

impl Layer {
    /// What it says about a setting.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.said.get(key).map(|(value, _)| value)
    }

    /// Where in the file that was written.
    pub fn span(&self, key: &str) -> Option<Span> {
        self.said.get(key).map(|(_, span)| *span)
    }

    /// Says a setting.
    pub fn set(&mut self, setting: &'static Setting, value: Value) {
        self.said.insert(setting.key, (value, Span::default()));
    }
}

/// Reads `engine.yaml`; an empty file says nothing. There is no layer if anything is wrong.
pub fn load_settings(source: &Source, env: &Env<'_>) -> (Option<Layer>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut layer = Layer::default();
    let Some(mut root) = syntax::parse(source, &mut diagnostics) else {
        return (diagnostics.is_empty().then_some(layer), sorted(diagnostics));
    };
    interpolate::interpolate(&mut root, env, &mut diagnostics);
    let cx = Context::new(source, env);
    if !root.is_null() {
        lower(&cx, &root, ("a node's settings", ""), SETTINGS, &mut layer);
    }
    report_tags(&cx, &root);
    diagnostics.extend(cx.into_found());
    let diagnostics = sorted(diagnostics);
    (Some(layer).filter(|_| !has_errors(&diagnostics)), diagnostics)
}

/// Reads one setting from a text that a variable or a flag holds; what is wrong with it, in a sentence.
pub fn setting_of(setting: &Setting, text: &str) -> Result<Value, String> {
    let (source, span) = (Source::new(setting.variable, text), Span::new(0, text.len()));
    let cx = Context::new(&source, &|_| None);
    let scalar = Scalar { text: text.to_owned(), style: Style::Plain, interpolated: false, refused: false };
    let node = Node { span, tag: None, value: syntax::Value::Scalar(scalar) };
    let shape = shape_of(SETTINGS, setting.key).expect("invariant: every setting is a key of the catalog");
    let value = read(&cx, &node, setting, shape);
    match cx.into_found().into_iter().next() {
        Some(Diagnostic { message, help: Some(help), .. }) => Err(format!("{message}; {help}")),
        Some(finding) => Err(finding.message),
        None => value.ok_or_else(|| "it says nothing".to_owned()),
    }
}

/// What the value of the key at `path` looks like.
pub(super) fn shape_of(keys: &'static [Key], path: &str) -> Option<Shape> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let shape = keys.iter().find(|key| key.name == first)?.shape;
    match (shape, rest) {
        (Shape::Part(keys), rest) => shape_of(keys, rest),
        (shape, "") => Some(shape),
        _ => None,
    }
}

fn lower(cx: &Context<'_>, node: &Node, part: (&str, &str), keys: &'static [Key], layer: &mut Layer) {
    let (what, path) = part;
    let Some(open) = Keys::open(cx, node, Place::Settings, what, &[keys]) else { return };
    for key in keys {
        let Some(node) = open.get(key.name) else { continue };
        match key.shape {
            Shape::Part(inner) => {
                let (what, path) = (format!("`{}`", key.name), format!("{path}{}.", key.name));
                lower(cx, node, (&what, &path), inner, layer);
            }
            shape => {
                let path = format!("{path}{}", key.name);
                let setting = ALL.iter().find(|setting| setting.key == path);
                let setting = setting.expect("invariant: every key of the catalog is a setting");
                if let Some(value) = read(cx, node, setting, shape) {
                    layer.said.insert(setting.key, (value, node.span));
                }
            }
        }
    }
    open.close();
}

fn read(cx: &Context<'_>, node: &Node, setting: &Setting, shape: Shape) -> Option<Value> {
    match (setting.key, shape) {
        ("node", _) => node_name(cx, node),
        ("admin.listen", _) => address(cx, node),
        ("traces.endpoint", _) => endpoint(cx, node),
        (_, Shape::Share) => cx.share(node).map(|share| Value::Share((share * 1e6).round() as u32)),
        (_, Shape::Integer(least, most)) => cx.count(node, least..=most).map(Value::Count),
        (_, Shape::Size) => cx.size(node).map(Value::Bytes),
        (_, Shape::Duration) => cx.lasting(node).map(Value::Lasting),
        (_, Shape::Word(words)) => {
            let what = format!("a word of `{}`", setting.key);
            cx.one_of(node, &what, words).map(|place| Value::Text(words[place].to_owned()))
        }
        _ => cx.nonempty(node).map(|text| Value::Text(text.value)),
    }
}

/// A host's name is one: it may begin with a digit and hold dots.
fn node_name(cx: &Context<'_>, node: &Node) -> Option<Value> {
    let text = cx.nonempty(node)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if text.value.bytes().all(legal) && text.value.len() <= NAME_BYTES_MAX {
        return Some(Value::Text(text.value));
    }
    let message = format!("`{}` cannot be a node's name", syntax::shortened(&text.value));
    let help = format!("a name is 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, `_`, `-` and `.`");
    cx.report(Diagnostic::error(Code::NotAName, node.span, message).help(help));
    None
}

fn address(cx: &Context<'_>, node: &Node) -> Option<Value> {
    let text = cx.nonempty(node)?;
    let address = text.value.replace("localhost:", "127.0.0.1:").parse().ok();
    if address.is_none() {
        let message = "`listen` is an IP address and a port";
        let finding = Diagnostic::error(Code::NotAnAddress, node.span, message);
        cx.report(finding.help("for example `127.0.0.1:9464`, or `[::1]:0` for any free port"));
    }
    address.map(Value::Address)
}

fn endpoint(cx: &Context<'_>, node: &Node) -> Option<Value> {
    let text = cx.nonempty(node)?;
    match Endpoint::parse(&text.value) {
        Ok(endpoint) => Some(Value::Endpoint(endpoint)),
        Err(why) => {
            let message = format!("`endpoint` is no address of a collector: {why}");
            let finding = Diagnostic::error(Code::NotAnAddress, node.span, message);
            cx.report(finding.help("for example `http://127.0.0.1:4318`"));
            None
        }
    }
}
