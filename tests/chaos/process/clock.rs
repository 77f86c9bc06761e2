//! The wall clock is stepped by an hour under a running engine, ahead and back.
//!
//! The system's own clock belongs to everybody; so the clock of this one process is moved, by a library that is loaded
//! before the C library (`clock.c`).

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/process/clock.c");
const HOUR_NS: i64 = 3_600 * 1_000_000_000;

/// A clock of one process.
struct SteppedClock {
    library: PathBuf,
    offset: PathBuf,
    file: std::fs::File,
}

impl SteppedClock {
    fn in_folder(folder: &Path) -> Self {
        let (library, offset) = (folder.join("clock.so"), folder.join("clock.offset"));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(SOURCE)
            .status();
        assert!(compiled.expect("a C compiler, which the build needs too").success(), "clock.c compiles");
        let file = std::fs::File::create(&offset).expect("a file for the offset");
        let clock = Self { library, offset, file };
        clock.set(0);
        clock
    }

    /// So far from the system's.
    fn set(&self, offset_ns: i64) {
        // Eight bytes at a multiple of eight are seen whole or not at all.
        self.file.write_all_at(&offset_ns.to_ne_bytes(), 0).expect("set the clock");
    }
}

/// Rows flow on, the group is kept, keys stay the newest; and what comes after an idle time comes at once.
pub fn stepped_an_hour(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let clock = SteppedClock::in_folder(stage.world.folder());
    let load = stage.load(2_000);
    let [library, offset] = [&clock.library, &clock.offset].map(|path| path.to_str().expect("a plain path"));
    let environment = [("LD_PRELOAD", library), ("STEPPED_CLOCK", offset)];
    let node = stage.node_with("stepped", &[], &environment);
    stage.await_progress(1_000);
    for _ in 0..trial.times(1, 10) {
        for hours in [1, 0, -1, 0] {
            // Half of the steps come while there is nothing to do: then everybody waits for a time.
            let idle = hours != 0;
            if idle {
                load.pause();
                std::thread::sleep(Duration::from_secs(1));
            }
            clock.set(hours * HOUR_NS);
            trial.fault();
            std::thread::sleep(trial.seconds(1, 15));
            load.go_on();
            trial.recovered(stage.time_to_progress());
        }
    }
    stage.judge(trial, load, vec![node]);
}
