//! Lines that say the same again and again: the first few are written, the rest is counted and told in one line.
//!
//! Only warnings, errors and what Kafka's client says are looked at; the same = the same place in the code, the same
//! event, the same actor, within a while. A caller never waits here: where the counts are being looked at just now, or
//! too many different lines are kept already, its line is written.

use super::event_ids;
use crate::clock::{Clock, Instant};
use crate::limits::{LOG_REPEATS_KEPT_MAX, LOG_REPEATS_MAX, LOG_REPEATS_WITHIN};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, callsite::Identifier};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What makes two lines the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    site: Identifier,
    event: String,
    actor: String,
}

#[derive(Debug)]
struct Window {
    begun: Instant,
    written: u32,
    left_out: u64,
}

/// Lines that were left out.
#[derive(Debug, PartialEq, Eq)]
struct Sum {
    event: String,
    actor: String,
    times: u64,
}

#[derive(Debug, Default)]
struct Counts {
    kept: HashMap<Key, Window>,
}

impl Counts {
    /// Whether a line is to be written.
    fn judge(&mut self, key: Key, now: Instant) -> bool {
        let full = self.kept.len() >= LOG_REPEATS_KEPT_MAX;
        if full && !self.kept.contains_key(&key) {
            return true;
        }
        let window = self.kept.entry(key).or_insert(Window { begun: now, written: 0, left_out: 0 });
        if now.saturating_duration_since(window.begun) >= LOG_REPEATS_WITHIN {
            // What was left out until now is told with what will be.
            (window.begun, window.written) = (now, 0);
        }
        let write = window.written < LOG_REPEATS_MAX;
        if write {
            window.written += 1;
        } else {
            window.left_out += 1;
        }
        write
    }

    /// What was left out of windows that are over, which begin anew.
    fn sum_up(&mut self, now: Instant) -> Vec<Sum> {
        let is_over = |window: &Window| now.saturating_duration_since(window.begun) >= LOG_REPEATS_WITHIN;
        let over = self.kept.extract_if(|_, window| is_over(window));
        over.filter(|(_, window)| window.left_out > 0)
            .map(|(key, window)| Sum { event: key.event, actor: key.actor, times: window.left_out })
            .collect()
    }
}

/// See the module's page. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Repeats {
    counts: Arc<Mutex<Counts>>,
    clock: Clock,
}

impl Repeats {
    pub(super) fn new(clock: Clock) -> Self {
        Self { counts: Arc::default(), clock }
    }

    /// Says what was left out of windows that are over.
    pub(super) fn sum_up(&self) {
        let sums = self.counts.lock().unwrap_or_else(PoisonError::into_inner).sum_up(self.clock.now());
        for Sum { event, actor, times } in sums {
            tracing::warn!(event = event_ids::REPEATED, of = event, actor, times, "repeated {times} times");
        }
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN && metadata.target() != "librdkafka" {
            return true;
        }
        let mut said = Said::default();
        event.record(&mut said);
        if said.event == event_ids::REPEATED {
            return true;
        }
        let key = Key { site: metadata.callsite(), event: said.kind(), actor: said.actor };
        self.counts.try_lock().map_or(true, |mut counts| counts.judge(key, self.clock.now()))
    }
}

/// What a line is about.
#[derive(Debug, Default)]
struct Said {
    event: String,
    actor: String,
    /// What of it Kafka's client speaks of: its lines all come from one place.
    facility: String,
}

impl Said {
    fn kind(&mut self) -> String {
        let event = std::mem::take(&mut self.event);
        if self.facility.is_empty() { event } else { format!("{event} {}", self.facility) }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => value.clone_into(&mut self.event),
            "facility" => value.clone_into(&mut self.facility),
            "actor" | "sink" | "client" | "supervisor" | "task" => value.clone_into(&mut self.actor),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if matches!(field.name(), "actor" | "sink" | "client" | "supervisor" | "task") {
            self.actor = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tracing_subscriber::layer::SubscriberExt;

    /// Counts the lines that get through, by actor.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut said = Said::default();
            event.record(&mut said);
            self.0.lock().unwrap().push(format!("{} {}", said.event, said.actor));
        }
    }

    impl Written {
        fn count(&self, line: &str) -> usize {
            self.0.lock().unwrap().iter().filter(|written| *written == line).count()
        }
    }

    fn warn(actor: &str) {
        tracing::warn!(event = "kafka", %actor, "no broker");
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_are_counted_and_told_in_one_line() {
        let (repeats, written) = (Repeats::new(Clock::system()), Written::default());
        let subscriber = tracing_subscriber::registry().with(written.clone()).with(repeats.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        (0..40).for_each(|_| warn("ticks"));
        warn("quotes");
        assert_eq!(written.count("kafka ticks"), LOG_REPEATS_MAX as usize);
        assert_eq!(written.count("kafka quotes"), 1, "another actor's line is another line");
        repeats.sum_up();
        assert_eq!(written.count("repeated ticks"), 0, "not before the window is over");
        Clock::system().sleep(LOG_REPEATS_WITHIN).await;
        repeats.sum_up();
        repeats.sum_up();
        assert_eq!(written.count("repeated ticks"), 1);
        assert_eq!(written.count("repeated quotes"), 0);
        warn("ticks");
        assert_eq!(written.count("kafka ticks"), LOG_REPEATS_MAX as usize + 1, "a window of its own");
    }

    #[test]
    fn what_is_no_warning_is_never_left_out() {
        let written = Written::default();
        let subscriber =
            tracing_subscriber::registry().with(written.clone()).with(Repeats::new(Clock::system()));
        tracing::subscriber::with_default(subscriber, || {
            (0..40).for_each(|_| tracing::info!(event = "ledger", "ledger"));
        });
        assert_eq!(written.count("ledger "), 40);
    }

    #[test]
    fn whoever_logs_while_the_counts_are_taken_does_not_wait() {
        let (repeats, written) = (Repeats::new(Clock::system()), Written::default());
        let subscriber = tracing_subscriber::registry().with(written.clone()).with(repeats.clone());
        let _counts = repeats.counts.lock().unwrap();
        tracing::subscriber::with_default(subscriber, || (0..40).for_each(|_| warn("ticks")));
        assert_eq!(written.count("kafka ticks"), 40);
    }

    #[test]
    fn what_is_kept_is_bounded_and_beyond_it_lines_are_written() {
        let mut counts = Counts::default();
        let site = {
            static META: std::sync::OnceLock<Identifier> = std::sync::OnceLock::new();
            struct Site;
            impl<S: Subscriber> Layer<S> for Site {
                fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                    let _ = META.set(event.metadata().callsite());
                }
            }
            tracing::subscriber::with_default(tracing_subscriber::registry().with(Site), || warn("x"));
            META.get().unwrap().clone()
        };
        let now = Clock::system().now();
        let key =
            |number: usize| Key { site: site.clone(), event: "kafka".into(), actor: number.to_string() };
        for number in 0..LOG_REPEATS_KEPT_MAX * 4 {
            assert!((0..LOG_REPEATS_MAX).all(|_| counts.judge(key(number), now)));
        }
        assert_eq!(counts.kept.len(), LOG_REPEATS_KEPT_MAX);
        assert!(counts.judge(key(LOG_REPEATS_KEPT_MAX + 1), now) && !counts.judge(key(0), now));
        let later = now + LOG_REPEATS_WITHIN + Duration::from_secs(1);
        assert_eq!(counts.sum_up(later).len(), 1);
        assert!(counts.kept.is_empty());
    }
}
