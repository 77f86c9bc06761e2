//! What the cases of a normalizer ask for of a message.

use super::decoder::Plan;
use super::field;
use super::names::{Place, Source};
use crate::json::{Paths, Step};
use crate::wire::Wanted;

/// What `plan` asks for.
pub(super) fn of(plan: &Plan) -> Wanted {
    let mut wanted = Wanted::default();
    for steps in message_paths(&plan.shared, &[]) {
        wanted.add(&steps);
    }
    for case in &plan.cases {
        for steps in message_paths(&case.place, &case.fields) {
            wanted.add(&steps);
        }
        let Some(explode) = case.explode else { continue };
        let mut element = Wanted::default();
        for steps in element_paths(&case.place, &case.fields) {
            element.add(&steps);
        }
        wanted.add_each(&case.place.message.steps(explode), &element);
    }
    wanted
}

/// The paths of the message that conditions and fields of one place read.
fn message_paths(place: &Place, fields: &[field::Field]) -> Vec<Vec<Step>> {
    let named = place.sources.iter().filter_map(|source| match source {
        Source::Message(slot) => Some(*slot),
        _ => None,
    });
    let read = fields.iter().filter_map(|field| match field.source {
        field::Source::Message(slot) => Some(slot),
        // Without `explode`, the message is the element.
        field::Source::Element(slot) if place.element.is_none() => Some(slot),
        _ => None,
    });
    steps(&place.message, named.chain(read))
}

/// The same of the element.
fn element_paths(place: &Place, fields: &[field::Field]) -> Vec<Vec<Step>> {
    let Some(element) = &place.element else { return Vec::new() };
    let named = place.sources.iter().filter_map(|source| match source {
        Source::Element(slot) => Some(*slot),
        _ => None,
    });
    let read = fields.iter().filter_map(|field| match field.source {
        field::Source::Element(slot) => Some(slot),
        _ => None,
    });
    steps(element, named.chain(read))
}

fn steps(paths: &Paths, slots: impl Iterator<Item = u32>) -> Vec<Vec<Step>> {
    slots.map(|slot| paths.steps(slot)).collect()
}
