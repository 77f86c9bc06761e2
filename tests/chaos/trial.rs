//! One run of one scenario: its chance, how much of it, and what it found.

use super::oracle::Findings;
use super::scenario::Form;
use crate::harness::world::World;
use aqueduct_stack::Stack;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A kind of stack, and how it is brought up. Scenarios of a group that ask for the same kind share the stack.
#[derive(Clone, Copy)]
pub struct Kit {
    pub name: &'static str,
    pub up: fn() -> Stack,
}

/// The stacks a group has brought up so far; ended with it.
pub type Stacks = BTreeMap<&'static str, Arc<Stack>>;

pub struct Trial<'a> {
    /// The scenario's.
    pub name: &'static str,
    /// Everything left to chance comes from here.
    pub random: fastrand::Rng,
    /// What is run: the short or the long form.
    pub form: Form,
    stacks: &'a mut Stacks,
    began: Instant,
    pub(super) faults: u32,
    pub(super) recoveries: Vec<Duration>,
    pub(super) findings: Option<Findings>,
    pub(super) peak_memory_mib: u64,
    pub(super) notes: Vec<String>,
}

impl<'a> Trial<'a> {
    pub fn new(name: &'static str, seed: u64, form: Form, stacks: &'a mut Stacks) -> Self {
        Self {
            name,
            random: fastrand::Rng::with_seed(seed),
            form,
            stacks,
            began: Instant::now(),
            faults: 0,
            recoveries: Vec::new(),
            findings: None,
            peak_memory_mib: 0,
            notes: Vec::new(),
        }
    }

    /// So often in this form.
    pub fn times(&self, short: u32, long: u32) -> u32 {
        match self.form {
            Form::Short => short,
            Form::Long => long,
        }
    }

    /// So long in this form.
    pub fn seconds(&self, short: u64, long: u64) -> Duration {
        Duration::from_secs(match self.form {
            Form::Short => short,
            Form::Long => long,
        })
    }

    /// A world of its own on the group's stack of that kind.
    pub fn world(&mut self, kit: Kit) -> World {
        World::on_stack(self.stack(kit))
    }

    /// The group's stack of that kind.
    fn stack(&mut self, kit: Kit) -> Arc<Stack> {
        self.stacks.entry(kit.name).or_insert_with(|| Arc::new((kit.up)())).clone()
    }

    /// A fault was injected.
    pub fn fault(&mut self) {
        self.faults += 1;
    }

    /// After a fault, or its end, it took so long until new rows came.
    pub fn recovered(&mut self, after: Duration) {
        self.recoveries.push(after);
    }

    /// Something the reader of the report should know.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
