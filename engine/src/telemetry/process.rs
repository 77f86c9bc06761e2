//! The process as the kernel sees it, under the names that everybody gives these figures.
//!
//! Read from `/proc` at scrape time: memory of the kernel, so it waits for nothing. Elsewhere than on Linux, and of what
//! cannot be read, there is no series.

use super::exposition::Exposition;
use super::names;
use std::fs;

/// Writes what can be read.
pub(super) fn render(page: &mut Exposition) {
    let figures = [
        (names::PROCESS_CPU_SECONDS_TOTAL, cpu_seconds()),
        (names::PROCESS_RESIDENT_MEMORY_BYTES, status_kilobytes("VmRSS:")),
        (names::PROCESS_VIRTUAL_MEMORY_BYTES, status_kilobytes("VmSize:")),
        (names::PROCESS_OPEN_FDS, open_files()),
        (names::PROCESS_MAX_FDS, max_files()),
        (names::PROCESS_START_TIME_SECONDS, start_seconds()),
        (names::PROCESS_THREADS, status_number("Threads:")),
    ];
    for (metric, value) in figures {
        if let Some(value) = value {
            page.metric(metric).value(&[], value);
        }
    }
}

/// A field of `/proc/self/stat`, counted as its manual does, from 1. The second is a name and may hold anything.
fn stat(field: usize) -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(field - 3)?.parse().ok()
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / ticks_per_second())
}

fn start_seconds() -> Option<f64> {
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + stat(22)? / ticks_per_second())
}

fn status_number(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

fn status_kilobytes(name: &str) -> Option<f64> {
    Some(status_number(name)? * 1024.0)
}

/// The one the folder is read through is not counted.
fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn max_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
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
        assert!(cpu_seconds().unwrap() >= 0.0);
        assert!(status_kilobytes("VmRSS:").unwrap() > 1e6);
        let open = open_files().unwrap();
        let _file = fs::File::open("/dev/null").unwrap();
        assert!(open >= 1.0 && max_files().unwrap() >= open);
        assert!(status_number("Threads:").unwrap() >= 1.0);
        let now = Clock::system().wall_us() as f64 / 1e6;
        let age = now - start_seconds().unwrap();
        assert!((-1.5..86_400.0).contains(&age), "started {age} s ago");
    }
}
