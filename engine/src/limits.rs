//! Every numeric bound of the runtime, in one place, checked against each other.

use std::time::Duration;

/// Most records of one batch; soft: the rows of one message never straddle batches.
pub const BATCH_RECORDS_MAX: usize = 8192;
/// Widest range of offsets one batch covers: gaps left by compaction end a batch.
pub const BATCH_OFFSETS_SPAN_MAX: i64 = 65_536;
/// Crashes of an actor's own making while it holds a batch, before the batch is put on probation.
pub const DELIVERIES_MAX: u32 = 3;
/// Batches dropped under a lost claim whose crashes a link remembers, in case their records come again under a newer one.
pub const ACCUSATIONS_MAX: usize = 64;
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
/// Exits and starts that wait for the conductor.
pub const HOST_EVENTS_MAX: usize = 1024;
/// Orders that wait for the conductor.
pub const COMMANDS_MAX: usize = 64;
/// How long a reload lets actors work off what is on the links that go, and what stopped sources have read be decided, in
/// all, before everything on its way is dropped and read again.
pub const RELOAD_DRAIN_MAX: Duration = Duration::from_secs(8);
/// How long an actor that a reload stops may take to finish what it holds, before it is told to stop at once.
pub const RELOAD_GRACE: Duration = Duration::from_secs(2);
/// How long an attempt to reach something may go on once its actor was told to stop: an answer that is on its way may come,
/// and a server that says nothing does not hold up the end.
pub const STOPPED_ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// How long a reload waits for actors it does not touch to be up, and for those it started to begin.
pub const RELOAD_CALM_MAX: Duration = Duration::from_secs(15);
/// How long what a reload started must hold.
pub const RELOAD_PROOF: Duration = Duration::from_secs(2);
/// How often the steps of a reload are looked at.
pub const RELOAD_LOOK: Duration = Duration::from_millis(10);
/// How often the conductor looks at what nobody tells it: arbiters, progress, idleness.
pub const CONDUCTOR_TICK: Duration = Duration::from_millis(200);
/// How often an idle connection is asked whether the other side is there.
pub const CONTACT_EVERY: Duration = Duration::from_secs(1);
/// How long its answer may take.
pub const CONTACT_WAIT_MAX: Duration = Duration::from_secs(3);
/// How long an actor may get nowhere with work before it, before the node is no longer ready. The watchdog's remedies
/// come later: they cost more than a word.
pub const READY_STALL_MAX: Duration = Duration::from_millis(3500);
/// How long one that says again and again that it is there may say nothing: it says so before it asks the other side, and
/// that has [`CONTACT_WAIT_MAX`] for its answer.
pub const SILENCE_MAX: Duration = Duration::from_millis(4500);
/// The longest wait between two attempts to reach what is away.
pub const OUTAGE_WAIT_MAX: Duration = Duration::from_secs(2);
/// How soon `/readyz` tells of a fault, and of its end.
pub const READINESS_TELLS_WITHIN: Duration = Duration::from_secs(5);
/// How often stored offsets are read for lag.
pub const LAG_PROBE_EVERY: Duration = Duration::from_secs(2);
/// How old the last look at a log may be before telemetry looks itself: who reads it looks more often.
pub const LAG_LOOK_AFTER: Duration = Duration::from_millis(2500);
/// How long nobody may have had a partition before this node tells of its lag all the same.
pub const LAG_ORPHAN_AFTER: Duration = Duration::from_secs(10);
/// How often the stores are measured: connections, tables.
pub const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How long such a read may take.
pub const LAG_PROBE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Partitions that get series of their own, those furthest behind before the others; the rest of a source's are summed.
pub const SERIES_PARTITIONS_MAX: usize = 250;
/// Series of one metric that an actor may show of itself.
pub const FIGURE_SERIES_MAX: usize = 250;
/// As much of a label as is shown; a topic's name fits.
pub const LABEL_BYTES_MAX: usize = 256;
/// Keys of one quality gate that are shown, with series of their own: the worst. The others are counted.
pub const GATE_KEYS_SHOWN_MAX: usize = 100;
/// How often the recorder is tidied while nobody scrapes.
pub const RECORDER_UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the last hour is sampled.
pub const HISTORY_STEP: Duration = Duration::from_secs(5);
/// Samples kept: an hour of them.
pub const HISTORY_SAMPLES_MAX: usize = 720;
/// Connections the admin endpoint serves at once.
pub const ADMIN_CONNECTIONS_MAX: usize = 192;
/// How many of them may be streams, of events or of what the page shows, which stay open: a hundred people, and some to spare.
pub const ADMIN_STREAMS_MAX: usize = 112;
/// While more than so many are open, none is kept for a next request: browsers keep several each.
pub const ADMIN_CONNECTIONS_KEPT_MAX: usize = 128;
/// What the kernel may hold of an answer that is not read, for each connection.
pub const ADMIN_SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// How often what the page shows is made, once for all who look.
pub const ADMIN_LIVE_EVERY: Duration = Duration::from_secs(1);
/// How long an answer that needs the database waits for it.
pub const ADMIN_ARCHIVE_WAIT_MAX: Duration = Duration::from_secs(3);
/// How long such an answer stands for everybody who asks.
pub const ADMIN_ARCHIVE_FRESH: Duration = Duration::from_secs(5);
/// Groups of dead letters, and drills, that are shown.
pub const ARCHIVE_ROWS_MAX: usize = 200;
/// How often the files of secrets are looked at.
pub const SECRET_LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one look may take, the proof of what has changed included.
pub const SECRET_LOOK_WAIT_MAX: Duration = Duration::from_secs(30);
/// Bytes of a record that are shown as a sample.
pub const LETTER_SAMPLE_BYTES_MAX: usize = 2048;
/// How long the head of a request may take to come, from the connection or its first byte on.
pub const ADMIN_HEAD_MAX: Duration = Duration::from_secs(5);
/// How long the answer may take: a reload is answered when it is done or undone.
pub const ADMIN_ANSWER_MAX: Duration = Duration::from_secs(180);
/// How long nothing may move on a connection otherwise.
pub const ADMIN_IDLE_MAX: Duration = Duration::from_secs(30);
/// Requests the admin endpoint answers a second, probes apart.
pub const ADMIN_REQUESTS_PER_SECOND: f64 = 200.0;
/// .. and how many at once: a hundred people who open the page at the same moment.
pub const ADMIN_REQUESTS_BURST: f64 = 1200.0;
/// Wrong tokens it answers a second.
pub const ADMIN_GUESSES_PER_SECOND: f64 = 1.0;
/// .. and how many at once.
pub const ADMIN_GUESSES_BURST: f64 = 10.0;
/// The largest body of a request; no order reads one.
pub const ADMIN_BODY_BYTES_MAX: u64 = 64 * 1024;
/// Taps that may be open at once; each has a connection.
pub const TAPS_MAX: usize = 8;
/// Rows a second that one tap may ask for.
pub const TAP_ROWS_PER_SECOND_MAX: u32 = 100;
/// Rows that a tap takes of one batch.
pub const TAP_ROWS_PER_BATCH_MAX: usize = 8;
/// Batches a second that are searched for one tap's condition.
pub const TAP_LOOKS_PER_SECOND: u32 = 20;
/// Rows of one batch that are searched, ..
pub const TAP_SEARCH_ROWS_MAX: usize = 256;
/// .. and bytes of messages.
pub const TAP_SEARCH_BYTES_MAX: usize = 64 * 1024;
/// About how much of a batch is copied for a tap; one row is, however long.
pub const TAP_COPY_BYTES_MAX: usize = 64 * 1024;
/// Text and messages longer than this are told by their length.
pub const TAP_TEXT_BYTES_MAX: usize = 16 * 1024;
/// Samples that wait for a tap's reader, ..
pub const TAP_KEPT_MAX: usize = 64;
/// .. and their bytes.
pub const TAP_KEPT_BYTES_MAX: usize = 4 << 20;
/// How often a tap looks whether its actor still is who it was.
pub const TAP_LOOK: Duration = Duration::from_millis(500);
/// How often an event stream says that it is there.
pub const ADMIN_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How often a warning or an error of one actor is written ..
pub const LOG_REPEATS_MAX: u32 = 3;
/// .. in so long; what comes beyond is counted.
pub const LOG_REPEATS_WITHIN: Duration = Duration::from_secs(10);
/// Different lines that are counted.
pub const LOG_REPEATS_KEPT_MAX: usize = 256;
/// Different reasons an actor's dead letters are counted by; further ones count as `other`.
pub const DEAD_LETTER_REASONS_MAX: usize = 64;
/// Spans that wait for the collector, ..
pub const TRACE_QUEUE_SPANS_MAX: usize = 4096;
/// .. and how many go in one request.
pub const TRACE_BATCH_SPANS_MAX: usize = 512;
/// How often they are sent.
pub const TRACE_EXPORT_EVERY: Duration = Duration::from_secs(1);
/// How long one attempt to send them may take.
pub const TRACE_EXPORT_WAIT_MAX: Duration = Duration::from_secs(3);
/// Attempts before they are dropped.
pub const TRACE_ATTEMPTS_MAX: u32 = 4;
/// How long the end of a run waits for the last of them.
pub const TRACE_FLUSH_MAX: Duration = Duration::from_secs(2);
/// Bytes of the collector's answer after which its first line is not waited for any more.
pub const TRACE_ANSWER_BYTES_MAX: usize = 1024;
/// Spans of one actor at work: its leases, which its links bound, and what a source has not handed on.
pub const TRACE_OPEN_SPANS_MAX: usize = 1024;
/// Further traces that records of one batch belong to, as links.
pub const TRACE_LINKS_MAX: usize = 32;
/// Records of a batch whose headers are searched for a trace.
pub const TRACE_HEADERS_LOOKED_AT_MAX: usize = 1024;

