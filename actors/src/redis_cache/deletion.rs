//! What makes a row a deletion: `delete_when`, compiled for the schema of the rows at hand.

use crate::expr::rows::RowCondition;
use aqueduct_engine::{Class, Error};
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use std::sync::{Arc, Mutex, PoisonError};

/// A condition and what it was last compiled for: batches of one normalizer share their schema.
pub(crate) struct Deletion {
    text: String,
    compiled: Mutex<Option<(SchemaRef, Arc<RowCondition>)>>,
}

impl Deletion {
    /// By that expression.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: Mutex::new(None) }
    }

    /// The condition for the rows of this batch.
    pub(crate) fn of(&self, rows: &RecordBatch) -> Result<Arc<RowCondition>, Error> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((schema, condition)) = &*compiled
            && Arc::ptr_eq(schema, rows.schema_ref())
        {
            return Ok(condition.clone());
        }
        let condition = Arc::new(check(&self.text, rows.schema_ref())?);
        *compiled = Some((rows.schema(), condition.clone()));
        Ok(condition)
    }
}

/// The condition `text` over rows of `schema`.
pub(crate) fn check(text: &str, schema: &Schema) -> Result<RowCondition, Error> {
    RowCondition::compile(text, schema)
        .map_err(|error| Error::new(Class::Config, format!("delete_when `{text}`: {error}")))
}
