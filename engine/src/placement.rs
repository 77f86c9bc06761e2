//! Where actors live: on arbiters of their own, or all on this thread.
//!
//! Placement is injected because virtual time exists within one runtime only: tests and simulation put every actor on
//! one paused current-thread runtime, `run` spreads them over threads.

use crate::graph::Graph;
use crate::supervisor::guard::Polled;
use crate::supervisor::host::{Blueprint, Host, HostEvent};
use actix::{Actor, Addr};
use actix_rt::{Arbiter, ArbiterHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Where actors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On so many arbiters at most, each a thread. Needs an actix `System` on the calling thread.
    Arbiters(usize),
    /// On the calling thread: its `LocalSet` or actix `System`.
    CurrentThread,
}

impl Placement {
    /// So many arbiters, at least one. Who shares one is decided by load, which the graph knows.
    pub fn arbiters(count: usize) -> Self {
        Self::Arbiters(count.max(1))
    }

    /// How many there are at most; the calling thread counts for one.
    pub(crate) fn arbiters_max(self) -> usize {
        match self {
            Self::Arbiters(most) => most,
            Self::CurrentThread => 1,
        }
    }
}

/// One arbiter (or this thread) and whether it answers.
#[derive(Debug)]
struct Seat {
    arbiter: Option<ArbiterHandle>,
    polled: Polled,
    answered: Arc<AtomicU64>,
    asked: u64,
    asked_at: Duration,
}

impl Seat {
    fn new(placement: Placement) -> std::io::Result<Self> {
        let arbiter = match placement {
            Placement::Arbiters(_) => Some(Arbiter::try_new()?.handle()),
            Placement::CurrentThread => None,
        };
        let answered = Arc::new(AtomicU64::new(0));
        Ok(Self { arbiter, polled: Polled::default(), answered, asked: 0, asked_at: Duration::ZERO })
    }
}

/// The arbiters of one application.
#[derive(Debug)]
pub(crate) struct Seats {
    placement: Placement,
    seats: Vec<Seat>,
}

impl Seats {
    /// The arbiters of `graph`.
    pub(crate) fn of(graph: &Graph, placement: Placement) -> std::io::Result<Self> {
        let mut seats = Self { placement, seats: Vec::new() };
        seats.grow_for(graph)?;
        Ok(seats)
    }

    /// Starts arbiters until there are enough for `graph`. What could not be started is done without.
    pub(crate) fn grow_for(&mut self, graph: &Graph) -> std::io::Result<()> {
        while self.seats.len() < graph.arbiters(self.placement.arbiters_max()) {
            self.seats.push(Seat::new(self.placement)?);
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.seats.len()
    }

    /// Puts a host on that seat.
    pub(crate) fn host(
        &self,
        seat: usize,
        blueprint: Arc<Blueprint>,
        events: mpsc::Sender<HostEvent>,
    ) -> Addr<Host> {
        let seat = &self.seats[seat];
        let polled = seat.polled.clone();
        match &seat.arbiter {
            Some(arbiter) => Host::start_in_arbiter(arbiter, move |_| Host::new(blueprint, events, polled)),
            None => Host::new(blueprint, events, polled).start(),
        }
    }

    /// Asks every arbiter for an answer, unless it still owes one; gives those that have owed one for `patience`, with
    /// the actor that was being polled.
    pub(crate) fn ping(&mut self, now: Duration, patience: Duration) -> Vec<(usize, Option<usize>)> {
        let mut stuck = Vec::new();
        for (index, seat) in self.seats.iter_mut().enumerate() {
            let Some(arbiter) = &seat.arbiter else { continue };
            if seat.answered.load(Ordering::Acquire) == seat.asked {
                seat.asked += 1;
                seat.asked_at = now;
                let (answered, number) = (seat.answered.clone(), seat.asked);
                arbiter.spawn_fn(move || answered.store(number, Ordering::Release));
            } else if now.saturating_sub(seat.asked_at) >= patience {
                stuck.push((index, seat.polled.actor()));
            }
        }
        stuck
    }

    /// Gives up the arbiter of that seat: it ends should it ever come back; a new one takes its place.
    pub(crate) fn replace(&mut self, seat: usize) -> std::io::Result<()> {
        let fresh = Seat::new(self.placement)?;
        let old = std::mem::replace(&mut self.seats[seat], fresh);
        if let Some(arbiter) = old.arbiter {
            arbiter.stop();
        }
        Ok(())
    }

    /// Ends every arbiter.
    pub(crate) fn stop(&self) {
        for arbiter in self.seats.iter().filter_map(|seat| seat.arbiter.as_ref()) {
            arbiter.stop();
        }
    }
}
