//! JSON pointers (RFC 6901).

use super::Context;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::Pointer;
use crate::syntax::{Core, Node, Scalar, shortened};

impl Context<'_> {
    /// A pointer; the empty text is the element itself.
    pub(crate) fn pointer(&self, node: &Node) -> Option<Pointer> {
        let text = match node.scalar().map(Scalar::core) {
            Some(Core::Null) | None => {
                return self.wrong_type(node, "a JSON pointer, such as `/data/price`,");
            }
            Some(_) => node.scalar().map(|scalar| scalar.text.as_str()).unwrap_or_default(),
        };
        parse(text).map_or_else(
            |help| {
                let message = format!("`{}` is no JSON pointer", shortened(text));
                self.report(Diagnostic::error(Code::NotAPointer, node.span, message).help(help));
                None
            },
            Some,
        )
    }
}

pub(super) fn parse(text: &str) -> Result<Pointer, String> {
    if text.is_empty() {
        return Ok(Pointer::default());
    }
    let Some(rest) = text.strip_prefix('/') else {
        let slashes = text
            .trim_start_matches("$.")
            .trim_start_matches("msg.")
            .replace(['.', '['], "/")
            .replace(']', "");
        return Err(format!("a pointer begins with `/`: `/{slashes}`"));
    };
    rest.split('/')
        .map(token)
        .collect::<Option<Vec<String>>>()
        .map(|tokens| Pointer { tokens })
        .ok_or_else(|| "after `~` comes `0` (for `~`) or `1` (for `/`)".to_owned())
}

fn token(text: &str) -> Option<String> {
    let mut parts = text.split('~');
    let mut token = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = part
            .strip_prefix('0')
            .map(|rest| ('~', rest))
            .or_else(|| part.strip_prefix('1').map(|rest| ('/', rest)))?;
        token.push(escaped);
        token.push_str(rest);
    }
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn tokens_are_unescaped() {
        assert_eq!(parse("/a~1b/m~0n/0//é").expect("a pointer").tokens, ["a/b", "m~n", "0", "", "é"]);
        assert!(parse("").expect("the element").tokens.is_empty());
        assert_eq!(parse("msg.data[0].x"), Err("a pointer begins with `/`: `/data/0/x`".to_owned()));
        assert!(parse("/a~2").is_err());
    }
}
