//! Which values nobody is shown: by the names of their fields.
//!
//! Names that speak of secrets are always among them, whoever asks; the node's settings name others, and a reader may
//! ask for more and never for less. It reaches into JSON, however deep; it cannot reach into text that only looks like it.

use serde_json::Value;
use std::collections::BTreeSet;

/// What stands in the place of a value.
pub(crate) const REDACTED: &str = "[redacted]";

/// Whatever has one of these in its name, read without case and separators. A bare `key` is not among them: it is what
/// Kafka calls the name of a record.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "authorization",
    "apikey",
    "privatekey",
    "accesskey",
    "signature",
    "cookie",
];

/// Names whose values are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    names: BTreeSet<String>,
}

impl Redaction {
    /// Also these, apart by commas.
    pub fn and(&self, names: &str) -> Self {
        let more = names.split(',').map(plain).filter(|name| !name.is_empty());
        Self { names: self.names.iter().cloned().chain(more).collect() }
    }

    /// Whether values of that name are hidden.
    pub(crate) fn hides(&self, name: &str) -> bool {
        let name = plain(name);
        self.names.contains(&name) || SECRET.iter().any(|secret| name.contains(secret))
    }

    /// Hides what is to be hidden in `value`, however deep.
    pub(crate) fn apply(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if self.hides(name) && !value.is_null() {
                        *value = REDACTED.into();
                    } else {
                        self.apply(value);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.apply(value)),
            _ => {}
        }
    }
}

/// `Api-Key` and `api_key` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_however_they_are_spelt_and_however_deep() {
        let mut value = json!({
            "symbol": "BTC", "API-Key": "a", "inner": [{ "dbPassword": { "x": 1 } }], "key": "BTC", "token": null,
        });
        Redaction::default().apply(&mut value);
        let expected = json!({
            "symbol": "BTC", "API-Key": REDACTED, "inner": [{ "dbPassword": REDACTED }], "key": "BTC", "token": null,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn named_fields_are_hidden_too() {
        let redaction = Redaction::default().and("Account, client_id").and("price,,");
        assert!(["account", "clientId", "PRICE", "secret"].iter().all(|name| redaction.hides(name)));
        assert!(!redaction.hides("accounts") && !redaction.hides(""));
    }
}
