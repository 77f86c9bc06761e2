//! The process as the kernel sees it, under the names that everybody gives these figures.
//!
//! Read from `/proc` at scrape time: memory of the kernel, so it waits for nothing. Elsewhere than on Linux, and of what
//! cannot be read, there is no series.

use super::exposition::Exposition;
use super::names;
use std::fs;

/// Writes what can be read.
pub(super) fn render(page: &mut Exposition) {
    let (stat, status) = (read("/proc/self/stat"), read("/proc/self/status"));
    let figures = [
        (names::PROCESS_CPU_SECONDS_TOTAL, cpu_seconds(&stat)),
        (names::PROCESS_RESIDENT_MEMORY_BYTES, kilobytes(&status, "VmRSS:")),
        (names::PROCESS_VIRTUAL_MEMORY_BYTES, kilobytes(&status, "VmSize:")),
        (names::PROCESS_OPEN_FDS, open_files()),
        (names::PROCESS_MAX_FDS, max_files()),
        (names::PROCESS_START_TIME_SECONDS, start_seconds(&stat)),
        (names::PROCESS_THREADS, number(&status, "Threads:")),
    ];
    for (metric, value) in figures {
        if let Some(value) = value {
            page.metric(metric).value(&[], value);
        }
    }
}

/// A file of the kernel; empty where it is not there.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A field of `/proc/self/stat`, counted as its manual does, from 1. The second is a name and may hold anything.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number - 3)?.parse().ok()
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / ticks_per_second())
}

fn start_seconds(stat: &str) -> Option<f64> {
    let system = read("/proc/stat");
    let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + field(stat, 22)? / ticks_per_second())
}

fn number(status: &str, name: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    Some(number(status, name)? * 1024.0)
}

/// The one the folder is read through is not counted.
fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn max_files() -> Option<f64> {
    let limits = read("/proc/self/limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let (stat, status) = (read("/proc/self/stat"), read("/proc/self/status"));
        assert!(cpu_seconds(&stat).unwrap() >= 0.0);
        assert!(kilobytes(&status, "VmRSS:").unwrap() > 1e6);
        let open = open_files().unwrap();
        let _file = fs::File::open("/dev/null").unwrap();
        assert!(open >= 1.0 && max_files().unwrap() >= open);
        assert!(number(&status, "Threads:").unwrap() >= 1.0);
        let now = Clock::system().wall_us() as f64 / 1e6;
        let age = now - start_seconds(&stat).unwrap();
        assert!((-1.5..86_400.0).contains(&age), "started {age} s ago");
    }
}