const _: () = assert!(BATCH_RECORDS_MAX as i64 <= BATCH_OFFSETS_SPAN_MAX, "a full batch fits its range");
const _: () =
    assert!(ADMIN_STREAMS_MAX + TAPS_MAX + 64 <= ADMIN_CONNECTIONS_MAX, "probes and scrapes find a place");
const _: () = assert!(ADMIN_REQUESTS_BURST >= 8.0 * ADMIN_STREAMS_MAX as f64, "everybody gets a whole page");
const _: () = assert!(TRACE_BATCH_SPANS_MAX <= TRACE_QUEUE_SPANS_MAX, "the queue holds a request");
const _: () = assert!(HISTORY_STEP.as_secs() * HISTORY_SAMPLES_MAX as u64 == 3600, "the last hour");
const _: () = assert!(
    ADMIN_ARCHIVE_WAIT_MAX.as_secs() < ADMIN_ANSWER_MAX.as_secs(),
    "who waits for the database is told that it is away"
);
const _: () = assert!(ADMIN_KEEP_ALIVE.as_secs() * 2 < ADMIN_IDLE_MAX.as_secs(), "a quiet stream is kept");
const _: () = assert!(
    CONTACT_EVERY.as_millis() + CONTACT_WAIT_MAX.as_millis() < READINESS_TELLS_WITHIN.as_millis(),
    "an idle node tells in time"
);
const _: () = assert!(
    CONTACT_WAIT_MAX.as_millis() + 1000 < SILENCE_MAX.as_millis()
        && SILENCE_MAX.as_millis() + 2 * CONDUCTOR_TICK.as_millis() < READINESS_TELLS_WITHIN.as_millis(),
    "whoever waits for an answer is not silent yet, and whoever hangs is told of in time"
);
const _: () = assert!(
    READY_STALL_MAX.as_millis() + 2 * CONDUCTOR_TICK.as_millis() < READINESS_TELLS_WITHIN.as_millis(),
    "a busy node tells in time"
);
const _: () =
    assert!(OUTAGE_WAIT_MAX.as_millis() * 2 < READINESS_TELLS_WITHIN.as_millis(), "the end is told in time");
