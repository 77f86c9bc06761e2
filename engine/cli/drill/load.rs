//! Records at a steady rate, for drills that disturb what takes them.
//!
//! Each has a number from 1 on, `{"id":..,"k":..,"ts":..}`: what is lost or doubled shows in the table.

use super::stage::Stage;
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often records are sent.
const TURN: Duration = Duration::from_millis(10);
/// 2024-08-08T12:00Z, milliseconds since 1970: the time of the first record.
const START_MS: i64 = 1_723_118_400_000;

/// See the module.
pub(super) struct Load {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Load {
    /// `rate` records a second; `key` says which key a number has.
    pub(super) fn start(stage: &Stage, rate: u64, key: fn(u64) -> String) -> Result<Self> {
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (feed, count, stopped) = (stage.feed()?, sent.clone(), stop.clone());
        let per_turn = (rate * TURN.as_millis() as u64 / 1000).max(1);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..per_turn {
                    let id = count.load(Ordering::Relaxed) + 1;
                    let (key, time) = (key(id), START_MS + id as i64);
                    let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time}}}"#);
                    feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time))?;
                    count.store(id, Ordering::Relaxed);
                }
                std::thread::sleep(TURN);
            }
            Ok(feed.flush()?)
        });
        Ok(Self { sent, stop, thread })
    }

    /// Ends it; how many records the broker has of it.
    pub(super) fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(ended) => ended?,
            Err(_) => bail!("the load ended badly"),
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}
