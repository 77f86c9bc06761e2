//! Every numeric bound of the runtime, in one place, checked against each other.

use std::time::Duration;

/// Most records of one batch; soft: the rows of one message never straddle batches.
pub const BATCH_RECORDS_MAX: usize = 8192;
/// Widest range of offsets one batch covers: gaps left by compaction end a batch.
pub const BATCH_OFFSETS_SPAN_MAX: i64 = 65_536;
/// Crashes of an actor's own making while it holds a batch, before the batch is put on probation.
pub const DELIVERIES_MAX: u32 = 3;
/// Records condemned in one probation before the crashes of that probation count again: an actor that most records kill
/// is itself at fault.
pub const CONDEMNED_MAX: u32 = 16;
/// Requests that wait for the `dead_letter` actor.
pub const LETTER_REQUESTS_MAX: usize = 64;
/// How long a best-effort branch may hold up the others when its link is full; afterwards it is passed over until
/// half of its link is free.
pub const BEST_EFFORT_WAIT_MAX: Duration = Duration::from_millis(50);
/// Control messages that wait for one actor.
pub const CONTROL_MESSAGES_MAX: usize = 64;
/// Ranges a required sink has passed over that the ledger keeps in case it comes back to them; older ones stay
/// unaccounted for good.
pub const LEDGER_PASSED_RANGES_MAX: usize = 1024;
/// Released epochs of one partition with a line of their own in the ledger; older ones share a line.
pub const LEDGER_EPOCHS_KEPT_MAX: usize = 8;
/// Events kept for `/api/events` and the page.
pub const EVENTS_KEPT_MAX: usize = 1024;
/// Different reasons an actor's dead letters are counted by; further ones count as `other`.
pub const DEAD_LETTER_REASONS_MAX: usize = 64;

const _: () = assert!(BATCH_RECORDS_MAX as i64 <= BATCH_OFFSETS_SPAN_MAX, "a full batch fits its range");
