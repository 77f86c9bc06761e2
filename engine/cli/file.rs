//! Reads a topology file and says what is wrong with it.

use crate::environment::variable;
use crate::exit::RefusedConfiguration;
use crate::output;
use anyhow::{Context, Result};
use aqueduct_topology::explain::over_budget;
use aqueduct_topology::limits::SOURCE_BYTES_MAX;
use aqueduct_topology::model::{Test, Topology};
use aqueduct_topology::{Diagnostic, Source, has_errors, load, load_unconnected};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file, read: its text, what it means, and what is wrong with it.
pub(crate) struct Loaded {
    pub(crate) source: Source,
    pub(crate) topology: Option<Topology>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads `file` with the process's environment.
pub(crate) fn read(file: &Path) -> Result<Loaded> {
    Ok(understood(&file.display().to_string(), bytes(file)?, |source| load(source, &variable)))
}

/// Reads `file` and its tests, for a run without its surroundings: no variable need say where they are.
pub(crate) fn read_unconnected(file: &Path) -> Result<(Loaded, Vec<Test>)> {
    let mut tests = Vec::new();
    let loaded = understood(&file.display().to_string(), bytes(file)?, |source| {
        let (read, diagnostics) = load_unconnected(source, &variable);
        let topology = read.map(|(topology, examples)| {
            tests = examples;
            topology
        });
        (topology, diagnostics)
    });
    Ok((loaded, tests))
}

/// Reads a text called `name` with that environment.
pub(crate) fn parse(name: &str, bytes: Vec<u8>, environment: &aqueduct_topology::Env<'_>) -> Loaded {
    understood(name, bytes, |source| load(source, environment))
}

/// Not more of a file than is needed to refuse it: `/dev/zero` has no end.
fn bytes(file: &Path) -> Result<Vec<u8>> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(file)?.take(SOURCE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    read().with_context(|| format!("cannot read `{}`", file.display())).context(RefusedConfiguration)
}

fn understood(
    name: &str,
    bytes: Vec<u8>,
    load: impl FnOnce(&Source) -> (Option<Topology>, Vec<Diagnostic>),
) -> Loaded {
    let (source, not_text) = Source::from_bytes(name, bytes);
    if let Some(diagnostic) = not_text {
        return Loaded { source, topology: None, diagnostics: vec![diagnostic] };
    }
    let (topology, diagnostics) = load(&source);
    Loaded { source, topology, diagnostics }
}

impl Loaded {
    /// Holds the topology against what its node allows.
    pub(crate) fn within(mut self, memory_budget_bytes: Option<u64>) -> Self {
        let over = self.topology.as_ref().zip(memory_budget_bytes);
        self.diagnostics.extend(over.and_then(|(topology, budget)| over_budget(topology, budget)));
        self
    }

    /// The topology, with warnings on standard error; errors refuse it.
    pub(crate) fn accepted(self) -> Result<Topology> {
        if !self.diagnostics.is_empty() {
            output::findings(&self.source, &self.diagnostics);
        }
        match self.topology {
            Some(topology) if !has_errors(&self.diagnostics) => Ok(topology),
            _ => Err(RefusedConfiguration.into()),
        }
    }
}
