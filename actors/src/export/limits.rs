//! Every bound of an export.

/// Days of one export: each is a part of its own in the manifest.
pub const DAYS_MAX: i64 = 3_660;
/// Spans for which the planner is asked. Beyond, days are asked for, whatever the chunks.
pub const SPANS_MAX: usize = 20_000;
/// Partitions that hold a watermark back and are named; the rest is counted.
pub const HOLDERS_NAMED_MAX: usize = 3;
/// Microseconds of a day.
pub const DAY_US: i64 = 86_400_000_000;
/// What a row of a chunk is taken to need where no statistics say how many there are.
pub const ROW_BYTES: i64 = 100;
