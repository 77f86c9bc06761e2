//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$${`, scalar by scalar, after parsing.
//!
//! Invariant: a value never changes the tree's shape, and no message holds a value.
//! Deliberately absent: keys and comments, which are never touched, and the process's environment, which the caller passes in.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::syntax::{Node, Value};
use crate::{Env, Span};

/// Variables of the contract; others are the author's own.
const KNOWN: &[&str] = &[
    "KAFKA_BOOTSTRAP",
    "TIMESCALE_URL",
    "REDIS_URL",
    "SCHEMA_REGISTRY_URL",
    "AQUEDUCT_NODE",
    "AQUEDUCT_ADMIN_TOKEN",
];

/// Replaces the variables in every scalar below `node`.
pub(crate) fn interpolate(node: &mut Node, env: &Env<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let span = node.span;
    match &mut node.value {
        Value::Sequence(nodes) => nodes.iter_mut().for_each(|node| interpolate(node, env, diagnostics)),
        Value::Mapping(mapping) => {
            mapping.entries.iter_mut().for_each(|entry| interpolate(&mut entry.value, env, diagnostics));
        }
        Value::Scalar(scalar) if scalar.text.contains("${") => {
            match replaced(&scalar.text, env) {
                Ok(text) => scalar.text = text,
                Err(refusal) => {
                    diagnostics.push(refusal.at(span));
                    scalar.refused = true;
                }
            }
            scalar.interpolated = true;
        }
        Value::Scalar(_) => {}
    }
}

/// Whether a variable in `text` is not set and has no default.
pub(crate) fn lacks_variable(text: &str, env: &Env<'_>) -> bool {
    matches!(replaced(text, env), Err(Refusal::Unset { .. } | Refusal::Required { .. }))
}

/// Why a scalar cannot be replaced.
enum Refusal {
    Unset { name: String },
    Required { name: String, message: String },
    Malformed { why: &'static str },
}

impl Refusal {
    fn at(self, span: Span) -> Diagnostic {
        match self {
            Refusal::Unset { name } => {
                let near = nearest(&name, KNOWN.iter().copied()).filter(|near| *near != name);
                let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Diagnostic::error(Code::UnsetVariable, span, format!("the environment has no `{name}`"))
                    .help(format!("set it, or give a default: `${{{name}:-..}}`{hint}"))
            }
            Refusal::Required { name, message } => Diagnostic::error(
                Code::UnsetVariable,
                span,
                format!("the environment has no `{name}`: {message}"),
            )
            .help("set it before starting"),
            Refusal::Malformed { why } => Diagnostic::error(Code::MalformedVariable, span, why)
                .help("write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`; `$${` is a plain `${`"),
        }
    }
}

fn replaced(text: &str, env: &Env<'_>) -> Result<String, Refusal> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            // The `$` before stands for itself already; what follows is literal.
            result.push_str(&rest[..at - 1]);
            result.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        result.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        let end = body.find('}').ok_or(Refusal::Malformed { why: "`${` without `}`" })?;
        result.push_str(&value(&body[..end], env)?);
        rest = &body[end + 1..];
    }
    result.push_str(rest);
    Ok(result)
}

fn value(body: &str, env: &Env<'_>) -> Result<String, Refusal> {
    let (name, operator) = match body.find(':') {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !first || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Refusal::Malformed { why: "a variable's name is letters, digits and `_`" });
    }
    // As in a shell, `:-` and `:?` take an empty value for none.
    match operator {
        None => env(name).ok_or_else(|| Refusal::Unset { name: name.to_owned() }),
        Some(operator) => match (operator.strip_prefix('-'), operator.strip_prefix('?')) {
            (Some(default), _) => {
                Ok(env(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()))
            }
            (_, Some(message)) => env(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Refusal::Required { name: name.to_owned(), message: message.to_owned() }),
            _ => Err(Refusal::Malformed { why: "after a variable's name comes `}`, `:-` or `:?`" }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db: [1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn replace(text: &str) -> String {
        replaced(text, &env)
            .unwrap_or_else(|refusal| format!("refused: {}", refusal.at(Span::default()).message))
    }

    #[test]
    fn variables_defaults_messages_and_escapes() {
        assert_eq!(replace("a ${HOST} b"), "a db: [1 b");
        assert_eq!(replace("${EMPTY:-x}${NONE:-y}"), "xy");
        assert_eq!(replace("${EMPTY}"), "");
        assert_eq!(replace("$${HOST} $1 ${HOST}"), "${HOST} $1 db: [1");
        assert_eq!(replace("${NONE:?say it}"), "refused: the environment has no `NONE`: say it");
        assert_eq!(replace("${NONE}"), "refused: the environment has no `NONE`");
        assert_eq!(replace("${1X}"), "refused: a variable's name is letters, digits and `_`");
        assert_eq!(replace("${HOST"), "refused: `${` without `}`");
    }
}
