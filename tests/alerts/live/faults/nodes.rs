//! Nodes: killed, drained, reloaded, short of files or memory.

use super::Play;
use crate::harness::wait;
use std::time::Duration;

/// How long a start may take to be seen by Prometheus, and a reload to be seen on the page.
const SEEN_WITHIN: Duration = Duration::from_secs(90);

pub fn reload(play: &Play<'_>) {
    let stage = play.stage;
    let good = std::fs::read_to_string(&stage.file).expect("the topology");
    let inject = || {
        std::fs::write(&stage.file, good.replace("kind: normalizer", "kind: normaliser")).expect("write it");
        stage.reload(422);
    };
    let end = || {
        std::fs::write(&stage.file, &good).expect("write it");
        stage.reload(200);
    };
    play.strikes("a reload of a file with a mistake", &["AqueductReloadNotApplied"], inject, end);
    let files = stage.with_node(|node| node.open_files());
    let (inject, end) = (|| stage.limit_files(files * 10 / 9), || stage.limit_files(files * 4));
    play.strikes("few files are left", &["AqueductOpenFilesNearLimit"], inject, end);
    wide(play, &good);
}

/// The topic becomes one with more partitions than have series of their own.
fn wide(play: &Play<'_>, good: &str) {
    const PARTITIONS: u32 = 260;
    let stage = play.stage;
    let topic = format!("{}-wide", stage.world.topic);
    stage.world.stack().create_topic(&topic, PARTITIONS, &[]).expect("a wide topic");
    let narrow = format!("topic: \"{}\"", stage.world.topic);
    assert!(good.contains(&narrow), "{good}");
    let inject = || {
        std::fs::write(&stage.file, good.replace(&narrow, &format!("topic: \"{topic}\""))).expect("write it");
        stage.reload(200);
        wait::until("a page that is full", SEEN_WITHIN, || {
            stage.with_node(|node| node.metric("aqueduct_full_metrics")).filter(|full| *full > 0.0)
        });
    };
    let end = || {
        std::fs::write(&stage.file, good).expect("write it");
        // What the ledger has counted it counts on, to the node's end.
        stage.kill();
        stage.start(play.setting);
    };
    let fault = format!("the topic has {PARTITIONS} partitions");
    play.strikes(&fault, &["AqueductSeriesBudgetReached"], inject, end);
}

/// Each write takes longer than any machine needs to notice, and less than the writer is patient.
const SLOW: &str = "CREATE FUNCTION market.slow() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(12); RETURN NULL; END $$; \
    CREATE TRIGGER slow AFTER INSERT ON market.trades FOR EACH STATEMENT EXECUTE FUNCTION market.slow()";

pub fn killed(play: &Play<'_>) {
    let (setting, stage) = (play.setting, play.stage);
    let (inject, end) = (|| stage.kill(), || stage.start(setting));
    play.strikes("kill -9", &["AqueductNodeDown"], inject, end);
    stage.await_ready();
    let sql = stage.sql();
    sql.batch(SLOW);
    // One is under way, and a drain waits for it and for what was read since.
    std::thread::sleep(Duration::from_secs(3));
    let inject = || stage.with_node(|node| node.terminate());
    let end = || {
        stage.kill();
        sql.batch("DROP FUNCTION market.slow() CASCADE");
        stage.start(setting);
    };
    play.strikes("SIGTERM while each write takes 12 s", &["AqueductNodeDrainsLong"], inject, end);
    await_start_seen(play, 0.0);
    play.strikes("kill -9 again and again", &["AqueductNodeRestarting"], || restart(play), || {});
    memory(play);
}

/// Kills and starts the node until that is noticed. A window of the rule that is hastened is short: so nothing is waited for
/// but that a start was seen, as a node that is not ready is down to it like any other.
fn restart(play: &Play<'_>) {
    const KILLS_MAX: usize = 12;
    for _ in 0..KILLS_MAX {
        let before = started_at(play).unwrap_or_default();
        play.stage.kill();
        play.stage.start(play.setting);
        await_start_seen(play, before);
        if play.fires("AqueductNodeRestarting") {
            break;
        }
    }
}

/// When the scene's node was started last, as Prometheus knows it; seconds since 1970.
fn started_at(play: &Play<'_>) -> Option<f64> {
    let question = format!("process_start_time_seconds{{instance=\"{}\"}}", play.stage.name);
    let samples = play.setting.prometheus.query(&question).ok()?;
    samples.iter().map(|sample| sample.value).reduce(f64::max)
}

fn await_start_seen(play: &Play<'_>, before: f64) {
    wait::until("the start to be seen", SEEN_WITHIN, || started_at(play).filter(|at| *at > before));
}

/// The node is told of half the memory that it takes, as by a limit that was set too low; the machine's is told by a file, which
/// is another one for this process.
fn memory(play: &Play<'_>) {
    let (setting, stage) = (play.setting, play.stage);
    stage.await_ready();
    let half = stage.with_node(|node| node.memory_mib("VmRSS:")) * 1024 / 2;
    let told = stage.world.folder().join("meminfo");
    std::fs::write(&told, format!("MemTotal: {half} kB\n")).expect("write it");
    let told = told.to_str().expect("a plain path").to_owned();
    let mounted = "mount --bind \"$0\" /proc/meminfo && exec \"$@\"";
    let through = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, &*told];
    let inject = || {
        stage.kill();
        stage.start_through(setting, &through);
    };
    let end = || {
        stage.kill();
        stage.start(setting);
    };
    let fault = "the node may use half the memory that it takes";
    play.strikes(fault, &["AqueductMemoryNearLimit"], inject, end);
}
