//! The long form: a standalone cluster with two workers, one of which is killed in the middle; a destination that is full.

use super::place::{Place, WHICH, spark};
use crate::harness::console::{errors, path};
use aqueduct_stack::spark::Spark;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_MAX: Duration = Duration::from_secs(120);

/// Whether the long form is asked for.
fn long() -> bool {
    std::env::var("AQUEDUCT_TEST_SPARK").is_ok_and(|text| text == "long")
}

/// A process of Spark's own, gone when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(spark: &Spark, folder: &std::path::Path, class: &str, arguments: &[&str]) -> (Self, String) {
        let log = folder.join(format!("{}.log", class.rsplit('.').next().unwrap()));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(spark.home.join("bin/spark-class"));
        command.arg(class).args(arguments).args(["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]);
        command.env("SPARK_HOME", &spark.home).env("SPARK_LOCAL_IP", "127.0.0.1").current_dir(folder);
        let errors = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let daemon = Self(command.stdout(Stdio::null()).stderr(errors).spawn().expect("spark-class starts"));
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let found = text.split_whitespace().find(|word| word.starts_with("spark://"));
            if let Some(address) =
                found.filter(|_| text.contains("Starting Spark") || text.contains("registered"))
            {
                return (daemon, address.trim_end_matches(',').to_owned());
            }
            assert!(began.elapsed() < START_MAX, "{class} does not start: {text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_that_dies_in_the_middle_costs_no_row_and_doubles_none() {
    if !long() {
        return;
    }
    let place = Place::new(40_000, 4);
    let spark = spark();
    let (_master, address) =
        Daemon::start(&spark, place.world.folder(), "org.apache.spark.deploy.master.Master", &[]);
    let worker = || {
        let class = "org.apache.spark.deploy.worker.Worker";
        Daemon::start(&spark, place.world.folder(), class, &["--cores", "1", "--memory", "1g", &address]).0
    };
    let (first, _second) = (worker(), worker());
    let into = place.folder();
    let words = ["export", path(&place.file), "--into", path(&into), "--master", &address];
    let memory = ["2026-11-30", "--slice-rows", "10000", "--conf", "spark.executor.memory=512m"];
    let words = [words.as_slice(), &WHICH, &memory].concat();
    let mut command = place.world.aqueduct();
    let mut child = command.args(words).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let done = |line: &String| line.contains("export") && line.contains(" rows") && !line.contains(" 0 rows");
    assert!(lines.by_ref().any(|line| done(&line)), "no slice was ever done");
    drop(first);
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{rest:#?}");
    let verified = place.verify(0);
    assert_eq!((&verified["rows"], &verified["different"]), (&40_000.into(), &0.into()));
    assert_eq!(place.files(), place.listed());
}

#[test]
fn a_full_destination_is_said_so_and_the_export_goes_on_when_there_is_room() {
    if !long() {
        return;
    }
    let place = Place::new(20_000, 4);
    let into = place.folder();
    std::fs::create_dir_all(&into).unwrap();
    let mount = |words: &[&str]| {
        let status = Command::new("mount").args(words).arg(&into).status().expect("mount starts");
        assert!(status.success(), "{words:?}");
    };
    mount(&["-t", "tmpfs", "-o", "size=700k", "tmpfs"]);
    let failed = place.export(1, "2026-11-30", &["--slice-rows", "5000"]);
    let said = errors(&failed);
    mount(&["-o", "remount,size=64m"]);
    let published = place.export(0, "2026-11-30", &[]);
    let again = errors(&published);
    let verified = place.verify(0);
    let unmounted = Command::new("umount").arg(&into).status().expect("umount starts");
    assert!(unmounted.success());
    assert!(
        said.contains("the destination is full; free some space and run the same command again"),
        "{said}"
    );
    assert!(again.contains("attempt 2"), "{again}");
    assert_eq!((&verified["rows"], &verified["different"]), (&20_000.into(), &0.into()));
}
