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

/// How far a feed may be ahead of its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// The broker keeps everything.
    AsFarAsItGets,
    /// The broker forgets: so many messages at most wait in it.
    AtMost(u64),
}

/// What a feed and its owner tell each other.
#[derive(Debug, Default)]
struct Talk {
    /// The owner: end.
    stop: AtomicBool,
    /// The feed: messages sent so far.
    sent: AtomicU64,
    /// The owner: messages read so far.
    read: AtomicU64,
}

impl Talk {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether another message may be sent.
    fn has_room(&self, ahead: Ahead) -> bool {
        let waiting = self.sent.load(Ordering::Relaxed).saturating_sub(self.read.load(Ordering::Relaxed));
        match ahead {
            Ahead::AsFarAsItGets => true,
            Ahead::AtMost(most) => waiting < most,
        }
    }
}

/// A running feed; it ends when dropped.
pub(super) struct Feeding {
    talk: Arc<Talk>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Feeding {
    /// Sends the sample, then `rate` trades a second until told to stop.
    pub(super) fn start(bootstrap: &str, topic: &str, rate: u32, ahead: Ahead) -> Result<Self> {
        let feed = Feed::new(bootstrap, topic)?;
        let talk = Arc::new(Talk::default());
        let told = talk.clone();
        let body = move || {
            send_sample(&feed, &told)?;
            send_market(&feed, rate, ahead, &told)?;
            feed.flush()?;
            Ok(())
        };
        let thread =
            std::thread::Builder::new().name("demo-feed".into()).spawn(body).context("start the feed")?;
        Ok(Self { talk, thread: Some(thread) })
    }

    /// Messages sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.talk.sent.load(Ordering::Relaxed)
    }

    /// Tells the feed how many messages were read so far.
    pub(super) fn has_been_read(&self, count: u64) {
        self.talk.read.store(count, Ordering::Relaxed);
    }

    /// Ends it; returns once the broker has everything.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.talk.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("invariant: finished once");
        thread.join().map_err(|_| anyhow::anyhow!("the feed panicked"))??;
        Ok(self.sent())
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.talk.stop.store(true, Ordering::Relaxed);
    }
}

/// The recorded messages, with the time they are sent as their record time: their event times lie in the past.
fn send_sample(feed: &Feed, talk: &Talk) -> Result<()> {
    for line in aqueduct_config::SAMPLE.lines() {
        let line: Line<'_> = serde_json::from_str(line).context("the recorded sample")?;
        feed.send(None, Some(line.msg.get().as_bytes()), None)?;
        talk.sent.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn send_market(feed: &Feed, rate: u32, ahead: Ahead, talk: &Talk) -> Result<()> {
    let clock = Clock::system();
    let step_us = 1_000_000 / i64::from(rate.max(1));
    let mut market = Market::new(Shape::Venues, fastrand::u64(..), SYMBOLS, clock.wall_us(), step_us);
    let began = clock.now();
    while !talk.is_stopped() {
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while market.trades() < due && talk.has_room(ahead) && !talk.is_stopped() {
            feed.send_market(&mut market, 1)?;
            talk.sent.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(BEAT);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_waits_for_its_reader_where_the_broker_forgets() {
        let talk = Talk::default();
        talk.sent.store(10, Ordering::Relaxed);
        assert!(talk.has_room(Ahead::AsFarAsItGets) && talk.has_room(Ahead::AtMost(11)));
        assert!(!talk.has_room(Ahead::AtMost(10)));
        talk.read.store(1, Ordering::Relaxed);
        assert!(talk.has_room(Ahead::AtMost(10)));
    }
}
