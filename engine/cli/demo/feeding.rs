//! What the demo sends: the recorded sample once, then a synthetic market at a chosen rate.

use anyhow::{Context, Result};
use aqueduct_engine::Clock;
use aqueduct_stack::feed::Feed;
use aqueduct_stack::market::{Market, Shape};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Symbols of the synthetic market.
const SYMBOLS: usize = 40;
/// The market sends so often.
const BEAT: Duration = Duration::from_millis(50);

/// A line of the sample; the message stays byte for byte.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    msg: &'a RawValue,
}

/// A running feed; it ends when dropped.
pub(super) struct Feeding {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Feeding {
    /// Sends the sample, then `rate` trades a second until told to stop.
    pub(super) fn start(bootstrap: &str, topic: &str, rate: u32) -> Result<Self> {
        let feed = Feed::new(bootstrap, topic)?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter) = (stop.clone(), sent.clone());
        let body = move || {
            send_sample(&feed, &counter)?;
            send_market(&feed, rate, &stopped, &counter)?;
            feed.flush()?;
            Ok(())
        };
        let thread =
            std::thread::Builder::new().name("demo-feed".into()).spawn(body).context("start the feed")?;
        Ok(Self { stop, sent, thread: Some(thread) })
    }

    /// Messages sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; returns once the broker has everything.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("invariant: finished once");
        thread.join().map_err(|_| anyhow::anyhow!("the feed panicked"))??;
        Ok(self.sent())
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The recorded messages, with the time they are sent as their record time: their event times lie in the past.
fn send_sample(feed: &Feed, sent: &AtomicU64) -> Result<()> {
    for line in aqueduct_config::SAMPLE.lines() {
        let line: Line<'_> = serde_json::from_str(line).context("the recorded sample")?;
        feed.send(None, Some(line.msg.get().as_bytes()), None)?;
        sent.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn send_market(feed: &Feed, rate: u32, stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let clock = Clock::system();
    let step_us = 1_000_000 / i64::from(rate.max(1));
    let mut market = Market::new(Shape::Venues, fastrand::u64(..), SYMBOLS, clock.wall_us(), step_us);
    let began = clock.now();
    while !stop.load(Ordering::Relaxed) {
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while market.trades() < due && !stop.load(Ordering::Relaxed) {
            feed.send_market(&mut market, 1)?;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(BEAT);
    }
    Ok(())
}
