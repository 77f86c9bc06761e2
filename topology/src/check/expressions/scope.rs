//! The names of an expression: what each is where the expression stands.

use super::types::{Types, of_field};
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, ENVIRONMENT};
use crate::model::{Case, Normalizer};
use crate::syntax::shortened;

/// Where an expression stands.
pub(super) struct Scope<'a> {
    pub(super) rows: &'a Normalizer,
    /// The case of a normalizer; none where only the row is left.
    pub(super) case: Option<&'a Case>,
    pub(super) place: Place,
    /// Where it is a key that is judged, and not a row: the fields that make it.
    pub(super) key: Option<&'a [Spanned<String>]>,
}

/// When it is judged.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Before any field.
    When,
    /// For the field of this index.
    Field(usize),
    /// After all fields.
    Row,
}

impl Scope<'_> {
    /// What a name is; a finding if it is nothing, or not yet.
    pub(super) fn name(&self, cx: &Context<'_>, name: &Spanned<String>, secret: bool) -> Types {
        if let Some(index) = self.rows.columns.iter().position(|column| column.name == name.value) {
            if self.case.is_some() {
                self.field_order(cx, name, index);
            }
            if self.key.is_some_and(|key| !key.contains(name)) {
                self.not_of_the_key(cx, name, secret);
            }
            return self.field(cx, index);
        }
        let Some(case) = self.case else {
            cx.report(self.unknown(name, secret));
            return Types::ANY;
        };
        match name.value.as_str() {
            "item" | "item_key" if !self.item(cx, case, name) => Types::ANY,
            "msg" | "item" => Types::MESSAGE,
            // A member's name, or an element's position.
            "item_key" => Types::TEXT | Types::INT,
            "key" => Types::TEXT | Types::NULL,
            "topic" | "case" => Types::TEXT,
            "partition" => Types::INT,
            "record_time" => Types::TIME | Types::NULL,
            "headers" => {
                let message = "`headers` is no value of its own: name one of them";
                let finding = Diagnostic::error(Code::NotAvailable, name.span, message);
                cx.report(finding.help("write `headers[\"name\"]`"));
                Types::ANY
            }
            _ => {
                cx.report(self.unknown(name, secret));
                Types::ANY
            }
        }
    }

    /// Whether `name` is the record's headers here.
    pub(super) fn is_headers(&self, name: &str) -> bool {
        name == "headers" && self.case.is_some()
    }

    fn field(&self, cx: &Context<'_>, index: usize) -> Types {
        let column = &self.rows.columns[index];
        // All cases have the fields of the row, in its order.
        let place =
            self.rows.cases.first().and_then(|case| case.fields.get(index)).map(|field| field.name.span);
        if place.is_some_and(|span| cx.is_doubtful(span)) {
            return Types::ANY;
        }
        of_field(column.kind, column.nullable)
    }

    fn field_order(&self, cx: &Context<'_>, name: &Spanned<String>, index: usize) {
        match self.place {
            Place::When => {
                let message = format!(
                    "`when` chooses the case before any field is read, so `{}` is not there yet",
                    name.value
                );
                let finding = Diagnostic::error(Code::FieldInWhen, name.span, message);
                cx.report(
                    finding.help("name the message instead (`msg...`), or move the condition to `select`"),
                );
            }
            Place::Field(own) if own <= index => {
                let message = match own == index {
                    true => format!("`{}` is computed from itself", name.value),
                    false => format!(
                        "`{}` comes after `{}`, which is computed from it",
                        name.value, self.rows.columns[own].name
                    ),
                };
                let finding = Diagnostic::error(Code::LaterField, name.span, message);
                cx.report(
                    finding
                        .help("a field may name the fields above it: change the order, or name the message"),
                );
            }
            Place::Field(_) | Place::Row => {}
        }
    }

    fn not_of_the_key(&self, cx: &Context<'_>, name: &Spanned<String>, secret: bool) {
        let whose = if secret { "a field".to_owned() } else { format!("`{}`", name.value) };
        let message = format!(
            "an override is chosen once for a key, and {whose} may be another in each row of one: it is not in `by`"
        );
        let finding = Diagnostic::error(Code::NotOfTheKey, name.span, message);
        cx.report(finding.help("name the fields of `by` alone, or add this one to `by`"));
    }

    /// Whether there is an element here; a finding if not.
    fn item(&self, cx: &Context<'_>, case: &Case, name: &Spanned<String>) -> bool {
        let message = match self.place {
            Place::When => {
                format!("`when` looks at the whole message, before `explode` gives any `{}`", name.value)
            }
            _ if case.explode.is_none() => {
                format!("`{}` is an element of what `explode` names, and nothing is exploded", name.value)
            }
            _ => return true,
        };
        let finding = Diagnostic::error(Code::ItemWithoutExplode, name.span, message);
        cx.report(finding.help("name the message instead (`msg..`), or add `explode: /path/to/the/list`"));
        false
    }

    fn unknown(&self, name: &Spanned<String>, secret: bool) -> Diagnostic {
        if secret {
            let message = "the expression names something unknown";
            return Diagnostic::error(Code::UnknownIdentifier, name.span, message)
                .help("part of it comes from the environment: look there");
        }
        let message_at_hand = self.case.is_some();
        let environment = if message_at_hand { ENVIRONMENT } else { &[] };
        let is_known = |name: &&str| self.key.is_none_or(|key| key.iter().any(|field| field.value == *name));
        let columns = self.rows.columns.iter().map(|column| column.name.as_str()).filter(is_known);
        let help = match nearest(&name.value, columns.chain(environment.iter().copied())) {
            Some(near) => format!("did you mean `{near}`?"),
            None if message_at_hand => {
                format!(
                    "a member of the message is `msg.{}`; a text stands in quotes",
                    shortened(&name.value)
                )
            }
            None if self.key.is_some() => "here only the fields of `by` are known".to_owned(),
            None => "here only the fields of the row are known".to_owned(),
        };
        let message = format!("nothing is named `{}`", shortened(&name.value));
        Diagnostic::error(Code::UnknownIdentifier, name.span, message).help(help)
    }
}
