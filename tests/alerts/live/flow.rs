//! Trades of just now without end: at a rate that may change, with prices that may be refused, of a time that may be long
//! past.

use aqueduct_stack::feed::Feed;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TURN: Duration = Duration::from_millis(20);
/// A flow that could not be sent for a while does not make up for more than this.
const DEBT_MAX: f64 = 5_000.0;
/// Keys of the records, unless told otherwise.
const KEYS: u64 = 50;

#[derive(Default)]
struct Knobs {
    per_second: AtomicU64,
    /// Every so many a price is refused; 0 = none.
    bad_every: AtomicU64,
    age_seconds: AtomicI64,
    keys: AtomicU64,
    over: AtomicBool,
}

pub struct Flow {
    knobs: Arc<Knobs>,
    thread: Option<JoinHandle<()>>,
}

impl Flow {
    pub fn start(feed: Feed, per_second: u64) -> Self {
        let knobs = Arc::new(Knobs::default());
        knobs.per_second.store(per_second, Ordering::Relaxed);
        knobs.keys.store(KEYS, Ordering::Relaxed);
        let shared = knobs.clone();
        Self { thread: Some(std::thread::spawn(move || send(&feed, &shared))), knobs }
    }

    pub fn rate(&self, per_second: u64) {
        self.knobs.per_second.store(per_second, Ordering::Relaxed);
    }

    pub fn bad_every(&self, records: u64) {
        self.knobs.bad_every.store(records, Ordering::Relaxed);
    }

    /// Records have so many keys.
    pub fn keys(&self, keys: u64) {
        self.knobs.keys.store(keys, Ordering::Relaxed);
    }

    pub fn keys_as_ever(&self) {
        self.keys(KEYS);
    }

    /// Records are of so long ago, by their own word and by Kafka's.
    pub fn age(&self, age: Duration) {
        self.knobs.age_seconds.store(age.as_secs() as i64, Ordering::Relaxed);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.knobs.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it panicked with was printed.
            let _ = thread.join();
        }
    }
}

fn send(feed: &Feed, knobs: &Knobs) {
    let (mut id, mut due, mut last) = (0_u64, 0.0_f64, Instant::now());
    while !knobs.over.load(Ordering::Relaxed) {
        std::thread::sleep(TURN);
        due += last.elapsed().as_secs_f64() * knobs.per_second.load(Ordering::Relaxed) as f64;
        due = due.min(DEBT_MAX);
        last = Instant::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        let time = now - knobs.age_seconds.load(Ordering::Relaxed) * 1000;
        while due >= 1.0 && !knobs.over.load(Ordering::Relaxed) {
            (id, due) = (id + 1, due - 1.0);
            let bad = knobs.bad_every.load(Ordering::Relaxed);
            let price = if bad > 0 && id.is_multiple_of(bad) { "-1" } else { "7.25" };
            let key = format!("K{:02}", id % knobs.keys.load(Ordering::Relaxed));
            let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time},"p":"{price}","q":"1.5"}}"#);
            // A broker that is away shows in the producer's queue, which is far from full.
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
        }
    }
}
