//! Supervision: every child exists, belongs to one supervisor, and no supervisor contains itself.

use super::Graph;
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, DEAD_LETTER, File, ROOT};
use crate::model::Supervisor;
use crate::syntax::shortened;
use std::collections::{HashMap, HashSet};

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>, file: &File) {
    let supervisors: HashMap<&str, &Supervisor> =
        file.supervisors.iter().map(|supervisor| (supervisor.name.value.as_str(), supervisor)).collect();
    let mut parents: HashMap<&str, &Spanned<String>> = HashMap::new();
    for supervisor in &file.supervisors {
        for child in &supervisor.children {
            let known = graph.get(&child.value).is_some() || supervisors.contains_key(child.value.as_str());
            if !known && child.value != DEAD_LETTER {
                unknown(cx, graph, file, child);
            } else if let Some(first) = parents.insert(&child.value, child) {
                let finding = Diagnostic::error(
                    Code::ChildTwice,
                    child.span,
                    format!("`{}` has two supervisors", child.value),
                )
                .label("again here")
                .also(first.span, "already a child here")
                .help("an actor is restarted by one supervisor: name it in one place");
                cx.report(finding);
            }
        }
    }
    cycles(cx, &supervisors, file);
}

fn unknown(cx: &Context<'_>, graph: &Graph<'_>, file: &File, child: &Spanned<String>) {
    let supervisors = file.supervisors.iter().map(|supervisor| supervisor.name.value.as_str());
    let near = nearest(&child.value, graph.names().chain(supervisors));
    let help = near.map_or_else(
        || "a child is an actor or supervisor of this file".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("no actor or supervisor is named `{}`", shortened(&child.value));
    cx.report(Diagnostic::error(Code::UnknownChild, child.span, message).help(help));
}

/// A circle of supervisors hangs from nothing. The root, from which everything hangs, is nobody's child.
fn cycles(cx: &Context<'_>, supervisors: &HashMap<&str, &Supervisor>, file: &File) {
    let mut done: HashSet<&str> = HashSet::new();
    for start in &file.supervisors {
        let mut path: Vec<(&Supervisor, usize)> = vec![(start, 0)];
        let mut on_path: HashSet<&str> = HashSet::from([start.name.value.as_str()]);
        if done.contains(start.name.value.as_str()) {
            continue;
        }
        while let Some((supervisor, next)) = path.pop() {
            let Some(child) = supervisor.children.get(next) else {
                on_path.remove(supervisor.name.value.as_str());
                done.insert(&supervisor.name.value);
                continue;
            };
            path.push((supervisor, next + 1));
            let Some(below) = supervisors.get(child.value.as_str()) else { continue };
            if on_path.contains(child.value.as_str()) || child.value == ROOT {
                let message = format!("the supervisor `{}` would contain itself", child.value);
                let finding = Diagnostic::error(Code::SupervisorCycle, child.span, message);
                cx.report(
                    finding.also(below.name.span, "declared here").help("remove it from these children"),
                );
            } else if !done.contains(child.value.as_str()) {
                on_path.insert(&below.name.value);
                path.push((below, 0));
            }
        }
    }
}
