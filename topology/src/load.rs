//! The way from text to topology.

use crate::diagnostic::{Diagnostic, has_errors, sorted};
use crate::lower::{self, Context};
use crate::model::{Test, Topology};
use crate::syntax::Node;
use crate::{Env, Source, Span, check, interpolate, syntax, unconnected};

/// Reads a topology. There is one only if nothing is wrong with the file; the findings are in the file's order, warnings included.
pub fn load(source: &Source, env: &Env<'_>) -> (Option<Topology>, Vec<Diagnostic>) {
    let (read, diagnostics) = load_after(source, env, |_| {});
    (read.map(|(topology, _)| topology), diagnostics)
}

/// Reads a topology that will never connect to anything: where `connections` takes from the environment what is not
/// set there, an address that leads nowhere stands in.
///
/// With it come its examples, for whoever runs them.
pub fn load_unconnected(source: &Source, env: &Env<'_>) -> (Option<(Topology, Vec<Test>)>, Vec<Diagnostic>) {
    let env = |name: &str| env(name).or_else(|| unconnected::variable(name));
    load_after(source, &env, |root| unconnected::fill(root, &env))
}

fn load_after(
    source: &Source,
    env: &Env<'_>,
    prepare: impl FnOnce(&mut Node),
) -> (Option<(Topology, Vec<Test>)>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let Some(mut root) = syntax::parse(source, &mut diagnostics) else {
        return (None, sorted(or_empty(diagnostics)));
    };
    prepare(&mut root);
    interpolate::interpolate(&mut root, env, &mut diagnostics);
    let cx = Context::new(source, env);
    let file = lower::lower(&cx, &root);
    let read = file.map(|mut file| {
        lower::complete(&cx, &mut file.connections, &file.actors);
        check::check(&cx, &file);
        let mut actors = file.actors.into_iter().filter_map(|draft| draft.actor).collect();
        let supervisors = file.supervisors.into_iter().map(|declared| declared.supervisor).collect();
        let supervisors = lower::attach(supervisors, &mut actors);
        let topology = Topology { name: file.name, connections: file.connections, supervisors, actors };
        (topology, file.tests)
    });
    diagnostics.extend(cx.into_found());
    let diagnostics = sorted(diagnostics);
    (read.filter(|_| !has_errors(&diagnostics)), diagnostics)
}

/// A text without any document says nothing wrong, but nothing at all.
fn or_empty(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if diagnostics.is_empty() {
        diagnostics.push(lower::empty_file(Span::default()));
    }
    diagnostics
}
