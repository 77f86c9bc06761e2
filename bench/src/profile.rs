//! Where the engine's time goes: `perf` samples it during a drain, stacks are folded, and the flame graph is one SVG.
//!
//! Deliberately absent: symbols of the kernel where it does not let us see them; their frames are then numbers.

use crate::parts::watch::{self, Arrival};
use crate::programs::{Program, bound};
use crate::stage::Stage;
use crate::workload::{self, Load, Sinks};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Samples a second; an odd number, so that nothing periodic hides from it.
const HERTZ: &str = "199";

/// Folded stacks: each as `thread;outermost;..;innermost`, with how many samples it had.
pub type Folded = BTreeMap<String, u64>;

/// Drains `load` with the engine under `perf`, and leaves its raw data beside `folder`'s other files for no longer than needed.
pub async fn run(stage: &Stage, load: &Load, folder: &Path) -> Result<Folded> {
    let data = folder.join("perf.data");
    workload::empty_table(&stage.client, load.work).await?;
    let task = stage.task("profile", load, Sinks::Both)?;
    let mut running = [Program::Aqueduct.start(stage, &task)?];
    let mut perf = bound("perf")
        .args(["record", "--quiet", "-e", "cpu-clock", "-F", HERTZ, "--call-graph", "dwarf,8192"])
        .args(["-p", &running[0].pid().to_string(), "-o"])
        .arg(&data)
        .stdout(Stdio::null())
        .spawn()
        .context("start perf: install linux-perf")?;
    let drained = watch::drain(stage, &mut running, &Arrival::Last(&load.last), load.rows).await;
    // SIGINT makes it write what it has.
    let pid = Pid::from_raw(i32::try_from(perf.id())?).context("a process has an id")?;
    kill_process(pid, Signal::INT).context("end perf")?;
    perf.wait()?;
    drained?;
    let script = Command::new("perf")
        .args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"])
        .arg(&data)
        .stderr(Stdio::null())
        .output()
        .context("run perf script")?;
    std::fs::remove_file(&data).context("remove perf's data")?;
    let folded = fold(&String::from_utf8_lossy(&script.stdout));
    anyhow::ensure!(!folded.is_empty(), "perf took no samples: is kernel.perf_event_paranoid too strict?");
    Ok(folded)
}

/// Reads what `perf script` prints: a line with the thread's name, then a line for each frame, the innermost first.
pub fn fold(script: &str) -> Folded {
    let mut folded = Folded::new();
    for sample in script.split("\n\n") {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let Some(thread) = lines.next() else { continue };
        let frames: Vec<String> = lines.map(frame).collect();
        let mut stack = vec![thread.trim().to_owned()];
        stack.extend(frames.into_iter().rev());
        *folded.entry(stack.join(";")).or_default() += 1;
    }
    folded
}

/// The function of `7f00 name+0x12 (file)`, without its hash.
fn frame(line: &str) -> String {
    let name = line.trim().split_once(' ').map_or(line, |(_, name)| name);
    let name = name.rsplit_once("::h").filter(|(_, hash)| is_hash(hash)).map_or(name, |(name, _)| name);
    name.replace(';', ":")
}

fn is_hash(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_folded_from_the_outermost() {
        let script = "poll  \n\t    55 core::b::h0123456789abcdef\n\t    44 main\n\npoll \n 55 core::b\n 44 main\n\nother\n 1 [unknown]\n";
        let folded = fold(script);
        assert_eq!(folded.get("poll;main;core::b"), Some(&2), "{folded:?}");
        assert_eq!(folded.get("other;[unknown]"), Some(&1));
    }
}
