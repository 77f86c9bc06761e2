//! The cache's own offsets: never past what is in Redis, told to the offset store at most once a second.
//!
//! They only say where the next start begins to heal this cache. So a store that is away delays nothing: what could not
//! be told is told later, and a lower offset merely means rows that the guard refuses. What was heard is told again now
//! and then: a database that went back has forgotten it, and where nothing more comes nobody else would ever say it.
//!
//! A best-effort cache may have been passed over. What it was not given it has not written, so its offset stays before the
//! first such gap until the next claim, from which it is read again.

use aqueduct_engine::clock::Instant;
use aqueduct_engine::{Clock, Error, OffsetStore, Origin, PartitionKey};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The least time between two tellings.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often what was heard is told again.
const AGAIN_EVERY: Duration = Duration::from_secs(30);
/// The longest one may take.
const TELL_TIMEOUT: Duration = Duration::from_secs(5);

/// Epoch and next offset per partition.
type Told = Vec<(PartitionKey, i64, i64)>;

/// The same by partition: what the store may not know yet.
pub(crate) type Untold = BTreeMap<PartitionKey, (i64, i64)>;

/// See the module.
pub(crate) struct Positions {
    store: Arc<dyn OffsetStore>,
    sink: Arc<str>,
    untold: Untold,
    /// How far each partition has come, told or not.
    stands: Untold,
    /// When that is told again.
    again_at: Instant,
    /// What is being told.
    told: Told,
    telling: Option<LocalBoxFuture<'static, Result<(), Error>>>,
    due: Instant,
}

impl Positions {
    /// `untold` is what a life before this one had not told.
    pub(crate) fn new(store: Arc<dyn OffsetStore>, sink: Arc<str>, clock: &Clock, untold: Untold) -> Self {
        let (due, again_at) = (clock.now() + INTERVAL, clock.now() + AGAIN_EVERY);
        let (stands, told, telling) = (untold.clone(), Told::new(), None);
        Self { store, sink, untold, stands, again_at, told, telling, due }
    }

    /// For the next life: what is settled is not delivered again, so nobody else would tell.
    pub(crate) fn take_untold(&mut self) -> Untold {
        self.telling = None;
        std::mem::take(&mut self.stands)
    }

    fn turn_back(&mut self) {
        for (key, epoch, next) in std::mem::take(&mut self.told) {
            raise(&mut self.untold, key, (epoch, next));
        }
    }

    /// Everything of `origin` is in Redis.
    pub(crate) fn reached(&mut self, origin: &Origin) {
        let to = (origin.epoch, origin.next);
        raise(&mut self.stands, origin.key.clone(), to);
        raise(&mut self.untold, origin.key.clone(), to);
    }

    /// Likewise, if nothing before it was passed over. `begins`: where this sink began under that claim, if it still holds.
    pub(crate) fn reached_without_gap(&mut self, origin: &Origin, begins: Option<i64>) {
        let stands = self.stands.get(&origin.key).filter(|(epoch, _)| *epoch == origin.epoch);
        if stands.map(|(_, next)| *next).max(begins).is_some_and(|reached| origin.first <= reached) {
            self.reached(origin);
        }
    }

    /// Tells when it is time to, for ever. Dropping the future loses nothing.
    pub(crate) async fn keep_telling(&mut self, clock: &Clock) {
        loop {
            if self.telling.is_none() {
                if self.stands.is_empty() {
                    return std::future::pending().await;
                }
                if self.untold.is_empty() {
                    clock.sleep(self.again_at.saturating_duration_since(clock.now())).await;
                }
                clock.sleep(self.due.saturating_duration_since(clock.now())).await;
                self.begin(clock);
            }
            self.finish().await;
        }
    }

    /// Tells everything now, once.
    pub(crate) async fn tell_last(&mut self, clock: &Clock) {
        self.finish().await;
        self.untold.clone_from(&self.stands);
        if !self.untold.is_empty() {
            self.begin(clock);
            self.finish().await;
        }
    }

    fn begin(&mut self, clock: &Clock) {
        if clock.now() >= self.again_at {
            self.again_at = clock.now() + AGAIN_EVERY;
            self.untold.clone_from(&self.stands);
        }
        let told: Told = std::mem::take(&mut self.untold)
            .into_iter()
            .map(|(key, (epoch, next))| (key, epoch, next))
            .collect();
        let (store, sink, clock_) = (self.store.clone(), self.sink.clone(), clock.clone());
        self.due = clock.now() + INTERVAL;
        self.told.clone_from(&told);
        self.telling = Some(Box::pin(async move {
            match clock_.timeout(TELL_TIMEOUT, store.advance(&sink, &told)).await {
                Ok(result) => result,
                Err(timed_out) => Err(Error::new(aqueduct_engine::Class::Transient, timed_out.to_string())),
            }
        }));
    }

    async fn finish(&mut self) {
        let Some(telling) = &mut self.telling else { return };
        let result = telling.await;
        self.telling = None;
        if let Err(error) = result {
            tracing::debug!(sink = %self.sink, %error, "the offsets of the cache could not be recorded; will try again");
            self.turn_back();
        }
        self.told.clear();
    }
}

