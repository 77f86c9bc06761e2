//! Cases, merged over the row.

use super::field::{self, RowField};
use super::{Context, Keys};
use crate::catalog::{CASE, Place};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Case, Expr, Pointer};
use crate::syntax::{Node, Value};
use crate::{Span, Spanned};

/// What the normalizer itself says, and every case inherits.
pub(super) struct Row {
    pub(super) fields: Vec<RowField>,
    pub(super) explode: Option<Pointer>,
    pub(super) select: Option<Expr>,
    pub(super) require: Vec<(String, Expr)>,
}

impl Row {
    /// The only case of a normalizer without `cases`.
    pub(super) fn alone(&self, cx: &Context<'_>, place: Span) -> Case {
        let fields = self.fields.iter().map(|row| field::merge(cx, row, None, place, "")).collect();
        Case {
            name: Spanned::new(String::new(), place),
            when: None,
            explode: self.explode.clone(),
            select: self.select.iter().cloned().collect(),
            require: self.require.clone(),
            fields,
        }
    }
}

/// The list of cases.
pub(super) fn lower_all(cx: &Context<'_>, node: &Node, row: &Row) -> Vec<Case> {
    let Value::Sequence(nodes) = &node.value else {
        return cx.wrong_type(node, "a list of cases").unwrap_or_default();
    };
    if nodes.is_empty() {
        cx.report(
            Diagnostic::error(Code::MissingKey, node.span, "`cases` is empty")
                .help("add a case, or leave the key out"),
        );
    }
    nodes.iter().filter_map(|node| lower(cx, node, row)).collect()
}

fn lower(cx: &Context<'_>, node: &Node, row: &Row) -> Option<Case> {
    let keys = Keys::open(cx, node, Place::Actor, "a case", &[CASE])?;
    let name = keys
        .get("name")
        .and_then(|node| cx.name(node))
        .unwrap_or_else(|| Spanned::new("?".to_owned(), node.span));
    let drafts = keys.get("fields").map_or_else(Vec::new, |node| field::lower_case(cx, node, &row.fields));
    let draft_of =
        |field: &RowField| drafts.iter().find(|(name, _)| *name == field.name.value).map(|(_, draft)| draft);
    let own_select = keys.get("select").and_then(|node| cx.expr(node));
    let own_require = keys.get("require").map_or_else(Vec::new, |node| lower_require(cx, node));
    let when = keys.get("when").map(|node| cx.expr(node));
    if matches!(when, Some(None)) {
        cx.doubt(name.span);
    }
    let case = Case {
        when: when.flatten(),
        explode: keys.get("explode").and_then(|node| cx.pointer(node)).or_else(|| row.explode.clone()),
        select: row.select.iter().cloned().chain(own_select).collect(),
        require: row.require.iter().cloned().chain(own_require).collect(),
        fields: row
            .fields
            .iter()
            .map(|field| field::merge(cx, field, draft_of(field), name.span, &name.value))
            .collect(),
        name,
    };
    keys.close();
    Some(case)
}

/// `require`: reasons and their conditions.
pub(super) fn lower_require(cx: &Context<'_>, node: &Node) -> Vec<(String, Expr)> {
    let Some(mapping) = node.mapping() else {
        let message = "`require` names each condition: the name is the reason in the dead letter";
        cx.report(
            Diagnostic::error(Code::WrongType, node.span, message)
                .help("write `require: { price_positive: price > 0 }`"),
        );
        return Vec::new();
    };
    let named = mapping.entries.iter().filter(|entry| cx.check_name(&entry.key));
    named.filter_map(|entry| Some((entry.key.value.clone(), cx.expr(&entry.value)?))).collect()
}
