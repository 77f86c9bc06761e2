//! A compiled case: what must hold before it, and how its rows are found.

use super::field::{Field, Reader, Source};
use super::names::{self, Place};
use crate::expr::{self, Program};
use crate::json::Step;
use aqueduct_topology::model;
use std::sync::Arc;

/// Longest path an author may write; finding paths recurses so deep.
const STEPS_MAX: usize = 64;

/// One case. The conditions of the message are compiled in the place that all cases share.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) when: Option<Program>,
    /// Conditions of the message alone.
    pub(super) message_select: Vec<Program>,
    pub(super) message_require: Vec<(Arc<str>, Program)>,
    /// The names within the case.
    pub(super) place: Place,
    /// The slot of what is exploded, among the message's paths of the case.
    pub(super) explode: Option<u32>,
    /// Conditions of the element, before its fields are decoded.
    pub(super) item_select: Vec<Program>,
    /// In the order of computation: what a field uses comes before it.
    pub(super) fields: Vec<Field>,
    pub(super) row_select: Vec<Program>,
    pub(super) row_require: Vec<(Arc<str>, Program)>,
}

impl Case {
    /// Compiles `case`; `shared` is the place of its conditions on the message.
    pub(super) fn compile(case: &model::Case, shared: &mut Place) -> Result<Self, String> {
        let name = case.name.value.as_str();
        let columns = case.fields.iter().map(|field| field.name.value.clone()).collect();
        let mut place = Place::of_case(name, case.explode.is_some(), columns);
        shared.of_message(name);
        let when = case.when.as_ref().map(|when| compile(&when.text, shared)).transpose()?;
        let explode = match &case.explode {
            Some(pointer) => Some(place.message.slot(&steps(pointer)?)),
            None => None,
        };
        let fields = fields(case, &mut place)?;

        let (mut message_select, mut item_select, mut row_select) = (Vec::new(), Vec::new(), Vec::new());
        for select in &case.select {
            match condition(&select.text, shared, &mut place)? {
                (Stage::Message, program) => message_select.push(program),
                (Stage::Item, program) => item_select.push(program),
                (Stage::Row, program) => row_select.push(program),
            }
        }
        let (mut message_require, mut row_require) = (Vec::new(), Vec::new());
        for (reason, require) in &case.require {
            match condition(&require.text, shared, &mut place)? {
                (Stage::Message, program) => message_require.push((reason.as_str().into(), program)),
                (_, program) => row_require.push((reason.as_str().into(), program)),
            }
        }
        Ok(Self {
            when,
            message_select,
            message_require,
            place,
            explode,
            item_select,
            fields,
            row_select,
            row_require,
        })
    }
}

/// When a condition can be judged.
enum Stage {
    Message,
    Item,
    Row,
}

/// A condition, judged as early as the names it uses allow.
fn condition(text: &str, shared: &mut Place, place: &mut Place) -> Result<(Stage, Program), String> {
    place.take_used();
    let program = compile(text, place)?;
    let used = place.take_used();
    if used.iter().any(|source| matches!(source, names::Source::Field(_))) {
        return Ok((Stage::Row, program));
    }
    if used.iter().any(|source| matches!(source, names::Source::Element(_) | names::Source::ItemKey)) {
        return Ok((Stage::Item, program));
    }
    Ok((Stage::Message, compile(text, shared)?))
}

fn compile(text: &str, place: &mut Place) -> Result<Program, String> {
    expr::compile(text, place).map_err(|error| error.to_string())
}

fn steps(pointer: &model::Pointer) -> Result<Vec<Step>, String> {
    if pointer.tokens.len() > STEPS_MAX {
        return Err(format!("a path has {} steps; at most {STEPS_MAX}", pointer.tokens.len()));
    }
    Ok(pointer.tokens.iter().map(|token| Step::from_token(token)).collect())
}

fn fields(case: &model::Case, place: &mut Place) -> Result<Vec<Field>, String> {
    let mut waiting = Vec::with_capacity(case.fields.len());
    for (column, field) in case.fields.iter().enumerate() {
        let (source, uses) = source(field, place)?;
        waiting.push((Field::new(field, column, source)?, uses));
    }
    in_order(waiting)
}

/// Where a field's value is, and the columns it is computed from.
fn source(field: &model::Field, place: &mut Place) -> Result<(Source, Vec<usize>), String> {
    let text = match &field.source {
        model::FieldSource::Path(pointer) => {
            let steps = steps(pointer)?;
            return Ok((Source::Element(place.element_paths().slot(&steps)), Vec::new()));
        }
        model::FieldSource::Expr(expr) => &expr.text,
    };
    place.take_used();
    let program = compile(text, place).map_err(|error| format!("field `{}`: {error}", field.name.value))?;
    let used = place.take_used();
    if let (Some(_), [only]) = (program.as_slot(), used.as_slice()) {
        match (only, place.element.is_some()) {
            (names::Source::Element(path), _) | (names::Source::Message(path), false) => {
                return Ok((Source::Element(*path), Vec::new()));
            }
            (names::Source::Message(path), true) => return Ok((Source::Message(*path), Vec::new())),
            _ => {}
        }
    }
    if let Some(constant) = program.as_constant().filter(|_| field.map.is_empty())
        && let Some(text) = constant.value().written()
    {
        return Ok((Source::Constant(Reader::new(field)?.constant(field, &text)?), Vec::new()));
    }
    let columns: Vec<usize> = used
        .iter()
        .filter_map(|source| match source {
            names::Source::Field(column) => Some(*column),
            _ => None,
        })
        .collect();
    Ok((Source::Program(program, !columns.is_empty()), columns))
}

/// Puts what a field uses before it.
fn in_order(mut waiting: Vec<(Field, Vec<usize>)>) -> Result<Vec<Field>, String> {
    let mut ordered: Vec<Field> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, uses)| uses.iter().all(|used| ordered.iter().any(|field| field.column == *used)));
        if ready.is_empty() {
            let names: Vec<_> = rest.iter().map(|(field, _)| format!("`{}`", field.name)).collect();
            return Err(format!("the fields {} are computed from each other", names.join(", ")));
        }
        ordered.extend(ready.into_iter().map(|(field, _)| field));
        waiting = rest;
    }
    Ok(ordered)
}
