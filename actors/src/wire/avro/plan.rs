//! Which parts of a schema's values are written.

use super::schema::{Schema, Type, TypeId};
use crate::json::Name;
use crate::wire::Wanted;
use std::collections::HashMap;
use std::sync::Arc;

/// The number of a step.
pub(super) type StepId = u32;

/// The walk of one topology over one schema.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) schema: Arc<Schema>,
    pub(super) steps: Vec<Step>,
    pub(super) root: StepId,
    /// By type, whether its values have no bytes: an array may claim any number of them.
    pub(super) is_empty: Vec<bool>,
}

/// What is done with one value.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It is passed over.
    Skip(TypeId),
    /// It is written; it holds no other.
    Scalar(TypeId),
    /// Fields without a name are passed over.
    Record(Box<[(Option<Name>, StepId)]>),
    /// Elements up to the last that is asked for; then the rest is passed over.
    Elements(TypeId, Box<[StepId]>),
    /// Every element.
    Array(StepId),
    /// Every member.
    Map(StepId),
    /// The members of these names.
    Members(TypeId, Box<[(Box<str>, Name, StepId)]>),
    Union(Box<[StepId]>),
    /// Is made.
    Pending,
}

impl Plan {
    /// The walk over `schema` that writes what is `wanted`.
    pub fn new(schema: Arc<Schema>, wanted: &Wanted) -> Self {
        let mut making = Making { schema: &schema, steps: Vec::new(), whole: HashMap::new() };
        let root = making.step(schema.root, Some(wanted));
        let steps = making.steps;
        let is_empty = empty_types(&schema);
        Self { schema, steps, root, is_empty }
    }
}

struct Making<'s> {
    schema: &'s Schema,
    steps: Vec<Step>,
    /// Steps of types of which all is wanted: a type may lie within itself.
    whole: HashMap<TypeId, StepId>,
}

/// Most elements that are asked for one by one.
const ELEMENTS_MAX: usize = 1 << 12;

impl Making<'_> {
    fn add(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        self.steps.len() as StepId - 1
    }

    fn step(&mut self, id: TypeId, wanted: Option<&Wanted>) -> StepId {
        let Some(wanted) = wanted else { return self.add(Step::Skip(id)) };
        let is_whole = *wanted == Wanted::everything();
        if let Some(known) = self.whole.get(&id).filter(|_| is_whole) {
            return *known;
        }
        let place = self.add(Step::Pending);
        if is_whole {
            self.whole.insert(id, place);
        }
        let made = self.make(id, wanted);
        self.steps[place as usize] = made;
        place
    }

    fn make(&mut self, id: TypeId, wanted: &Wanted) -> Step {
        let schema = self.schema;
        match schema.at(id) {
            Type::Record(fields) => {
                let field = |(name, kind): &(String, TypeId)| {
                    let wanted = wanted.member(name);
                    (wanted.as_ref().map(|_| Name::new(name)), self.step(*kind, wanted.as_ref()))
                };
                Step::Record(fields.iter().map(field).collect())
            }
            Type::Array(items) => match wanted.each() {
                Some(each) => Step::Array(self.step(*items, Some(&every(wanted, each)))),
                None => {
                    let end = wanted.elements().last().map_or(0, |last| *last as usize + 1).min(ELEMENTS_MAX);
                    let element = |index| self.step(*items, wanted.element(index as u32).as_ref());
                    Step::Elements(*items, (0..end).map(element).collect())
                }
            },
            Type::Map(values) => match wanted.each() {
                Some(each) => Step::Map(self.step(*values, Some(&every(wanted, each)))),
                None => {
                    let member = |name: String| {
                        let step = self.step(*values, wanted.member(&name).as_ref());
                        (name.as_str().into(), Name::new(&name), step)
                    };
                    Step::Members(*values, wanted.members().into_iter().map(member).collect())
                }
            },
            Type::Union(branches) => {
                Step::Union(branches.iter().map(|branch| self.step(*branch, Some(wanted))).collect())
            }
            _ => Step::Scalar(id),
        }
    }
}

/// Of every element; where some are asked for more than the others, of all of them all of it.
fn every(wanted: &Wanted, each: Wanted) -> Wanted {
    if wanted.is_even() { each } else { Wanted::everything() }
}

/// Types whose values have no bytes: null, and records and arrays of fixed length of nothing else.
fn empty_types(schema: &Schema) -> Vec<bool> {
    let mut is_empty: Vec<bool> =
        schema.types.iter().map(|one| matches!(one, Type::Null | Type::Fixed(0))).collect();
    // A record is empty once all its fields are known to be; what lies within itself never becomes so.
    loop {
        let mut changed = false;
        for (id, one) in schema.types.iter().enumerate() {
            let found = match one {
                Type::Record(fields) => fields.iter().all(|(_, kind)| is_empty[*kind as usize]),
                Type::Decimal(inner, _) => is_empty[*inner as usize],
                _ => continue,
            };
            if found && !is_empty[id] {
                (is_empty[id], changed) = (true, true);
            }
        }
        if !changed {
            return is_empty;
        }
    }
}
