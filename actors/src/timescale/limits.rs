//! Every bound of the TimescaleDB side.

use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_topology::bounds;
use std::time::Duration;

/// Reaching a server and logging in. Short: a first packet that was lost is sent again only after seconds.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// An answer is late: the other hosts of the address are asked whether one of them leads.
pub const LATE_AFTER: Duration = CONTACT_WAIT_MAX;
/// How often, from then on.
pub const SUCCESSOR_LOOK_EVERY: Duration = Duration::from_secs(1);
/// One statement other than COPY, and BEGIN.
pub const STATEMENT_WAIT_MAX: Duration = Duration::from_secs(20);
/// The server takes one frame of COPY data, or answers its end.
pub const COPY_WAIT_MAX: Duration = Duration::from_secs(20);
/// COMMIT: it may wait for a slow disk or a synchronous standby.
pub const COMMIT_WAIT_MAX: Duration = Duration::from_secs(30);
/// One attempt of a writer to store what it holds, bisection included; the waits above end it earlier.
pub const ATTEMPT_WAIT_MAX: Duration = Duration::from_secs(300);
/// A pooled connection becomes free.
pub const CHECKOUT_WAIT_MAX: Duration = Duration::from_secs(12);
/// A lock in the database; below [`STATEMENT_WAIT_MAX`], so that the server says which lock it was.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
/// The claim rows' locks: after it, the sessions of their previous owner are ended.
pub const CLAIM_LOCK_WAIT_MAX: Duration = Duration::from_secs(2);
/// Unacknowledged data on a socket.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
/// Waiting for another node's migrations.
pub const MIGRATION_LOCK_WAIT_MAX: Duration = Duration::from_secs(300);
/// One slice of time is counted and dropped: counting reads it.
pub const RETENTION_STEP_WAIT_MAX: Duration = Duration::from_secs(600);
/// One step of a roll-up reads an hour of a table, or a bucket.
pub const ROLLUP_STEP_WAIT_MAX: Duration = Duration::from_secs(600);
/// Runs of one schedule that are kept.
pub const SCHEDULE_RUNS_MAX: i64 = 1000;
/// One migration: an index on a large table takes its time.
pub const MIGRATION_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// One message of COPY data.
pub const COPY_FRAME_BYTES: usize = bounds::COPY_FRAME_BYTES as usize;
/// Rows that a writer encodes while a transaction before theirs is in flight.
pub const ENCODED_AHEAD_BYTES_MAX: usize = bounds::ENCODED_AHEAD_BYTES_MAX as usize;
/// Letters that one transaction of the dead letter stores.
pub const LETTERS_PER_TRANSACTION_MAX: usize = 8192;
/// Their payload in one statement; a larger letter goes alone.
pub const LETTER_STATEMENT_BYTES_MAX: usize = bounds::LETTER_STATEMENT_BYTES_MAX as usize;
/// How far behind the required sinks a best-effort sink is healed at the start; older records are skipped.
pub const HEAL_RECORDS_MAX: i64 = bounds::HEAL_RECORDS_MAX as i64;
/// One answer while a cache is rebuilt: a window of a dense table is read and sorted for it.
pub const REBUILD_WAIT_MAX: Duration = Duration::from_secs(600);
/// Longest application name PostgreSQL keeps.
pub const APPLICATION_NAME_BYTES_MAX: usize = 63;
/// Warnings of the server that a connection keeps until somebody asks.
pub const WARNINGS_MAX: usize = 32;

const _: () =
    assert!(LOCK_WAIT_MAX.as_secs() < STATEMENT_WAIT_MAX.as_secs(), "the server's answer comes first");
const _: () = assert!(CLAIM_LOCK_WAIT_MAX.as_secs() < LOCK_WAIT_MAX.as_secs(), "a claim gives way sooner");
