//! What a change of the supervision tree means. It restarts nobody: it says whom the next crash takes along.
//!
//! A restarting reload is an operator's order and fells no sibling, whatever the strategy.

use super::diff::{Change, Part, Verdict};
use super::form::{Form, list};
use serde::Serialize;
use serde_json::Value;

/// A supervisor that differs, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SupervisorPlan {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub verdict: Verdict,
    /// By key.
    pub changes: Vec<Change>,
    /// What follows, for people.
    pub because: Vec<String>,
}

pub(super) fn plan(part: &Part, old: &Form, new: &Form) -> SupervisorPlan {
    let mut because = Vec::new();
    if part.verdict == Verdict::Changed {
        because.push("restarts nobody; restarts are counted anew from here on".to_owned());
    }
    let children = new.supervisors.get(&part.name).map(|keys| list(keys, "children")).unwrap_or_default();
    for child in children.into_iter().filter(|child| new.actors.contains_key(*child)) {
        let (before, after) = (felled_with(old, child), felled_with(new, child));
        if old.actors.contains_key(child) && before != after {
            because.push(format!(
                "a crash of `{child}` restarts {} (before: {})",
                alone(&after),
                alone(&before)
            ));
        }
    }
    SupervisorPlan { name: part.name.clone(), verdict: part.verdict, changes: part.changes.clone(), because }
}

fn alone(with: &[String]) -> String {
    match with {
        [] => "it alone".to_owned(),
        with => format!("{} too", with.join(", ")),
    }
}

/// The other actors that the supervisor of `actor` restarts when it crashes, sorted.
fn felled_with(form: &Form, actor: &str) -> Vec<String> {
    let Some((keys, children)) = form.supervisors.values().find_map(|keys| {
        let children = list(keys, "children");
        children.contains(&actor).then_some((keys, children))
    }) else {
        return Vec::new();
    };
    let place = children.iter().position(|child| *child == actor).unwrap_or(0);
    let felled = match keys.get("strategy").and_then(Value::as_str) {
        Some("one_for_all") => &children[..],
        Some("rest_for_one") => &children[place..],
        _ => &children[place..=place],
    };
    let mut names: Vec<String> = felled.iter().flat_map(|child| actors_of(form, child, 0)).collect();
    names.retain(|name| name != actor);
    names.sort_unstable();
    names
}

/// The actors at or below a child. Bounded: a form read from a file may hold a cycle.
fn actors_of(form: &Form, child: &str, depth: usize) -> Vec<String> {
    match form.supervisors.get(child) {
        Some(keys) if depth <= form.supervisors.len() => {
            list(keys, "children").iter().flat_map(|below| actors_of(form, below, depth + 1)).collect()
        }
        Some(_) => Vec::new(),
        None => vec![child.to_owned()],
    }
}
