//! How much memory the process may use: asked once, as nobody changes it under a running process. The larger of what the
//! control group and the machine have is no limit.

use std::fs::read_to_string;
use std::sync::OnceLock;

/// Where a process in a container finds its control group's limit, of both versions.
const CONTROL_GROUP: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// The limit; `None` where the system does not say.
pub(super) fn limit_bytes() -> Option<u64> {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let group = CONTROL_GROUP.iter().find_map(|file| read_to_string(file).ok());
        least(group.as_deref(), read_to_string("/proc/meminfo").ok().as_deref())
    })
}

/// `max` is no number, and a group without a limit names one beyond the machine.
fn least(group: Option<&str>, machine: Option<&str>) -> Option<u64> {
    let group = group.and_then(|text| text.trim().parse::<u64>().ok());
    let total = machine.and_then(|text| text.lines().find_map(|line| line.strip_prefix("MemTotal:")));
    let total = total.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    group.into_iter().chain(total.map(|kilobytes| kilobytes * 1024)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_of_group_and_machine_counts() {
        let machine = Some("MemFree: 1 kB\nMemTotal:       2048 kB\n");
        assert_eq!(least(Some("1048576\n"), machine), Some(1 << 20));
        assert_eq!(least(Some("max\n"), machine), Some(2 << 20));
        assert_eq!(least(Some("9223372036854771712\n"), machine), Some(2 << 20));
        assert_eq!((least(None, None), least(Some("5"), None)), (None, Some(5)));
    }
}
