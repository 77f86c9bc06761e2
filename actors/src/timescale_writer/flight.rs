//! Transactions in flight: each on a session of its own, each of other partitions, each a single attempt.
//!
//! What a flight needs it has with it, so that its writer can gather, encode and send others meanwhile. The batches stay
//! the writer's: a flight that is cut leaves them where they are, in their order. Deliberately absent: what follows from
//! a failure. Whatever it was, the writer repeats it alone, with nothing else in flight.

use super::positions::{Course, Held};
use super::rows::Rows;
use super::store::{Failure, Owed, Target, Transact};
use super::transaction::{self, Moves};
use crate::timescale::{Advance, limits};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::trace::Step;
use aqueduct_engine::{Class, Clock, Error, Letter};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// What a flight takes with it.
pub(super) struct Cargo {
    pub(super) session: Box<dyn Transact>,
    pub(super) target: Arc<Target>,
    pub(super) held: Rc<Vec<Held>>,
    pub(super) course: Course,
    /// Letters of what others rejected of these records.
    pub(super) letters: Vec<Owed>,
    pub(super) step: Step,
    pub(super) clock: Clock,
}

/// How it ended well: the session, to be used again, and the letters of the rows that were refused.
pub(super) struct Written {
    pub(super) session: Box<dyn Transact>,
    pub(super) letters: Vec<Letter>,
    pub(super) advances: Vec<Advance>,
}

/// One transaction on its way.
struct Flight {
    held: Rc<Vec<Held>>,
    begun: Instant,
    way: LocalBoxFuture<'static, Result<Written, Failure>>,
}

/// One that is over.
pub(super) struct Landed {
    pub(super) held: Vec<Held>,
    pub(super) begun: Instant,
    pub(super) outcome: Result<Written, Failure>,
}

/// All that are on their way, in the order in which they began.
#[derive(Default)]
pub(super) struct Flights(Vec<Flight>);

impl Flights {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn begin(&mut self, cargo: Cargo) {
        let (held, begun) = (cargo.held.clone(), cargo.clock.now());
        self.0.push(Flight { held, begun, way: fly(cargo).boxed_local() });
    }

    /// The first that is over; never, where none is on its way. Dropping the future changes nothing.
    pub(super) async fn landed(&mut self) -> Landed {
        poll_fn(|cx| {
            for index in 0..self.0.len() {
                if let Poll::Ready(outcome) = self.0[index].way.poll_unpin(cx) {
                    let Flight { held, begun, way } = self.0.remove(index);
                    drop(way);
                    return Poll::Ready(Landed { held: own(held), begun, outcome });
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Cuts all of them, and their connections. What they held is given back, in the order in which they began.
    pub(super) fn cut(&mut self) -> Vec<Vec<Held>> {
        let all = self.0.drain(..).map(|Flight { held, way, .. }| {
            drop(way);
            own(held)
        });
        all.collect()
    }
}

fn own(held: Rc<Vec<Held>>) -> Vec<Held> {
    Rc::try_unwrap(held).expect("invariant: only its flight shares what it holds")
}

async fn fly(cargo: Cargo) -> Result<Written, Failure> {
    let Cargo { session, target, held, course, letters, step, clock } = cargo;
    let wait = limits::ATTEMPT_WAIT_MAX;
    let written = async {
        let rows = Rows::new(course.pieces(&held), session.plan())?;
        let moves = Moves { advances: &course.advances, letters: &letters };
        transaction::write(&*session, &target, &rows, moves).await
    };
    let written = match clock.timeout(wait, written).await {
        Ok(written) => written,
        Err(_) => Err(Error::new(Class::Transient, format!("no answer within {wait:?}")).into()),
    };
    step.end(written.as_ref().err().map(Failure::class));
    Ok(Written { letters: written?, session, advances: course.advances })
}
