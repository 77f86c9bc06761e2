//! The cases of CEL's conformance suite, as data: `conformance.json` says of each what CEL gives, and where we give
//! something else, what and why.

use crate::expr::{Name, Names, Scope, Value, compile};
use crate::json::Step;
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    #[serde(rename = "about")]
    _about: String,
    /// Why something is refused or different, by a short name.
    reasons: std::collections::BTreeMap<String, String>,
    counts: Counts,
    sections: Vec<Section>,
}

/// How many cases there are of each sort: none is added or lost in silence.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Counts {
    holds: usize,
    refused: usize,
    differs: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    name: String,
    /// Expression, and what CEL gives: as JSON, or [`ERROR`].
    holds: Vec<(String, Json)>,
    /// What the compiler does not take.
    #[serde(default)]
    refused: Vec<Refused>,
    #[serde(default)]
    differs: Vec<Differs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    expr: String,
    /// Part of what the compiler says.
    says: String,
    /// A key of `reasons`.
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Differs {
    expr: String,
    cel: Json,
    ours: Json,
    why: String,
}

/// Stands for an error, at compile time or later.
const ERROR: &str = "<error>";

enum Outcome {
    Refused(String),
    Fault,
    Value(Value<'static>),
}

/// Cases have no names of their own.
struct NoNames;

impl Names for NoNames {
    fn resolve(&mut self, root: &str, _: &[Step]) -> Result<Name, String> {
        Err(format!("there is no `{root}` here"))
    }
}

impl Scope<'static> for NoNames {
    fn value(&self, _: u32) -> Value<'static> {
        Value::Null
    }
}

fn evaluate(text: &str) -> Outcome {
    match compile(text, &mut NoNames) {
        Err(error) => Outcome::Refused(error.reason),
        Ok(program) => match Box::leak(Box::new(program)).value(&NoNames) {
            Err(_) => Outcome::Fault,
            Ok(value) => Outcome::Value(value),
        },
    }
}

fn same(value: &Value<'_>, expected: &Json) -> bool {
    match (value, expected) {
        // A double to the last bit.
        (value, Json::Object(exact)) => {
            let expected = exact["double"].as_str().and_then(|text| text.parse::<f64>().ok());
            let found = if let Value::Double(value) = value { Some(value.to_bits()) } else { None };
            found == expected.map(f64::to_bits)
        }
        (Value::Null, Json::Null) => true,
        (Value::Bool(value), Json::Bool(expected)) => value == expected,
        (Value::List(items), Json::Array(expected)) => {
            items.len() == expected.len() && items.iter().zip(expected).all(|(item, one)| same(item, one))
        }
        (value, Json::Number(expected)) => {
            let expected = expected.to_string();
            value.compare(&Value::Number(&expected)).is_some_and(|order| order.is_eq())
        }
        (value, Json::String(expected)) => {
            !value.is_number() && value.written().is_some_and(|text| text == *expected)
        }
        _ => false,
    }
}

fn gives(outcome: &Outcome, expected: &Json) -> bool {
    match outcome {
        Outcome::Refused(_) | Outcome::Fault => expected == ERROR,
        Outcome::Value(value) => same(value, expected),
    }
}

fn found(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused(reason) => format!("refused: {reason}"),
        Outcome::Fault => "fault".to_owned(),
        Outcome::Value(value) => value.describe(),
    }
}

#[test]
fn every_case_holds_or_is_refused_or_differs_as_it_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/expr/tests/conformance.json");
    let suite = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let suite: Suite = serde_json::from_str(&suite).expect("the data is of its form");
    let mut wrong = Vec::new();
    let mut counts = Counts::default();
    let mut used = std::collections::BTreeSet::new();
    for section in &suite.sections {
        let mut note = |expr: &str, what: String| wrong.push(format!("{}: `{expr}`: {what}", section.name));
        for (expr, expected) in &section.holds {
            let outcome = evaluate(expr);
            if !gives(&outcome, expected) {
                note(expr, format!("expected {expected}, found {}", found(&outcome)));
            }
        }
        for Refused { expr, says, why } in &section.refused {
            match evaluate(expr) {
                Outcome::Refused(reason) if reason.contains(says) => {}
                other => note(expr, format!("expected to be refused with {says:?}, found {}", found(&other))),
            }
            used.insert(why.as_str());
        }
        for Differs { expr, cel, ours, why } in &section.differs {
            let outcome = evaluate(expr);
            if matches!(outcome, Outcome::Refused(_)) || !gives(&outcome, ours) {
                note(expr, format!("expected our {ours}, found {}", found(&outcome)));
            }
            if gives(&outcome, cel) {
                note(expr, "is what CEL gives: it belongs to `holds`".to_owned());
            }
            used.insert(why.as_str());
        }
        counts.holds += section.holds.len();
        counts.refused += section.refused.len();
        counts.differs += section.differs.len();
    }
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let stated: std::collections::BTreeSet<_> = suite.reasons.keys().map(String::as_str).collect();
    assert_eq!(used, stated, "every reason is used, and every one that is used is stated");
    assert_eq!(counts, suite.counts, "cases were added or lost");
}
