//! Judges the rows of each key by rules, and gives a verdict on every key on a beat for as long as it lives.
//!
//! A gate ends what it reads (`gate.rs`): it settles at once, decides no record's fate, and nothing behind it holds up
//! anything before it. And it begins a stream of its own (`voices.rs`): claimed, counted and fenced like any source's, so
//! that sinks behind it need to know nothing of gates. The rules are pure (`rules/`), each in a file of its own; `judge.rs`
//! joins them to keys and verdicts. ADR 0020 tells why.
//!
//! Deliberately absent: memory that outlives the actor. A key that was not seen since its start has no verdict, and no
//! verdict means *halt*.

mod columns;
mod evidence;
mod gate;
mod judge;
mod key;
mod limits;
mod output;
mod partitions;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod verdict;
mod voices;
mod windowed;

use crate::Services;
use crate::json::rows::json_columns;
use aqueduct_engine::{Class, Error, Factory, OffsetStore};
use aqueduct_topology::model::{Actor, Column, QualityGate};
use arrow_schema::{DataType, Field, Schema};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What every instance of one gate works by.
struct Plan {
    gate: QualityGate,
    /// The field that is the rows' event time.
    event_time: Option<String>,
    /// The fields that hold JSON.
    json: BTreeSet<String>,
    form: output::Form,
    offsets: Arc<dyn OffsetStore>,
}

/// The factory of one `quality_gate`.
pub fn factory(actor: &Actor, options: &QualityGate, services: &Services) -> Result<Factory, Error> {
    let topology = &services.topology;
    let columns = topology.output_columns(actor);
    let fixed = aqueduct_topology::model::GATE_FIELDS.len();
    if options.by.is_empty() || columns.len() != options.by.len() + fixed {
        let message = format!(
            "actor `{}`: `by` names fields that its input does not have; let it read from a normalizer that does",
            actor.name.value
        );
        return Err(Error::new(Class::Config, message));
    }
    let conditions: Vec<String> = options.overrides.iter().map(|one| one.when.text.clone()).collect();
    let named = |column: &Column| Field::new(&column.name, DataType::Null, true);
    let input: Vec<Field> = topology.input_columns(&actor.name.value).iter().map(named).collect();
    limits::compiled(&conditions, &Schema::new(input)).map_err(|error| {
        Error::new(error.class, format!("actor `{}`: {}", actor.name.value, error.message))
    })?;
    let plan = Arc::new(Plan {
        gate: options.clone(),
        event_time: topology.input_event_time(actor).map(str::to_owned),
        json: json_columns(actor, topology),
        form: output::Form::new(&columns)?,
        offsets: services.offsets.clone(),
    });
    Ok(Arc::new(move || Box::new(gate::Gate::new(plan.clone()))))
}
