//! The messages of a batch as text.

use super::reject::{self, Problem};
use aqueduct_engine::Batch;

/// UTF-8 is checked once for all of them if all of them are.
pub(super) struct Texts<'b> {
    batch: &'b Batch,
    whole: Option<&'b str>,
    start: usize,
}

impl<'b> Texts<'b> {
    pub(super) fn of(batch: &'b Batch) -> Self {
        let values = &batch.raw.values;
        let ends = values.value_offsets();
        let (start, end) = (ends[0] as usize, ends[ends.len() - 1] as usize);
        Self { batch, whole: simdutf8::basic::from_utf8(&values.values()[start..end]).ok(), start }
    }

    /// The `index`th message without its byte order mark; of a tombstone, nothing.
    pub(super) fn get(&self, index: usize) -> Result<&'b str, Problem> {
        let ends = self.batch.raw.values.value_offsets();
        let range = ends[index] as usize - self.start..ends[index + 1] as usize - self.start;
        // Cutting text is refused within a character: then this message is not UTF-8 though all together are.
        let text = match self.whole.and_then(|whole| whole.get(range)) {
            Some(text) => text,
            None => self.alone(index)?,
        };
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    #[cold]
    fn alone(&self, index: usize) -> Result<&'b str, Problem> {
        let bytes = self.batch.raw.value(index).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|error| {
            let detail = format!("at byte {}: not UTF-8", error.valid_up_to());
            Problem::new(reject::NOT_UTF8, detail)
        })
    }
}
