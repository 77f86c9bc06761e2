//! What a process has used, from `/proc`.

use std::time::Duration;

/// CPU time and peak memory of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time since it started.
    pub cpu: Duration,
    /// The most memory it ever held, bytes.
    pub rss_peak_bytes: u64,
}

/// What process `pid` has used so far; `None` once it is gone.
pub fn of(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name, may hold spaces; the fields after its parenthesis are plain.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Some(Usage {
        cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64),
        rss_peak_bytes: kib * 1024,
    })
}