fn raise(reached: &mut Untold, key: PartitionKey, to: (i64, i64)) {
    let kept = reached.entry(key).or_insert(to);
    *kept = (*kept).max(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::{Claim, ClaimRequest, Class, Position};
    use std::sync::Mutex;

    /// A store that fails first.
    #[derive(Default)]
    struct Flaky {
        told: Mutex<Vec<(i32, i64, i64)>>,
        failures: Mutex<u32>,
    }

    impl OffsetStore for Flaky {
        fn claim<'a>(&'a self, _: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn exactly_once(&self) -> bool {
            true
        }

        fn advance<'a>(
            &'a self,
            _sink: &'a str,
            positions: &'a [(PartitionKey, i64, i64)],
        ) -> LocalBoxFuture<'a, Result<(), Error>> {
            Box::pin(async {
                let mut failures = self.failures.lock().unwrap();
                if *failures > 0 {
                    *failures -= 1;
                    return Err(Error::new(Class::Transient, "away"));
                }
                let rows = positions.iter().map(|(key, epoch, next)| (key.partition, *epoch, *next));
                self.told.lock().unwrap().extend(rows);
                Ok(())
            })
        }
    }

    fn origin(partition: i32, epoch: i64, next: i64) -> Origin {
        let key = PartitionKey { source: "s".into(), topic: "t".into(), partition };
        Origin { key, epoch, first: 0, next }
    }

    #[tokio::test(start_paused = true)]
    async fn the_highest_offset_of_the_newest_epoch_is_told_again_until_it_is_heard() {
        let clock = Clock::system();
        let store = Arc::new(Flaky { failures: Mutex::new(1), ..Flaky::default() });
        let mut positions = Positions::new(store.clone(), "cache".into(), &clock, Untold::new());
        for (partition, epoch, next) in [(0, 1, 10), (0, 1, 30), (0, 1, 20), (1, 5, 900), (1, 6, 7)] {
            positions.reached(&origin(partition, epoch, next));
        }
        let begun = clock.now();
        let _ = clock.timeout(Duration::from_millis(1500), positions.keep_telling(&clock)).await;
        assert!(store.told.lock().unwrap().is_empty(), "the first telling failed");
        let _ = clock.timeout(Duration::from_millis(1500), positions.keep_telling(&clock)).await;
        assert_eq!(*store.told.lock().unwrap(), [(0, 1, 30), (1, 6, 7)]);
        assert_eq!(clock.now().duration_since(begun), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_heard_is_told_again_in_case_it_was_forgotten() {
        let clock = Clock::system();
        let store = Arc::new(Flaky::default());
        let mut positions = Positions::new(store.clone(), "cache".into(), &clock, Untold::new());
        let told = || std::mem::take(&mut *store.told.lock().unwrap());
        positions.reached(&origin(0, 1, 10));
        let mut pass = async |seconds| {
            let _ = clock.timeout(Duration::from_secs(seconds), positions.keep_telling(&clock)).await;
            told()
        };
        assert_eq!(pass(29).await, [(0, 1, 10)]);
        assert_eq!(pass(11).await, [(0, 1, 10)], "nothing new has come");
        assert_eq!(pass(30).await, [(0, 1, 10)]);
        positions.reached(&origin(1, 1, 20));
        positions.tell_last(&clock).await;
        assert_eq!(told(), [(0, 1, 10), (1, 1, 20)], "whoever starts next begins there");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_passed_over_is_never_told_to_be_there() {
        let clock = Clock::system();
        let store = Arc::new(Flaky::default());
        let mut positions = Positions::new(store.clone(), "cache".into(), &clock, Untold::new());
        let mut stands = |epoch, first, next, begins| {
            positions.reached_without_gap(&Origin { first, ..origin(0, epoch, next) }, begins);
            positions.stands.get(&origin(0, 0, 0).key).copied()
        };
        assert_eq!(stands(1, 4, 8, Some(6)), Some((1, 8)), "it is read from where another sink stands");
        assert_eq!(stands(1, 8, 10, Some(6)), Some((1, 10)));
        assert_eq!(stands(1, 12, 20, Some(6)), Some((1, 10)), "10..12 was passed over");
        assert_eq!(stands(1, 20, 30, Some(6)), Some((1, 10)));
        assert_eq!(stands(2, 31, 40, None), Some((1, 10)), "of a claim that is lost nothing is known");
        assert_eq!(stands(2, 10, 40, Some(10)), Some((2, 40)), "it was read again");
        positions.tell_last(&clock).await;
        assert_eq!(*store.told.lock().unwrap(), [(0, 2, 40)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_being_told_is_left_to_the_next_life() {
        let clock = Clock::system();
        let store = Arc::new(Flaky { failures: Mutex::new(1), ..Flaky::default() });
        let mut first = Positions::new(store.clone(), "cache".into(), &clock, Untold::new());
        first.reached(&origin(0, 1, 10));
        first.begin(&clock);
        first.reached(&origin(1, 1, 20));
        let mut second = Positions::new(store.clone(), "cache".into(), &clock, first.take_untold());
        *store.failures.lock().unwrap() = 0;
        second.tell_last(&clock).await;
        assert_eq!(*store.told.lock().unwrap(), [(0, 1, 10), (1, 1, 20)]);
    }
}
