//! Bounds that the runtime keeps and from which a topology's memory follows. The runtime's own constants are these, so
//! what `explain` adds up is what is held.

/// Most bytes that wait in a consumer's queue, over all partitions.
pub const KAFKA_QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Most bytes of one response of a broker, over all partitions; a single larger message passes alone.
pub const KAFKA_RESPONSE_BYTES_MAX: u64 = 8 << 20;
/// Most bytes that wait in a producer's queue.
pub const KAFKA_PRODUCE_BYTES_MAX: u64 = 16 << 20;
/// A source's batch is handed on once it holds so many bytes; one gathers for each partition.
pub const BATCH_BYTES_MAX: u64 = 1 << 20;
/// One message of COPY data.
pub const COPY_FRAME_BYTES: u64 = 256 << 10;
/// Frames of COPY data at once: one is made, one waits for the connection, one is on the socket.
pub const COPY_FRAMES_MAX: u64 = 3;
/// Rows that a writer encodes while a transaction before theirs is in flight.
pub const ENCODED_AHEAD_BYTES_MAX: u64 = 1 << 20;
/// Most bytes of text in the rows of one message.
pub const ROWS_TEXT_BYTES_MAX: u64 = 64 << 20;
/// What the letters of one record hold together.
pub const LETTERS_BYTES_MAX: u64 = 16 << 20;
/// The letters of one statement of the dead letter.
pub const LETTER_STATEMENT_BYTES_MAX: u64 = 8 << 20;
/// Most keys that a cache owes Redis.
pub const CACHE_KEYS_MAX: u64 = 262_144;
/// How far behind the required sinks a best-effort sink is healed at the start; older records are skipped.
pub const HEAL_RECORDS_MAX: u64 = 1_000_000;
