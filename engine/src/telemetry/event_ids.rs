//! The stable word of every kind of event: in `/api/events` as `what`, in the log as `event`.
//!
//! People alert on these words: changing one is a breaking change. `engine/docs/events.md` is the same list as a page.
//! Deliberately absent: what only a developer reads; lines of level debug have no word.

/// One kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// The word.
    pub word: &'static str,
    /// Whether `/api/events` and the page show it, too; the others are in the log alone.
    pub shown: bool,
    /// What it means, in a sentence.
    pub help: &'static str,
}

macro_rules! events {
    ($($constant:ident = $word:literal, $shown:literal, $help:literal;)+) => {
        $(#[doc = $help] pub const $constant: &str = $word;)+

        /// Every kind.
        pub const ALL: &[EventKind] = &[$(EventKind { word: $word, shown: $shown, help: $help }),+];
    };
}

events! {
    STARTED = "started", true, "An actor was started; its detail counts its starts.";
    EXITED = "exited", true, "A start of an actor ended; its detail says how, and `class` of which class a crash was.";
    BACKOFF = "backoff", true, "An actor that ended waits for its next start.";
    KILLED = "killed", true, "An actor did not stop in time; its work was dropped and is read again.";
    STALLED = "stalled", true, "An actor has input, is held up by nobody and gets nowhere; its detail says what waits, or what was done.";
    FLOWING = "flowing", true, "An actor that was stalled gets on again.";
    WAITING = "waiting", true, "An actor waits for a server that is away, full, or set up wrongly; its detail says which, and `class` which of them.";
    WAITED = "waited", true, "An actor waits no more; its detail says for how long it has, and what it does now.";
    DISPLACED = "displaced", true, "An actor moves, because another one does not let go of the thread they shared.";
    STOP_ORDERED = "stop_ordered", true, "An operator stopped an actor; it stays stopped until it is started.";
    START_ORDERED = "start_ordered", true, "An operator started an actor.";
    RESTART_ORDERED = "restart_ordered", true, "An operator restarted an actor; that does not count as a crash.";
    GAVE_UP = "gave_up", true, "A supervisor's child ended more often than it may; the node ends with exit 70 if nobody above takes it.";
    UP = "up", true, "Every actor was started.";
    SIGNAL = "signal", true, "A signal reached the node; its detail says which.";
    DRAINING = "draining", true, "The node finishes what it has read, then ends.";
    CUT = "cut", true, "A drain did not end in time and was cut; what will be replayed is in the manifest.";
    FINISHED = "finished", true, "The data ended, and so does the node.";
    LEFT_BEHIND = "left_behind", true, "Best-effort sinks were away while the node ended; they are healed at the next start.";
    RELOAD = "reload", true, "A reload changes the graph.";
    RELOADED = "reloaded", true, "A reload holds; its detail says the generation.";
    RELOAD_REFUSED = "reload_refused", true, "A reload was not begun; its detail says why.";
    SECRET_TAKEN = "secret_taken", true, "The files of a secret hold another one, its server takes it, and it is used from now on.";
    SECRET_REFUSED = "secret_refused", true, "The files of a secret hold another one that is not taken; its detail says why. The one before goes on being used.";
    ROLLED_BACK = "rolled_back", true, "What a reload started did not hold; the node runs what it ran before.";

    NOT_STARTED = "not_started", false, "The node could not begin; exit 78.";
    ADMIN_LISTENS = "admin_listens", false, "The admin endpoint listens on `address`.";
    ADMIN_ENDED = "admin_ended", false, "The admin endpoint ended while the node runs.";
    FILES_EXHAUSTED = "files_exhausted", false, "No file was left for a connection to the admin endpoint; raise the limit of open files.";
    ORDER_NOT_TAKEN = "order_not_taken", false, "A control message did not fit into an actor's mailbox.";
    DRAIN_REPORT = "drain_report", false, "How a drain ended, as JSON under `report`.";
    LEDGER = "ledger", false, "A line of the ledger at the end of a run, as JSON under `row`.";
    NO_ARBITER = "no_arbiter", false, "No thread could be started in the place of a stuck one.";
    CLAIMED_ANEW = "claimed_anew", false, "A source claims its partitions anew; what was on its way is read again.";
    TASK_PANICKED = "task_panicked", false, "A side task ended with a panic; that is a bug.";
    KAFKA = "kafka", false, "Kafka's client says something, or reports an error; it goes on by itself.";
    KAFKA_CLIENT_REMADE = "kafka_client_remade", false, "A Kafka client was given up and is made anew.";
    KAFKA_CLIENT_STUCK = "kafka_client_stuck", false, "A Kafka client does not close in time and is left behind.";
    KAFKA_LEFT_GROUP = "kafka_left_group", false, "A source left its consumer group for good; its partitions go to others.";
    CLAIMS_WAIT = "claims_wait", false, "Partitions wait to be claimed; the database may be away.";
    CLAIM_LOST = "claim_lost", false, "A claim was lost to another owner, and made anew.";
    COMMIT_MISSED = "commit_missed", false, "A commit of group offsets failed; it is for tools only, and nothing depends on it.";
    READING = "reading", false, "A source reads a partition from `start` on.";
    REVOKED_IN_FLIGHT = "revoked_in_flight", false, "A partition was given back while rows of it were on their way; its next owner reads them again.";
    MEMBER_TAKEN = "member_taken", false, "The name under which a node is known to its Kafka group is leased to another one.";
    TOPIC_BEGINS = "topic_begins", false, "Where a source begins to read each partition.";
    RECORDS_GONE = "records_gone", false, "Records were deleted from the log before they were read: data is lost.";
    CACHE_BEHIND = "cache_behind", false, "A cache was drained while Redis was away, or holds rows that found no place there.";
    CACHE_KEY_REFUSED = "cache_key_refused", false, "A key of the cache holds something that is not ours, or cannot take its value.";
    CACHE_DRIFTED = "cache_drifted", false, "Keys of a cache do not have what the table beside it has; `aqueduct cache rebuild` brings it back.";
    SESSION_ENDED = "session_ended", false, "A database session that a former owner left behind was ended.";
    LETTERS_DELETED = "letters_deleted", false, "Dead letters older than their retention were deleted.";
    CHUNKS_DROPPED = "chunks_dropped", false, "Chunks past the retention of their table were dropped; the line of evidence is in `aqueduct.retention_log`.";
    SCHEDULE_OWNED = "schedule_owned", false, "This node is the one at work for a schedule from now on.";
    SCHEDULE_RAN = "schedule_ran", false, "A run of a schedule ended: what came of it.";
    INDEX_DROPPED = "index_dropped", false, "A migration dropped the invalid index of an interrupted one.";
    RELOAD_ASKED = "reload_asked", false, "A reload was asked for, and how that went.";
    FEED_FAILED = "feed_failed", false, "The demo's feed of records failed.";
    CONDEMNED = "condemned", false, "A record was found to kill its actor again and again; it becomes a letter before the next start.";
    TRACES_DROPPED = "traces_dropped", false, "Spans did not reach their collector and were dropped; ingest goes on.";
    REPEATED = "repeated", false, "Lines that were left out because they repeat another: `of` is its word, `times` how many.";
}

/// The list as a page.
pub fn page() -> String {
    let table = |shown: bool| {
        let kinds = ALL.iter().filter(move |kind| kind.shown == shown);
        kinds.map(|kind| format!("| `{}` | {} |\n", kind.word, kind.help)).collect::<String>()
    };
    format!(
        "# Events\n\n\
         Every kind of event has a word that does not change: `what` in `/api/events`, `event` in a line of the log. The page \
         is made from `engine/src/telemetry/event_ids.rs`, and a test holds it.\n\n\
         With `log.format: json` a line is an object: `timestamp`, `level`, `target`, `message`, `event`, and what it concerns: \
         `actor`, `topic` and `partition`, `class` of an error, and of a batch its records as `batch_first` (the first offset) and \
         `batch_next` (the one behind the last).\n\n\
         A warning or an error that repeats itself, for the same actor, is written {} times in {} seconds; the rest is counted \
         and told in one line, `repeated`.\n\n\
         ## In `/api/events` and in the log\n\n| word | meaning |\n|---|---|\n{}\n\
         ## In the log alone\n\n| word | meaning |\n|---|---|\n{}",
        crate::limits::LOG_REPEATS_MAX,
        crate::limits::LOG_REPEATS_WITHIN.as_secs(),
        table(true),
        table(false)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn words_are_unique_plain_and_explained() {
        let mut words: Vec<_> = ALL.iter().map(|kind| kind.word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ALL.len());
        for kind in ALL {
            assert!(kind.word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", kind.word);
            assert!(kind.help.ends_with('.'), "{}", kind.word);
        }
    }

    #[test]
    fn the_page_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        if known != page() {
            std::fs::write(path.with_extension("md.new"), page()).unwrap();
            panic!(
                "engine/docs/events.md is not what the list says; events.md.new beside it is: move it over the old one"
            );
        }
    }
}
