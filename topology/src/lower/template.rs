//! Key templates: `last:{symbol}`, with `{{` and `}}` for braces.

use super::{Context, locate};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::TemplatePart;
use crate::syntax::Node;
use crate::{Span, Spanned};
use std::ops::Range;

impl Context<'_> {
    /// A template; at least one field unless it is wholly literal.
    pub(crate) fn template(&self, node: &Node) -> Option<Spanned<Vec<TemplatePart>>> {
        let text = self.nonempty(node)?;
        let place = |range: Range<usize>| locate::within(self.source, node, range);
        match parse(&text.value, place) {
            Ok(parts) => Some(Spanned::new(parts, node.span)),
            Err((range, why)) => {
                let finding =
                    Diagnostic::error(Code::NotATemplate, locate::within(self.source, node, range), why)
                        .help("write `{field}` for a field's value, `{{` and `}}` for braces");
                self.report(finding);
                None
            }
        }
    }
}

type Refusal = (Range<usize>, &'static str);

fn parse(text: &str, place: impl Fn(Range<usize>) -> Span) -> Result<Vec<TemplatePart>, Refusal> {
    let (mut parts, mut literal, mut at) = (Vec::new(), String::new(), 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push(c);
            at += 2;
        } else if c == '}' {
            return Err((at..at + 1, "`}` without `{`"));
        } else if c == '{' {
            let end = rest.find('}').ok_or((at..text.len(), "`{` without `}`"))?;
            let field = rest[1..end].trim();
            if field.is_empty() || field.contains('{') {
                return Err((at..at + end + 1, "`{..}` holds the name of one field"));
            }
            if !literal.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
            }
            let span = place(at + 1..at + end);
            parts.push(TemplatePart::Field(Spanned::new(field.to_owned(), span)));
            at += end + 1;
        } else {
            literal.push(c);
            at += c.len_utf8();
        }
    }
    if !literal.is_empty() {
        parts.push(TemplatePart::Text(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Vec<TemplatePart>, Refusal> {
        parse(text, |range| Span::new(range.start, range.end))
    }

    #[test]
    fn fields_and_literal_braces() {
        let field = |name: &str| TemplatePart::Field(Spanned::new(name.to_owned(), Span::default()));
        let literal = |text: &str| TemplatePart::Text(text.to_owned());
        assert_eq!(parts("last:{a}:{b}"), Ok(vec![literal("last:"), field("a"), literal(":"), field("b")]));
        assert_eq!(parts("{{{a}}}é"), Ok(vec![literal("{"), field("a"), literal("}é")]));
        for wrong in ["{", "}", "a{}", "{a{b}}", "x}y"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }
}
