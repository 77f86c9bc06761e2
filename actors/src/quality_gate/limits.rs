//! Which rules a key has: those of the first override whose condition is true of it, else the gate's own.
//!
//! Invariant: decided once, by the row with which a key is first seen; a condition names nothing but the key (T089), so
//! every other row would have decided alike.

use super::rules::Rules;
use crate::expr::rows::RowCondition;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::QualityGate;
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;

/// The place of a set of rules.
pub(super) type Place = u16;

/// See the module.
pub(super) struct Limits {
    /// Of each override, and last the gate's own.
    sets: Vec<Rules>,
    names: Vec<Arc<str>>,
    conditions: Vec<String>,
    /// Batches of one normalizer share their schema.
    compiled: Option<(SchemaRef, Vec<RowCondition>)>,
}

impl Limits {
    pub(super) fn new(gate: &QualityGate) -> Self {
        let rules = |rules| Rules::new(&rules, gate.window, gate.rows_min);
        Self {
            sets: gate.rule_sets().map(rules).collect(),
            names: gate.overrides.iter().map(|one| one.name.value.as_str().into()).collect(),
            conditions: gate.overrides.iter().map(|one| one.when.text.clone()).collect(),
            compiled: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Has the conditions ready for the rows of this batch.
    pub(super) fn prepare(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let is_known = |(schema, _): &(SchemaRef, _)| Arc::ptr_eq(schema, rows.schema_ref());
        if !self.conditions.is_empty() && !self.compiled.as_ref().is_some_and(is_known) {
            self.compiled = Some((rows.schema(), compiled(&self.conditions, rows.schema_ref())?));
        }
        Ok(())
    }

    /// Those of the key of this row.
    pub(super) fn of(&self, rows: &RecordBatch, row: usize) -> Place {
        let conditions = self.compiled.as_ref().map_or(&[][..], |(_, conditions)| conditions);
        let first = conditions.iter().position(|condition| condition.is_true(rows, row));
        first.unwrap_or(self.sets.len() - 1) as Place
    }

    pub(super) fn rules(&self, place: Place) -> &Rules {
        &self.sets[usize::from(place)]
    }

    /// The override's name; `None` = the gate's own.
    pub(super) fn name(&self, place: Place) -> Option<Arc<str>> {
        self.names.get(usize::from(place)).cloned()
    }
}

/// Conditions over rows of `schema`.
pub(super) fn compiled(conditions: &[String], schema: &Schema) -> Result<Vec<RowCondition>, Error> {
    let compiled = |text: &String| {
        RowCondition::compile(text, schema)
            .map_err(|error| Error::new(Class::Config, format!("when `{text}`: {error}")))
    };
    conditions.iter().map(compiled).collect()
}
