//! `aqueduct offsets reset` of a topology that writes no rows: its offsets are the consumer group's, one a partition for all
//! sinks, and nothing fences whoever reads.
//!
//! The same words are asked for as beside rows (`actors/src/timescale/offsets/reset.rs`). The broker itself refuses while
//! the group has members, those included that are not told (KIP-848).

use super::reset::{Arguments, print, sinks};
use crate::exit::Exit;
use crate::stores;
use anyhow::{Result, bail};
use aqueduct_actors::kafka::logs::Logs;
use aqueduct_actors::timescale::offsets::reset::{Move, Report, Target};
use aqueduct_topology::model::Topology;
use std::collections::BTreeMap;

/// To whoever is in the way.
const STOP_THEM: &str = "stop them first (one that was killed leaves after its session of 10 s)";
/// How the one that keeps them is called where a sink would be named.
pub(super) const GROUP: &str = "(the group)";

pub(super) fn reset(
    arguments: &Arguments,
    topology: &Topology,
    logs: &Logs,
    targets: Vec<Target>,
) -> Result<Exit> {
    if arguments.sink.is_some() || arguments.fence {
        return stores::wrong(
            "this topology writes no rows, so its offsets are those of its consumer group: one for all sinks, and no \
             fence; stop its nodes, and leave out --sink and --fence"
                .into(),
        );
    }
    let members = stores::answered(logs.members())?;
    if !members.is_empty() {
        bail!("nothing was changed: the consumer group has members ({}): {STOP_THEM}", members.join(", "));
    }
    let mut moves = Vec::new();
    for target in targets {
        let stored = stores::answered(logs.committed(&target.topic, &[target.partition]))?;
        moves.extend(stored.into_iter().flatten().map(|from| moved(from, &target)));
    }
    let doubling: Vec<String> = sinks(arguments, topology)?
        .into_iter()
        .filter(|(_, doubles)| *doubles)
        .map(|(sink, _)| sink)
        .collect();
    if let Some(why) = refusal(&moves, &doubling, (arguments.write_again, arguments.skip_unread)) {
        bail!("nothing was changed: {why}");
    }
    if !arguments.dry_run {
        let mut by_topic: BTreeMap<&str, Vec<(i32, i64)>> = BTreeMap::new();
        for one in &moves {
            by_topic.entry(&one.topic).or_default().push((one.partition, one.to));
        }
        for (topic, offsets) in by_topic {
            if !stores::answered(logs.commit(topic, &offsets))? {
                bail!("nothing was changed: the consumer group has members: {STOP_THEM}");
            }
        }
    }
    print(&Report { moves, ..Report::default() }, arguments, false)?;
    Ok(Exit::Ok)
}

fn moved(from: i64, target: &Target) -> Move {
    let Target { input, topic, partition, to } = target.clone();
    let (again, skipped) = ((from - to).max(0), (to - from).max(0));
    Move { sink: GROUP.into(), input, topic, partition, from, to, again, skipped }
}

/// What somebody would have to agree to first, or why nothing can be moved; `doubling` are the sinks that do not know what
/// they have. Pure.
fn refusal(moves: &[Move], doubling: &[String], (write_again, skip_unread): (bool, bool)) -> Option<String> {
    if moves.is_empty() {
        return Some(
            "the group was told no offset there: nothing has run yet, so `start` of the source says where it begins".into(),
        );
    }
    let sum = |pick: fn(&Move) -> i64| moves.iter().map(pick).sum::<i64>();
    let (again, skipped) = (sum(|one| one.again), sum(|one| one.skipped));
    if again > 0 && !doubling.is_empty() && !write_again {
        return Some(format!(
            "{again} records before the stored offsets would be written again by {}, which does not know them apart: say \
             --write-again",
            doubling.join(", ")
        ));
    }
    (skipped > 0 && !skip_unread)
        .then(|| format!("{skipped} records after the stored offsets would never be read: say --skip-unread"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn move_of(from: i64, to: i64) -> Move {
        let target = Target { input: "ticks".into(), topic: "md".into(), partition: 0, to };
        moved(from, &target)
    }

    #[test]
    fn what_would_double_or_lose_records_needs_its_word() {
        let (copy, none) = (["copy".to_owned()], []);
        let why = |moves: &[Move], doubling: &[String], agreed| {
            refusal(moves, doubling, agreed).unwrap_or_default()
        };
        let back = [move_of(50, 20), move_of(9, 9)];
        assert!(why(&back, &copy, (false, true)).starts_with("30 records before the stored offsets"));
        assert_eq!(why(&back, &copy, (true, false)), "");
        assert_eq!(why(&back, &none, (false, false)), "", "a cache is guarded by order");
        let forward = [move_of(50, 80)];
        assert!(why(&forward, &copy, (true, false)).starts_with("30 records after the stored offsets"));
        assert_eq!(why(&forward, &copy, (false, true)), "");
        assert!(
            why(&[], &copy, (true, true)).contains("`start` of the source"),
            "what never ran is moved by the file"
        );
    }
}
