//! The ways in which an expression goes wrong because YAML reads it first.
//!
//! Each is recognised by the line it stands on, and answered with that line quoted, to paste.

use super::Node;
use crate::diagnostic::{Code, Diagnostic};
use crate::{Source, SourceMap, Span};

/// Keys whose value is an expression.
const EXPRESSION_KEYS: &[&str] = &["when", "select", "expr", "delete_when"];

/// What gives an expression away below other keys, such as the reasons of `require`.
const EXPRESSION_SIGNS: &[&str] = &["msg.", "msg[", "item.", "item[", "==", "!=", "&&", "||", " ? "];

/// What to say where the YAML parser gave up: the accident behind it if it is a known one.
pub(crate) fn at_syntax_error(source: &Source, at: usize, reason: &str) -> Diagnostic {
    let (line, line_start) = SourceMap::new(&source.text).line_at(at);
    // The parser often notices an accident only at the start of the next line.
    let before = line_start.checked_sub(1).map(|end| SourceMap::new(&source.text).line_at(end));
    let lines = [Some((line, line_start)), before];
    let accident = lines.into_iter().flatten().find_map(|(line, start)| accident_in(line, start));
    accident.unwrap_or_else(|| {
        Diagnostic::error(
            Code::NotYaml,
            Span::new(at, at),
            format!("the text is not YAML: {}", lowercase(reason)),
        )
        .label("reading stopped here")
        .help_if(no_yaml(source, line))
    })
}

/// What the text may be instead.
fn no_yaml(source: &Source, line: &str) -> Option<String> {
    let first = source.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let header = first.is_some_and(|line| {
        let name = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        name.is_some_and(|name| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]-\"".contains(&byte))
        })
    });
    if header {
        return Some("this looks like TOML; a topology is YAML: `topology: <name>` and `actors:`".to_owned());
    }
    line.contains('\t').then(|| "YAML is indented with spaces, never with tabs".to_owned())
}

fn lowercase(reason: &str) -> String {
    let mut chars = reason.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn accident_in(line: &str, line_start: usize) -> Option<Diagnostic> {
    if let Some(finding) = bare_variable(line, line_start) {
        return Some(finding);
    }
    let (key, value_at) = last_expression_key(line)?;
    let value = &line[value_at..];
    let span = Span::new(line_start + value_at, line_start + line.trim_end().len());
    let paste = format!("quote it: `{key}: {}`", quoted(expression_text(value, in_flow(line, value_at))));
    let finding = |code: Code, message: &str| Diagnostic::error(code, span, message).help(paste.clone());
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\''))
        && value[1..].find(quote).is_some_and(|end| continues(&value[end + 2..]))
    {
        return Some(finding(
            Code::ExpressionLeadingQuote,
            "an expression that begins with a quote ends, for YAML, at the next one",
        ));
    }
    match colon(value) {
        Some(true) => Some(finding(
            Code::TextHasColon,
            "`: ` inside an expression begins a mapping for YAML, even within quotes",
        )),
        Some(false) => {
            Some(finding(Code::ExpressionHasColon, "`: ` inside an expression begins a mapping for YAML"))
        }
        None if in_flow(line, value_at) && value.contains(['[', ']', '{', '}', ',']) => Some(finding(
            Code::ExpressionInFlow,
            "between `{` and `}`, a comma or bracket ends the expression",
        )),
        None => None,
    }
}

/// `url: ${X}` between braces: YAML reads `$`, then a mapping.
fn bare_variable(line: &str, line_start: usize) -> Option<Diagnostic> {
    let at = line
        .match_indices("${")
        .map(|(at, _)| at)
        .find(|at| line[..*at].ends_with(' ') && in_flow(line, *at) && !inside_quotes(&line[..*at]))?;
    let end = line[at..].find('}').map_or(line.len(), |end| at + end + 1);
    let key = line[..at].trim_end().trim_end_matches(':').rsplit([' ', '{', ',']).next().unwrap_or_default();
    let span = Span::new(line_start + at, line_start + end);
    let finding = Diagnostic::error(Code::VariableInFlow, span, "between `{` and `}`, `${..}` needs quotes")
        .help(format!("quote it: `{key}: \"{}\"`", &line[at..end]));
    Some(finding)
}

