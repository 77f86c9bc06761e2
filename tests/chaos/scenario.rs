//! What a scenario is.

use super::trial::Trial;
use std::time::Duration;

/// In which form of the run it takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In every run; a few seconds.
    Short,
    /// In the long form only.
    Long,
}

/// One way to disturb.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// `group.what_happens`; those of a group run one after the other and may share their stack.
    pub name: &'static str,
    pub form: Form,
    /// What is promised of the time from the fault, or its end, to the first new row.
    pub recovers_within: Option<Duration>,
    /// Panics where something is not as it must be.
    pub run: fn(&mut Trial),
}

impl Scenario {
    pub const fn short(name: &'static str, run: fn(&mut Trial)) -> Self {
        Self { name, form: Form::Short, recovers_within: None, run }
    }

    pub const fn long(name: &'static str, run: fn(&mut Trial)) -> Self {
        Self { name, form: Form::Long, recovers_within: None, run }
    }

    /// With a promise of so many seconds.
    pub const fn recovering_within(mut self, seconds: u64) -> Self {
        self.recovers_within = Some(Duration::from_secs(seconds));
        self
    }

    /// What stands before the dot.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').expect("a scenario is named group.what_happens").0
    }
}
