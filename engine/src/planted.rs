//! Bugs that tests plant, to see that somebody notices: each breaks one rule the product stands on.
//!
//! Without the feature `planted`, which no build of the product has, [`planted`] is the constant `false` and every site
//! of it vanishes. With it, a bug is planted in one thread, so that runs beside each other do not see each other's.
//! Deliberately absent: how each is found; `engine/docs/rules.md` has the table, written by `tests/planted`.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A link takes a second time what it was sent before.
    TakesTwice,
    /// A lease is settled before the outputs have taken its results.
    SettlesBeforeHandingOn,
    /// A batch does not keep its messages as they came.
    ForgetsTheMessages,
    /// A link counts batches only.
    CountsNoBytes,
    /// Whoever waits at a link listens, but does not look again.
    ListensWithoutLooking,
    /// A restart that was not the actor's own fault counts against what it held.
    CountsEveryEnd,
    /// A whole batch is condemned with its culprit.
    CondemnsNeighbours,
    /// That a record was condemned is forgotten when its batch is dropped.
    ForgetsVerdicts,
    /// A sink without an offset begins at the log's end.
    JoinsAtTheEnd,
    /// A claim does not raise the epoch.
    KeepsTheEpoch,
    /// A claim leaves the letters of what will be judged again.
    KeepsLetters,
    /// The offset is committed before the rows.
    CommitsBeforeWriting,
    /// The offset moves whoever owns the partition.
    RemovesTheFence,
    /// Two transactions of one partition are in flight at once.
    WritesAPartitionTwiceAtOnce,
    /// It is enough that one partition of a transaction hits.
    TakesAPartForTheWhole,
    /// Nothing is read again after an ambiguous commit.
    DoubtsNothing,
    /// Rows below the stored offset are written again.
    WritesAgain,
    /// A sink that found its claim lost does not ask for another.
    RewindsNothing,
    /// Batches of a claim that is not the newest are handed out.
    HandsOutStale,
    /// A best-effort sink records an offset before its value is durable.
    RunsAhead,
    /// The time of an event is held against the wall clock.
    JudgesByTheClock,
    /// A batch advances before its rejects are durable.
    RejectsAfterForwarding,
    /// An offset moves over a rejected record whether its letter is still there or not.
    LooksForNoLetters,
    /// A record's fate is decided by the first of the required sinks.
    DecidesAtTheFirst,
    /// Of two values that wait for one key the last to come wins.
    LetsTheLastWin,
    /// The cache's guard lets an older value pass.
    GuardsNothing,
    /// A member takes any name of its node that is free.
    TakesAnySlot,
    /// A member whose name another one has taken joins again.
    RejoinsUnderItsName,
    /// A revocation is never answered.
    AnswersNoRevocation,
    /// Messages are taken many at a time from the consumer's own queue.
    TakesFromTheConsumersQueue,
    /// An end of a log that is no message's moves no offset.
    StaysBeforeTheMarkers,
    /// A sink that is drained leaves its last transaction.
    LeavesTheLastBatch,
    /// Nobody is ever stalled.
    SeesNoStall,
    /// Whoever falls silent with nothing waiting for it is left alone.
    HearsNoSilence,
    /// Idle is who stands still, whatever is left to do.
    TakesStandingForIdle,
    /// What a source had claimed that another node reads by now is never given back.
    KeepsWhatOthersRead,
    /// A panic is taken for a stop.
    OverlooksPanics,
    /// A lease that is dropped unsettled is gone.
    LosesDroppedLeases,
    /// Which of two links is asked first is left to chance.
    LeavesOrderToChance,
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Planted in every thread; once for all.
#[cfg(feature = "planted")]
static EVERYWHERE: std::sync::OnceLock<Bug> = std::sync::OnceLock::new();

/// Whether `bug` is planted in this thread, or in all.
#[cfg(feature = "planted")]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug) || EVERYWHERE.get() == Some(&bug)
}

/// Plants `bug` in every thread of this process, to its end: for what has threads of its own.
#[cfg(feature = "planted")]
pub fn everywhere(bug: Bug) {
    let planted = *EVERYWHERE.get_or_init(|| bug);
    assert_eq!(planted, bug, "one bug a process");
}

/// Whether `bug` is planted in this thread: never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Runs `within` with `bug` planted in this thread.
#[cfg(feature = "planted")]
pub fn with<T>(bug: Option<Bug>, within: impl FnOnce() -> T) -> T {
    /// Takes it out again, also when `within` panics.
    struct Removed(Option<Bug>);
    impl Drop for Removed {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }
    let _removed = Removed(PLANTED.replace(bug));
    within()
}