/// The key nearest the line's end whose value is an expression, and where that value begins.
fn last_expression_key(line: &str) -> Option<(&str, usize)> {
    let mut found = None;
    for (colon, _) in line.match_indices(": ") {
        let before = &line[..colon];
        let head = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let key = &before[head.len()..];
        let opens = head.trim_end().chars().next_back().is_none_or(|c| matches!(c, '{' | ',' | '-'));
        let value = line[colon + 2..].trim_start();
        let known =
            EXPRESSION_KEYS.contains(&key) || EXPRESSION_SIGNS.iter().any(|sign| value.contains(sign));
        let is_mapping = value.starts_with('{');
        if !key.is_empty() && opens && known && !value.is_empty() && !is_mapping && !inside_quotes(head) {
            found = Some((key, line.len() - value.len()));
        }
    }
    found
}

fn in_flow(line: &str, at: usize) -> bool {
    let before = &line[..at];
    before.matches('{').count() > before.matches('}').count()
}

fn inside_quotes(before: &str) -> bool {
    before.matches('"').count() % 2 == 1 || before.matches('\'').count() % 2 == 1
}

/// Whether the text after a closing quote goes on with anything but the end of the value.
fn continues(rest: &str) -> bool {
    let rest = rest.trim_start();
    !(rest.is_empty() || rest.starts_with(['#', ',', '}', ']']))
}

/// Whether the text has `: `, and whether the first stands within double quotes.
fn colon(value: &str) -> Option<bool> {
    if value.starts_with(['"', '\'']) {
        return None;
    }
    let at = value.find(": ").or_else(|| value.ends_with(':').then(|| value.len() - 1))?;
    Some(inside_quotes(&value[..at]))
}

/// The value without what belongs to the line around it.
fn expression_text(value: &str, flow: bool) -> &str {
    let value = value.find(" #").filter(|at| !inside_quotes(&value[..*at])).map_or(value, |at| &value[..at]);
    let value = value.trim_end();
    if !flow {
        return value;
    }
    let mut value = value;
    while let Some(shorter) = value.strip_suffix('}') {
        if value.matches('}').count() <= value.matches('{').count() {
            break;
        }
        value = shorter.trim_end();
    }
    value
}

/// The text in YAML's single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `when: !has(x)`: YAML reads the expression as a tag of nothing.
pub(crate) fn tagged_expression(source: &Source, node: &Node) -> Diagnostic {
    let (line, line_start) = SourceMap::new(&source.text).line_at(node.span.start);
    let at = node.span.start.saturating_sub(line_start).min(line.len());
    let begin = line[..at].rfind('!').unwrap_or(at);
    let begin = if line[at..].starts_with('!') { at } else { begin };
    let text = expression_text(&line[begin..], in_flow(line, begin));
    let span = Span::new(line_start + begin, line_start + begin + text.len());
    Diagnostic::error(Code::ExpressionIsTag, span, "an expression that begins with `!` is a tag for YAML")
        .help(format!("quote it: `{}`", quoted(text)))
}

/// An expression that does not parse because YAML cut it short.
pub(crate) fn in_expression(source: &Source, node: &Node) -> Option<Diagnostic> {
    let after = source.text.get(node.span.end..)?;
    let (line, line_start) = SourceMap::new(&source.text).line_at(node.span.start);
    let begin = node.span.start - line_start;
    let whole = |flow| quoted(expression_text(line.get(begin..).unwrap_or_default(), flow));
    if after.trim_start_matches(' ').starts_with('#') && after.starts_with(' ') {
        let rest = quoted(line.get(begin..).unwrap_or_default().trim_end());
        let finding = Diagnostic::error(
            Code::ExpressionHasComment,
            node.span,
            "` #` begins a comment, within an expression too",
        )
        .label("the expression ends here for YAML")
        .help(format!("quote it: `{rest}`"));
        return Some(finding);
    }
    if in_flow(line, begin) && after.trim_start_matches(' ').starts_with([',', '[', '{', ']', '}']) {
        let text = line.get(begin..).unwrap_or_default();
        let cut = node.span.end - node.span.start < expression_text(text, true).len();
        return cut.then(|| {
            Diagnostic::error(
                Code::ExpressionInFlow,
                node.span,
                "between `{` and `}`, a comma or bracket ends the expression",
            )
            .label("the expression ends here for YAML")
            .help(format!("quote it: `{}`", whole(true)))
        });
    }
    None
}
