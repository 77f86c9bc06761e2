//! A compiled case: what must hold before it, and how its rows are found.

use super::computed::Computation;
use super::field::{Field, Reader, Source};
use super::names::{self, Place};
use crate::expr::{self, Program};
use crate::json::Step;
use aqueduct_topology::model;
use std::sync::Arc;

/// Longest path an author may write; finding paths recurses so deep.
const STEPS_MAX: usize = 64;

/// One case. `when` is compiled in the place that all cases share.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) when: Option<Program>,
    /// Paths of the message without which `when` cannot be true: most cases are passed over by these.
    pub(super) needs: Vec<u32>,
    /// Conditions of the message alone.
    pub(super) message_select: Vec<Program>,
    pub(super) message_require: Vec<(Arc<str>, Program)>,
    /// The names within the case.
    pub(super) place: Place,
    /// The slot of what is exploded, among the message's paths of the case.
    pub(super) explode: Option<u32>,
    /// Conditions of the element, before its fields are decoded.
    pub(super) item_select: Vec<Program>,
    /// In the row's order; a field is computed from those before it.
    pub(super) fields: Vec<Field>,
    /// What is asked of a finished row, in this order.
    pub(super) rules: Vec<Rule>,
    /// Whether its rows leave something to the end of the batch; see [`super::judge`].
    pub(super) leaves: bool,
    /// Its place among the cases.
    pub(super) number: u16,
}

/// A condition that names fields.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The same in two cases if the rules are.
    pub(super) key: String,
    /// Of a `require`; a `select` has none, and filters.
    pub(super) reason: Option<Arc<str>>,
    pub(super) program: Program,
    /// Whether it is asked of all rows of a batch together: it reads fields and nothing else.
    pub(super) together: bool,
}

impl Case {
    /// Compiles `case`; `shared` is the place of its conditions on the message.
    pub(super) fn compile(case: &model::Case, shared: &mut Place) -> Result<Self, String> {
        let name = case.name.value.as_str();
        let columns = case.fields.iter().map(|field| field.name.value.clone()).collect();
        let mut place = Place::of_case(name, case.explode.is_some(), columns);
        shared.of_message(name);
        let when = case.when.as_ref().map(|when| compile(&when.text, shared)).transpose()?;
        let needs = when.as_ref().map_or_else(Vec::new, Program::needs).into_iter();
        let needs = needs.filter_map(|slot| match shared.sources[slot as usize] {
            names::Source::Message(path) => Some(path),
            _ => None,
        });
        let needs = needs.collect();
        let explode = match &case.explode {
            Some(pointer) => Some(place.message.slot(&steps(pointer)?)),
            None => None,
        };
        let fields = fields(name, case, &mut place)?;

        let (mut message_select, mut item_select, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        for select in &case.select {
            for (part, (stage, program)) in conditions(&select.text, &mut place)?.into_iter().enumerate() {
                match stage {
                    Stage::Message => message_select.push(program),
                    Stage::Item => item_select.push(program),
                    Stage::Row => {
                        let key = key(name, None, &select.text, part);
                        rules.push(Rule { key, reason: None, together: place.of_fields(&program), program })
                    }
                }
            }
        }
        let mut message_require = Vec::new();
        for (reason, require) in &case.require {
            let reason: Arc<str> = reason.as_str().into();
            for (part, (stage, program)) in conditions(&require.text, &mut place)?.into_iter().enumerate() {
                match stage {
                    Stage::Message => message_require.push((reason.clone(), program)),
                    Stage::Item | Stage::Row => {
                        let key = key(name, Some(&reason), &require.text, part);
                        let (reason, together) = (Some(reason.clone()), place.of_fields(&program));
                        rules.push(Rule { key, reason, together, program });
                    }
                }
            }
        }
        Ok(Self {
            when,
            needs,
            message_select,
            message_require,
            place,
            explode,
            item_select,
            fields,
            rules,
            leaves: false,
            number: 0,
        })
    }
}

/// What names the part of a condition. The name of its case is part of what it means where it is asked for.
fn key(case: &str, reason: Option<&str>, text: &str, part: usize) -> String {
    let case = if text.contains("case") { case } else { "" };
    format!("{case}\n{}\n{text}\n{part}", reason.unwrap_or_default())
}

/// When a condition can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Message,
    Item,
    Row,
}

/// The parts of a condition, each judged as early as the names it uses allow.
fn conditions(text: &str, place: &mut Place) -> Result<Vec<(Stage, Program)>, String> {
    let parts = compile(text, place)?.conjuncts().into_iter();
    let staged = parts.map(|program| {
        let stage = place.sources_of(&program).into_iter().map(|source| match source {
            names::Source::Field(_) => Stage::Row,
            names::Source::Element(_) | names::Source::ItemKey => Stage::Item,
            _ => Stage::Message,
        });
        (stage.max().unwrap_or(Stage::Message), program)
    });
    Ok(staged.collect())
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

fn fields(name: &str, case: &model::Case, place: &mut Place) -> Result<Vec<Field>, String> {
    let field = |(column, field): (usize, &model::Field)| {
        Field::new(field, column, source((name, field), column, place)?)
    };
    case.fields.iter().enumerate().map(field).collect()
}

/// Where the value of the field of `column` is.
fn source((case, field): (&str, &model::Field), column: usize, place: &mut Place) -> Result<Source, String> {
    let text = match &field.source {
        model::FieldSource::Path(pointer) => {
            let steps = steps(pointer)?;
            return Ok(Source::Element(place.element_paths().slot(&steps)));
        }
        model::FieldSource::Expr(expr) => &expr.text,
    };
    let name = field.name.value.as_str();
    let program = compile(text, place).map_err(|error| format!("field `{name}`: {error}"))?;
    let used = place.sources_of(&program);
    if let (Some(_), [only]) = (program.as_slot(), used.as_slice()) {
        match (only, place.element.is_some()) {
            (names::Source::Element(path), _) | (names::Source::Message(path), false) => {
                return Ok(Source::Element(*path));
            }
            (names::Source::Message(path), true) => return Ok(Source::Message(*path)),
            _ => {}
        }
    }
    let mut of_fields = false;
    for source in used {
        if let names::Source::Field(other) = source {
            of_fields = true;
            if *other >= column {
                return Err(format!("field `{name}`: it may be computed from the fields above it only"));
            }
        }
    }
    if let Some(constant) = program.as_constant().filter(|_| field.map.is_empty())
        && let Some(text) = constant.value().written()
    {
        return Ok(Source::Constant(Reader::new(field)?.constant(field, &text)?));
    }
    // All that a field is, as well as what its expression means here.
    let key = format!("{}\n{field:?}", key(case, None, text, column));
    Ok(Source::Program(Computation { program, of_fields, together: false, key }))
}
