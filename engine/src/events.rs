//! What happened lately, for `/api/events` and the page: a bounded ring that readers may resume.

use crate::clock::Clock;
use crate::limits::EVENTS_KEPT_MAX;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Something worth telling people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Rises by one each time; resume after it.
    pub id: u64,
    /// Microseconds since 1970 UTC.
    pub at_us: i64,
    /// The actor or supervisor concerned.
    pub subject: Arc<str>,
    /// A word of [`event_ids`](crate::telemetry::event_ids).
    pub what: &'static str,
    /// For people.
    pub detail: String,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Event>,
    next: u64,
}

/// Cloning shares it.
#[derive(Clone, Debug)]
pub struct Events {
    ring: Arc<Mutex<Ring>>,
    newest: watch::Sender<u64>,
    clock: Clock,
}

impl Events {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        let ring = Ring { events: VecDeque::new(), next: 1 };
        Self { ring: Arc::new(Mutex::new(ring)), newest: watch::Sender::new(0), clock }
    }

    /// Enters an event; the oldest gives way.
    pub fn enter(&self, subject: &Arc<str>, what: &'static str, detail: impl Into<String>) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let id = ring.next;
        ring.next += 1;
        if ring.events.len() == EVENTS_KEPT_MAX {
            ring.events.pop_front();
        }
        let at_us = self.clock.wall_us();
        ring.events.push_back(Event { id, at_us, subject: subject.clone(), what, detail: detail.into() });
        self.newest.send_replace(id);
    }

    /// Those after `id` that are still kept, oldest first.
    pub fn after(&self, id: u64) -> Vec<Event> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.events.iter().filter(|event| event.id > id).cloned().collect()
    }

    /// The newest id; `changed().await` completes at each new event.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_resumable() {
        let events = Events::new(Clock::system());
        for _ in 0..EVENTS_KEPT_MAX + 10 {
            events.enter(&"trades".into(), "started", "");
        }
        assert_eq!(events.after(0).len(), EVENTS_KEPT_MAX);
        let last = EVENTS_KEPT_MAX as u64 + 10;
        assert_eq!(events.after(last - 2).iter().map(|event| event.id).collect::<Vec<_>>(), [last - 1, last]);
        assert!(events.after(last).is_empty());
    }
}
