//! The root of the supervision tree, and the dead letter that nobody has to write.
//!
//! The root's children are those that no supervisor names, in the file's order; the dead letter, unless a supervisor
//! names it, comes first, so that it starts before whoever may need it and stops after them. Sources come before their
//! sinks in most files and so start first; nothing is lost by that, because a link without a reader waits.

use super::actor::{LINK_BOUNDS, SHUTDOWN};
use super::supervisors::{INTENSITY, PERIOD};
use crate::model::{Actor, Backoff, DeadLetter, Kind, Policy, Restart, Strategy, Supervisor};
use crate::{Span, Spanned};
use std::collections::HashSet;

/// The name of the root, and of the supervisor that may be declared in its place.
pub(crate) const ROOT: &str = "root";
/// The name of the actor that keeps what was rejected.
pub(crate) const DEAD_LETTER: &str = "dead_letter";

/// Adds the dead letter and the root; gives the supervisors, root first.
pub(crate) fn attach(mut supervisors: Vec<Supervisor>, actors: &mut Vec<Actor>) -> Vec<Supervisor> {
    if !actors.iter().any(|actor| actor.name.value == DEAD_LETTER) {
        actors.push(implicit_dead_letter());
    }
    let declared = supervisors.iter().position(|supervisor| supervisor.name.value == ROOT);
    let mut root = declared.map_or_else(implicit_root, |at| supervisors.remove(at));
    let claimed: HashSet<&str> = supervisors
        .iter()
        .chain([&root])
        .flat_map(|supervisor| &supervisor.children)
        .map(|child| child.value.as_str())
        .collect();
    let names =
        supervisors.iter().map(|supervisor| &supervisor.name).chain(actors.iter().map(|actor| &actor.name));
    let mut orphans: Vec<Spanned<String>> =
        names.filter(|name| !claimed.contains(name.value.as_str())).cloned().collect();
    orphans.sort_by_key(|name| (name.value != DEAD_LETTER, name.span.start));
    let dead_letter =
        orphans.first().is_some_and(|name| name.value == DEAD_LETTER).then(|| orphans.remove(0));
    root.children = dead_letter.into_iter().chain(root.children).chain(orphans).collect();
    supervisors.insert(0, root);
    supervisors
}

fn implicit_root() -> Supervisor {
    Supervisor {
        name: Spanned::new(ROOT.to_owned(), Span::default()),
        strategy: Strategy::OneForOne,
        intensity: INTENSITY,
        period: PERIOD,
        backoff: Backoff::default(),
        children: Vec::new(),
        span: Span::default(),
    }
}

fn implicit_dead_letter() -> Actor {
    let name = Spanned::new(DEAD_LETTER.to_owned(), Span::default());
    Actor {
        id: name.clone(),
        name,
        adopts: None,
        description: None,
        from: Vec::new(),
        restart: Restart::Permanent,
        shutdown: SHUTDOWN,
        parallelism: Spanned::new(1, Span::default()),
        load: None,
        link: LINK_BOUNDS,
        policy: Policy::Required,
        kind: Kind::DeadLetter(DeadLetter::default()),
        span: Span::default(),
    }
}
