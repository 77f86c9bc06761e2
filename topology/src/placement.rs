//! Which actors share a thread: by the load that the file declares for each, or that its kind usually has.
//!
//! Pure, so that `explain` says beforehand what a node does. The heaviest is placed first, each on the arbiter that has
//! the least so far (the rule of Graham's longest processing time, 1969, at most a third over the best). Where two
//! arbiters have the same, the one without a neighbour in the graph is taken: neighbours work at the same time.
//! Deliberately absent: threads.

use crate::model::{Actor, Kind, Topology};
use std::cmp::Reverse;

/// Most arbiters where nobody says otherwise and there are not more cores: a thread for each actor of most topologies, so
/// that one that does not yield holds up no other.
pub const ARBITERS_USUAL: u32 = 16;

/// A clone of an actor that needs a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it needs of a core beside the others, any unit.
    pub load: u32,
    /// Who hands it batches or is handed them, by position.
    pub neighbours: Vec<usize>,
    /// Where it is already, and stays.
    pub kept: Option<usize>,
}

/// The arbiter, below `arbiters`, of each of `candidates`.
///
/// # Panics
/// If there is no arbiter, or somebody is kept where none is.
pub fn spread(candidates: &[Candidate], arbiters: usize) -> Vec<usize> {
    assert!(arbiters > 0, "an actor needs a thread");
    let mut load = vec![0_u64; arbiters];
    let mut places: Vec<Option<usize>> = candidates.iter().map(|candidate| candidate.kept).collect();
    for (candidate, place) in candidates.iter().zip(&places) {
        if let Some(place) = place {
            load[*place] += u64::from(candidate.load);
        }
    }
    let mut heaviest_first: Vec<usize> = (0..candidates.len()).filter(|&at| places[at].is_none()).collect();
    heaviest_first.sort_by_key(|&at| Reverse(candidates[at].load));
    for at in heaviest_first {
        let candidate = &candidates[at];
        let is_beside =
            |arbiter: usize| candidate.neighbours.iter().any(|&neighbour| places[neighbour] == Some(arbiter));
        let best = (0..arbiters).min_by_key(|&arbiter| (load[arbiter], is_beside(arbiter), arbiter));
        let best = best.expect("there is an arbiter");
        load[best] += u64::from(candidate.load);
        places[at] = Some(best);
    }
    places.into_iter().map(|place| place.expect("everybody was placed")).collect()
}

/// The load of each clone of `actor`: what the file says, or what its kind usually needs, in per cent of a core at full
/// rate. A source's own thread, which polls, is not counted: no arbiter runs it.
pub fn load_of(actor: &Actor) -> u32 {
    actor.load.unwrap_or(match &actor.kind {
        Kind::Normalizer(_) => 60,
        Kind::TimescaleWriter(_) => 40,
        Kind::RedisCache(_) | Kind::KafkaSink(_) => 20,
        Kind::KafkaSource(_) | Kind::ReplaySource(_) | Kind::QualityGate(_) => 5,
        Kind::DeadLetter(_) | Kind::Schedule(_) => 1,
    })
}

/// A clone and where it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// What it needs of a core beside the others, in per cent.
    pub load: u32,
    /// Its arbiter, from 0.
    pub arbiter: usize,
}

/// Every clone of every actor of `topology`, in the file's order; no more arbiters than clones are used.
pub fn of(topology: &Topology, arbiters_max: usize) -> Vec<Placed> {
    let clones_of = |actor: &Actor| actor.parallelism.value.max(1) as usize;
    let mut first = Vec::with_capacity(topology.actors.len());
    let mut count = 0;
    for actor in &topology.actors {
        first.push(count);
        count += clones_of(actor);
    }
    let range = |at: usize| first[at]..first[at] + clones_of(&topology.actors[at]);
    let position = |name: &str| topology.actors.iter().position(|actor| actor.name.value == name);
    let mut candidates = Vec::with_capacity(count);
    let mut names = Vec::with_capacity(count);
    for actor in &topology.actors {
        for clone in 0..clones_of(actor) {
            names.push(clone_name(&actor.name.value, clone));
            candidates.push(Candidate { load: load_of(actor), neighbours: Vec::new(), kept: None });
        }
    }
    for (reader, actor) in topology.actors.iter().enumerate() {
        for writer in actor.from.iter().filter_map(|from| position(&from.value)) {
            for (one, other) in range(reader).flat_map(|one| range(writer).map(move |other| (one, other))) {
                candidates[one].neighbours.push(other);
                candidates[other].neighbours.push(one);
            }
        }
    }
    let places = spread(&candidates, used(arbiters_max, count));
    let placed = names.into_iter().zip(candidates).zip(places);
    placed.map(|((name, Candidate { load, .. }), arbiter)| Placed { name, load, arbiter }).collect()
}

/// How many arbiters are started for so many clones.
pub fn used(arbiters_max: usize, clones: usize) -> usize {
    arbiters_max.min(clones).max(1)
}

/// The name of an actor's clone, counted from 0: the first has the actor's own.
pub fn clone_name(name: &str, clone: usize) -> String {
    if clone == 0 { name.to_owned() } else { format!("{name}#{}", clone + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(load: u32, neighbours: &[usize]) -> Candidate {
        Candidate { load, neighbours: neighbours.to_vec(), kept: None }
    }

    #[test]
    fn with_a_thread_for_each_nobody_shares() {
        let candidates = [candidate(5, &[1]), candidate(60, &[0, 2]), candidate(40, &[1]), candidate(1, &[])];
        let mut places = spread(&candidates, 4);
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3]);
    }

    #[test]
    fn the_heavy_ones_are_apart_and_the_light_ones_fill_up() {
        // ticks, trades, history, cache, dead letter
        let candidates = [
            candidate(5, &[1]),
            candidate(60, &[0, 2, 3]),
            candidate(40, &[1]),
            candidate(20, &[1]),
            candidate(1, &[]),
        ];
        assert_eq!(spread(&candidates, 2), [1, 0, 1, 1, 0]);
    }

    #[test]
    fn of_equals_a_neighbour_is_avoided_and_who_is_there_stays() {
        let mut candidates = [candidate(10, &[]), candidate(10, &[]), candidate(10, &[0])];
        assert_eq!(spread(&candidates, 2), [0, 1, 1]);
        candidates[2].kept = Some(0);
        assert_eq!(spread(&candidates, 2), [1, 0, 0], "both go where less is");
    }

    proptest! {
        /// No arbiter has more than its share and one actor's load: what the rule promises.
        #[test]
        fn nobody_has_much_more_than_another(loads in prop::collection::vec(0..1000_u32, 1..60), arbiters in 1..12_usize) {
            let candidates: Vec<_> = loads.iter().map(|load| candidate(*load, &[])).collect();
            let places = spread(&candidates, arbiters);
            let of = |arbiter: usize| -> u64 {
                let here = loads.iter().zip(&places).filter(|(_, place)| **place == arbiter);
                here.map(|(load, _)| u64::from(*load)).sum()
            };
            let all: Vec<u64> = (0..arbiters).map(of).collect();
            let heaviest = u64::from(*loads.iter().max().unwrap());
            prop_assert!(all.iter().max().unwrap() - all.iter().min().unwrap() <= heaviest);
        }
    }
}
