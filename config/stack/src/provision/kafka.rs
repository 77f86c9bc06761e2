//! Apache Kafka's jars, resolved by Maven and checked one by one; then one trial run, after which it starts twice as fast.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{checksums, partial, publish, run, tool};
use crate::dir::{StackDir, create, remove_tree};
use crate::error::Error;
use crate::launch::{self, Launch, Place};
use crate::lock::FileLock;
use crate::options::{Access, Lifetime, Options};
use crate::part::{Part, Server, kafka};
use crate::process::ProcessGroup;
use crate::progress::Progress;
use crate::state::PartState;
use crate::time::Deadline;

/// The pinned version.
pub(crate) const VERSION: &str = "4.1.0";
pub(super) const ANNOUNCEMENT: &str =
    "  - Apache Kafka 4.1.0, 46 jars, about 43 MB, from Maven Central (or the mirror in your Maven settings)";

const POM: &str = include_str!("kafka-pom.xml");
const CHECKSUMS: &str = include_str!("../../checksums/kafka-4.1.0.sha256");
/// The trial run may take this long to start, and again to end.
const TRIAL_MAX: Duration = Duration::from_secs(60);
const TASK: &str = "Kafka 4.1.0";

/// Where the jars are kept; the last number counts changes of this recipe.
pub(crate) fn folder(dir: &StackDir) -> PathBuf {
    dir.parts().join("kafka-4.1.0-1")
}

/// Downloads and verifies the jars.
pub(super) fn fetch(dir: &StackDir, progress: &dyn Progress) -> Result<(), Error> {
    let partial = partial(dir, "kafka")?;
    let pom = partial.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::io("write", &pom))?;
    create(&partial.join("libs"))?;
    progress.step(TASK, 0, 3, "download");
    let mut maven = tool("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]).current_dir(&partial);
    run(TASK, maven, |_| {})?;
    progress.step(TASK, 1, 3, "verify checksums");
    checksums::verify(TASK, CHECKSUMS, &partial.join("libs"))?;
    publish(&partial, &folder(dir))?;
    progress.step(TASK, 2, 3, "prepare for quick starts");
    if let Err(error) = archive_classes(dir) {
        // Everything works without it.
        progress.note(&format!("{TASK} will start a little slower than it could: {error}"));
    }
    progress.finish(TASK, "ready, all checksums match");
    Ok(())
}

/// Runs the server once, from its final place because the archive holds the jars' paths.
fn archive_classes(dir: &StackDir) -> Result<(), Error> {
    let scratch = partial(dir, "kafka-trial")?;
    let users = scratch.join("users");
    let _user = FileLock::shared(&users)?;
    launch::install_scripts(&scratch)?;
    let options = Options::new(dir.clone(), "trial", Lifetime::Private);
    let ports = PartState::plan(Part::Kafka, None, &options)?;
    let server = Server {
        launch: Launch {
            script: scratch.join(launch::SCRIPT),
            lock: scratch.join("lock"),
            users,
            kept: scratch.join("kept"),
            linger_seconds: 0,
            place: Place::Plain,
            folder: scratch.join("kafka"),
            log: scratch.join("log"),
            environment: Vec::new(),
        },
        software: folder(dir).join("libs"),
        ports,
        peers: BTreeMap::new(),
        arguments: Vec::new(),
        leader: None,
        access: Access::Open,
        passwords: BTreeMap::new(),
        redis_password: None,
        certificates: Vec::new(),
    };
    let deadline = Deadline::after(TRIAL_MAX);
    kafka::prepare(Part::Kafka, &server, deadline)?;
    let archive = scratch.join(kafka::ARCHIVE);
    let running = server.launch.start(&kafka::command_archiving(&server, &archive))?;
    let address = format!("127.0.0.1:{}", server.ports.port);
    let answers = || kafka::check(&address, None, Duration::from_secs(1)).is_ok() || running.ended();
    deadline.poll(Duration::from_millis(50), || answers().then_some(()));
    ProcessGroup::new(server.launch.lock.clone()).stop(Signal::TERM, TRIAL_MAX)?;
    let place = folder(dir).join(kafka::ARCHIVE);
    fs::rename(&archive, &place).map_err(Error::io("create", &place))?;
    remove_tree(&scratch)
}
