//! What processes have used, from `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

/// CPU time and peak memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time since the start.
    pub cpu: Duration,
    /// The most memory ever held, bytes.
    pub rss_peak_bytes: u64,
}

/// What `/proc/<pid>/stat` says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Of children that ended and were waited for, and of theirs.
    ended_ticks: u64,
}

/// The second field, the name, may hold spaces and parentheses; the fields after its last one are plain.
fn parse(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(11)? + number(12)?,
        ended_ticks: number(13)? + number(14)?,
    })
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn rss_peak_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

fn duration(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// What process `pid` itself has used so far; `None` once it is gone.
pub fn of(pid: u32) -> Option<Usage> {
    Some(Usage { cpu: duration(stat(pid)?.own_ticks), rss_peak_bytes: rss_peak_bytes(pid)? })
}

/// What process `root` and everybody below it have used so far; `None` once it is gone.
///
/// PostgreSQL's time is that of its backends, and backends end: the time of who ended is in the parent that waited for it,
/// and stays there. The sum is therefore whole at any moment, whoever came and went since.
pub fn of_tree(root: u32) -> Option<Usage> {
    let everybody: BTreeMap<u32, Stat> = std::fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    everybody.get(&root)?;
    let members = members(root, &everybody);
    let ticks = members.iter().map(|pid| everybody[pid].own_ticks + everybody[pid].ended_ticks).sum();
    let rss_peak_bytes = members.iter().filter_map(|pid| rss_peak_bytes(*pid)).sum();
    Some(Usage { cpu: duration(ticks), rss_peak_bytes })
}

fn members(root: u32, everybody: &BTreeMap<u32, Stat>) -> Vec<u32> {
    let mut members = vec![root];
    let mut looked = 0;
    while let Some(&parent) = members.get(looked) {
        members.extend(everybody.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        looked += 1;
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 11 12 13 14 20 0 1 0 98765 1 1";
        assert_eq!(parse(stat), Some(Stat { parent: 7, own_ticks: 23, ended_ticks: 27 }));
        assert_eq!(parse("42 (cut off"), None);
    }

    #[test]
    fn a_tree_is_its_root_and_all_below() {
        let stat = |parent| Stat { parent, own_ticks: 0, ended_ticks: 0 };
        let all = [(1, stat(0)), (2, stat(1)), (3, stat(1)), (4, stat(3)), (9, stat(8))].into();
        assert_eq!(members(1, &all), [1, 2, 3, 4]);
        assert_eq!(members(3, &all), [3, 4]);
    }

    #[test]
    fn the_time_of_a_child_that_ended_is_kept() {
        let own = std::process::id();
        let before = of_tree(own).expect("we are there").cpu;
        // Three quarters of a second of work, by somebody who is gone afterwards.
        let work = "n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done";
        let status = std::process::Command::new("sh").args(["-c", work]).status().expect("a shell");
        assert!(status.success());
        let spent = of_tree(own).expect("we are there").cpu - before;
        assert!(spent >= Duration::from_millis(50), "{spent:?}");
    }
}
