//! Records that keep coming while a procedure is carried out: numbered, at a steady rate.

use super::stage::Stage;
use anyhow::{Context, Result, anyhow};
use aqueduct_engine::Clock;
use aqueduct_stack::feed::{Feed, FeedError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often what is due is sent.
const BEAT: Duration = Duration::from_millis(10);

/// 2024-08-08T12:00Z, milliseconds since 1970: about when numbered records begin.
const START_MS: i64 = 1_723_118_400_000;

/// One record of a drill.
pub(super) struct Record {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) time_ms: i64,
}

impl Record {
    /// `{"id":..,"k":..,"ts":..}`: what is lost or doubled shows in a table by its number.
    pub(super) fn numbered(id: u64, key: String) -> Self {
        let time_ms = START_MS + id as i64;
        let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time_ms}}}"#);
        Self { key, value, time_ms }
    }

    pub(super) fn send(&self, feed: &Feed) -> Result<(), FeedError> {
        feed.send(Some(self.key.as_bytes()), Some(self.value.as_bytes()), Some(self.time_ms))
    }
}

/// See the module.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Load {
    /// So many a second from now on; `record` makes the one of a number, counted from 1, at a time in microseconds.
    pub(super) fn start(
        stage: &Stage,
        rate: u64,
        record: impl Fn(u64, i64) -> Record + Send + 'static,
    ) -> Result<Self> {
        let (feed, stop, sent) =
            (stage.feed()?, Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, count) = (stop.clone(), sent.clone());
        let body = move || {
            let clock = Clock::system();
            let began = clock.now();
            while !told.load(Ordering::Relaxed) {
                let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
                for number in count.load(Ordering::Relaxed) + 1..=due {
                    record(number, clock.wall_us()).send(&feed)?;
                    count.store(number, Ordering::Relaxed);
                }
                std::thread::sleep(BEAT);
            }
            Ok(feed.flush()?)
        };
        let thread =
            std::thread::Builder::new().name("drill-load".into()).spawn(body).context("start the load")?;
        Ok(Self { stop, sent, thread })
    }

    /// How many have been sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; gives how many the broker has.
    pub(super) fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the load panicked"))??;
        Ok(self.sent.load(Ordering::Relaxed))
    }
}
