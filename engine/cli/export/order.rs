//! The order: what the programs of Spark are told, in a folder that nobody else may read.

use super::describe::Described;
use anyhow::{Context, Result};
use aqueduct_actors::export::spans::{Range, Span};
use aqueduct_actors::export::watermark::Watermark;
use serde_json::{Value, json};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Rows that one task reads. Few enough that little is done twice after a kill, many enough for files of a good size.
pub(super) const SLICE_ROWS: i64 = 500_000;

/// What is ordered beside the table.
pub(super) struct Order<'a> {
    pub(super) run: i64,
    pub(super) partition_by: &'a [String],
    pub(super) range: Option<Range>,
    pub(super) spans: &'a [Span],
    pub(super) into: &'a str,
    pub(super) late: bool,
    pub(super) parallel: u16,
    pub(super) slice_rows: i64,
    pub(super) watermark: Option<&'a Watermark>,
}

impl Order<'_> {
    /// As the programs read it; no secret is in it.
    pub(super) fn to_json(&self, described: &Described) -> Value {
        let shape = &described.shape;
        json!({
            "run": self.run,
            "database": described.database,
            "schema": shape.table.schema.as_str(),
            "table": shape.table.table.as_str(),
            "time_column": shape.time_column,
            "time_zoned": shape.time_zoned,
            "columns": shape.columns,
            "partition_by": self.partition_by,
            "from_us": self.range.map(|range| range.from_us),
            "to_us": self.range.map(|range| range.to_us),
            "spans": self.spans.iter().map(|span| json!([span.range.from_us, span.range.to_us, span.rows])).collect::<Value>(),
            "into": self.into,
            "late": self.late,
            "parallel": self.parallel,
            "slice_rows": self.slice_rows,
            "watermark": self.watermark,
            "jdbc": described.address.options,
        })
    }
}

/// A folder with the programs and the order; it goes with its owner.
pub(crate) struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    /// Writes both.
    pub(crate) fn new(order: &Value) -> Result<Self> {
        let name = format!("aqueduct-export-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
        let doing = || format!("cannot write `{}`", folder.display());
        DirBuilder::new().mode(0o700).create(&folder).with_context(doing)?;
        let workshop = Self { folder: folder.clone() };
        aqueduct_config::spark::write_into(&folder).with_context(doing)?;
        std::fs::write(folder.join("order.json"), order.to_string()).with_context(doing)?;
        Ok(workshop)
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be removed from a temporary folder goes with it.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
