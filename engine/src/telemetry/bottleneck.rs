//! Whom the others wait for.
//!
//! Backpressure fills the links before the slowest stage and leaves those behind it empty. So the bottleneck is an actor
//! whose input is full while its outputs are not; among several, on parallel branches, the one that holds up the most.
//! Where no link is full, reading itself is what limits, if a source is far behind all the same.
//! Invariant: one at most. Deliberately absent: memory; the answer is about now.

use crate::limits::BATCH_RECORDS_MAX;
use crate::registry::ActorView;
use crate::supervisor::host::Role;

/// A link this full makes its reader a suspect.
const FULL_RATIO: f64 = 0.75;

/// The one actor that the others wait for; nobody while everything keeps up.
pub fn bottleneck(actors: &[ActorView]) -> Option<&ActorView> {
    let suspects =
        actors.iter().filter(|actor| input_ratio(actor) >= FULL_RATIO && !is_held_up(actor, actors));
    let weight = |actor: &ActorView| (actor.required, held_up_seconds(actor, actors), input_ratio(actor));
    let slowest = suspects.max_by(|one, other| {
        let (one, other) = (weight(one), weight(other));
        one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)).then(one.2.total_cmp(&other.2))
    });
    slowest.or_else(|| furthest_behind(actors))
}

fn input_ratio(actor: &ActorView) -> f64 {
    actor.inputs.iter().map(|link| link.ratio).fold(0.0, f64::max)
}

/// Whether one of its readers is full.
fn is_held_up(actor: &ActorView, actors: &[ActorView]) -> bool {
    let inputs = actors.iter().flat_map(|reader| &reader.inputs);
    inputs.filter(|link| link.from == actor.name).any(|link| link.ratio >= FULL_RATIO)
}

/// How long those above have waited for it. An edge leads to all clones of its reader, so it has the name in the file.
fn held_up_seconds(actor: &ActorView, actors: &[ActorView]) -> f64 {
    let name = actor.name.split('#').next().unwrap_or_default();
    let edges = actors.iter().flat_map(|writer| &writer.outputs).filter(|edge| *edge.to == *name);
    edges.map(|edge| edge.blocked_seconds).sum()
}

/// The source with the most to read, if that is more than a batch and no reader of it is full.
fn furthest_behind(actors: &[ActorView]) -> Option<&ActorView> {
    let records = |actor: &ActorView| actor.lag.iter().map(|lag| lag.records).sum::<i64>();
    let sources = actors.iter().filter(|actor| actor.role == Role::Source && !is_held_up(actor, actors));
    sources.max_by_key(|actor| records(actor)).filter(|actor| records(actor) > BATCH_RECORDS_MAX as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{EdgeView, LinkView};
    use crate::telemetry::Lag;

    fn reading(name: &str, from: &str, ratio: f64) -> ActorView {
        let mut view = ActorView::named(name, Role::Transform);
        view.inputs.push(LinkView { from: from.into(), batches: 1, bytes: 1, ratio, records: 1 });
        view
    }

    fn source(records: i64) -> ActorView {
        let mut view = ActorView::named("source", Role::Source);
        view.lag.push(Lag { records, ..Lag::none("t".into(), 0) });
        view
    }

    fn found(actors: &[ActorView]) -> Option<&str> {
        bottleneck(actors).map(|actor| &*actor.name)
    }

    #[test]
    fn it_is_the_last_one_with_a_full_input_on_the_way() {
        let actors = [source(90_000), reading("rows", "source", 1.0), reading("history", "rows", 0.9)];
        assert_eq!(found(&actors), Some("history"));
        let actors = [source(90_000), reading("rows", "source", 1.0), reading("history", "rows", 0.2)];
        assert_eq!(found(&actors), Some("rows"));
    }

    #[test]
    fn of_two_full_branches_it_is_the_one_that_holds_up_more_and_a_required_one_first() {
        let mut rows = reading("rows", "source", 1.0);
        let edge =
            |to: &str, blocked_seconds| EdgeView { to: to.into(), blocked_seconds, passed_over_records: 0 };
        rows.outputs = vec![edge("history", 2.0), edge("copy", 5.0), edge("cache", 9.0)];
        let mut cache = reading("cache", "rows", 1.0);
        cache.required = false;
        let actors =
            [source(1), rows, reading("history", "rows", 1.0), reading("copy#2", "rows", 0.9), cache];
        assert_eq!(found(&actors), Some("copy#2"));
    }

    #[test]
    fn with_room_everywhere_it_is_the_source_that_is_behind_or_nobody() {
        assert_eq!(found(&[source(90_000), reading("rows", "source", 0.1)]), Some("source"));
        assert_eq!(found(&[source(12), reading("rows", "source", 0.1)]), None);
    }
}
