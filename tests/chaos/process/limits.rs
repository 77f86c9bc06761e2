//! Too little of what the system gives: files, memory, room for the log.

use super::super::kit::PLAIN;
use super::super::stage::{BOUND, Stage};
use super::super::trial::Trial;
use crate::harness::node::Launch;
use crate::harness::wait;
use aqueduct_stack::Part;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Connections to the admin endpoint that take every file there is.
const GREEDY: usize = 64;

/// No file is left and every connection to the database is gone: it waits, without spinning, and goes on.
pub fn file_descriptors(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(2_000);
    let through = ["prlimit", "--nofile=64:64", "--"];
    let node = stage.launch(&Launch { name: "few-files", through: &through, ..Launch::default() });
    stage.await_progress(1_000);
    let alone = node.open_files();
    for _ in 0..trial.times(1, 10) {
        let greedy: Vec<TcpStream> = (0..GREEDY)
            .filter_map(|_| TcpStream::connect_timeout(&node.admin, Duration::from_secs(1)).ok())
            .collect();
        // Not at once: whoever found no file free rests for a second before it accepts again.
        wait::until("nearly all of 64 files taken", BOUND, || (node.open_files() >= 60).then_some(()));
        stage.world.sql().batch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'aqueduct/%'",
        );
        trial.fault();
        let (before, began) = (node.processor_time(), Instant::now());
        std::thread::sleep(Duration::from_secs(2));
        let busy = node.processor_time() - before;
        assert!(busy < began.elapsed() / 2, "it spins: {busy:?} of processor in {:?}", began.elapsed());
        drop(greedy);
        trial.recovered(stage.time_to_progress());
    }
    trial.note(format!("{alone} files open with nobody at the admin endpoint"));
    stage.judge(trial, load, vec![node]);
}

/// What a node may hold in private memory, as the system counts it: stacks and what the allocator keeps included.
const DATA_BYTES: u64 = 400 << 20;

/// A backlog and an outage of the database, under a limit that a node without bounds would run into.
pub fn memory(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(5_000);
    let limit = format!("--data={DATA_BYTES}");
    let through = ["prlimit", &limit, "--"];
    let node = stage.launch(&Launch { name: "little-memory", through: &through, ..Launch::default() });
    stage.await_progress(1_000);
    for _ in 0..trial.times(1, 10) {
        stage.world.stack().pause(Part::Timescale).expect("pause the database");
        trial.fault();
        // Far more than may be read ahead.
        load.rate(30_000);
        std::thread::sleep(trial.seconds(5, 30));
        load.rate(5_000);
        stage.world.stack().resume(Part::Timescale).expect("resume the database");
        trial.recovered(stage.time_to_progress());
    }
    trial.note(format!("{} MiB of {} reserved", node.memory_mib("VmData:"), DATA_BYTES >> 20));
    stage.judge(trial, load, vec![node]);
}

/// Not a line of the log can be written, nor the ledger at the end.
pub fn log_disk_full(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(2_000);
    let environment = [("AQUEDUCT_LOG", "debug")];
    let full = Some(Path::new("/dev/full"));
    let node =
        stage.launch(&Launch { name: "mute", environment: &environment, output: full, ..Launch::default() });
    stage.await_progress(1_000);
    for _ in 0..trial.times(2, 20) {
        // Something to complain of.
        stage.world.sql().batch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'aqueduct/%'",
        );
        trial.fault();
        trial.recovered(stage.time_to_progress());
    }
    node.await_ready(200, BOUND);
    stage.judge(trial, load, vec![node]);
}
