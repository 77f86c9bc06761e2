//! What people see of an actor that works on a beat: its last run with its verdict, when the next is due, and who is at it.

use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// One run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunView {
    /// The node that was at work.
    pub node: String,
    /// Microseconds since 1970 UTC.
    pub started_us: i64,
    /// Microseconds since 1970 UTC.
    pub ended_us: i64,
    /// Whether it did all of its work.
    pub passed: bool,
    /// What came of it, for people.
    pub message: String,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduleView {
    /// What it runs.
    pub run: &'static str,
    /// When, as the file says it.
    pub every: String,
    /// Whether this node is at work; the others stand by.
    pub owner: bool,
    /// The last run of any node.
    pub last: Option<RunView>,
    /// When the next is due, microseconds since 1970 UTC.
    pub due_us: i64,
}

/// The view of one actor, if it is a schedule.
#[derive(Debug, Default)]
pub struct ScheduleBoard(Mutex<Option<ScheduleView>>);

impl ScheduleBoard {
    /// From now on this is shown.
    pub fn show(&self, view: ScheduleView) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
    }

    /// This node is not at work any more, for all anybody knows.
    pub fn disown(&self) {
        if let Some(view) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            view.owner = false;
        }
    }

    /// What is shown; none before the first look, and for actors of other kinds.
    pub fn view(&self) -> Option<ScheduleView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
