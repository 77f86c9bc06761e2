//! The stack on real processes: each test has an instance of its own, all share the provisioned software.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::{Pid, Signal, kill_process};

use crate::commands::{self, Format};
use crate::lock::FileLock;
use crate::part::redis;
use crate::progress::{Silent, on_stderr};
use crate::sql::Session;
use crate::state::word;
use crate::time::Deadline;
use crate::{Error, Lifetime, Options, Own, Part, Stack, StackDir};

const PATIENCE: Duration = Duration::from_secs(20);

/// All parts are the stack's own here, whatever the environment says: these tests end and pause them.
fn options(name: &str, lifetime: Lifetime) -> Options {
    Options::new(StackDir::from_env().expect("a folder for the stack"), name, lifetime)
}

fn private(name: &str, parts: &[Part]) -> Stack {
    Stack::up(&options(name, Lifetime::Private).parts(parts), &*on_stderr()).expect("the stack comes up")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let held = Deadline::after(PATIENCE).poll(Duration::from_millis(10), || holds().then_some(()));
    assert!(held.is_some(), "not within {PATIENCE:?}: {what}");
}

/// Processes and mounts of the whole machine that have to do with the folder. Mounts inside the namespaces show the
/// instance's folder as the root of a bind mount (field 4), mounts of this one as their mount point (field 5).
fn traces(folder: &Path) -> Vec<String> {
    let needle = folder.to_str().unwrap();
    let mut found: Vec<String> = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(needle) || mounts.contains(needle) {
            found.push(format!("{pid} {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}

fn write_everywhere(stack: &Stack) {
    let url = stack.timescale_url();
    let session = Session::new(&url, PATIENCE).unwrap();
    session.batch("create table kept (at timestamptz not null)").unwrap();
    session.batch("select create_hypertable('kept', 'at')").unwrap();
    session.batch("insert into kept values (now())").unwrap();
    stack.create_topic("kept", 2, &[("retention.ms", "600000")]).unwrap();
    produce(stack, "kept", "one");
}

fn produce(stack: &Stack, topic: &str, payload: &str) {
    let producer: BaseProducer = stack.kafka_client().unwrap().set("acks", "all").create().unwrap();
    producer
        .send(BaseRecord::<(), str>::to(topic).partition(1).payload(payload))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(PATIENCE).unwrap();
}

/// The first payload of partition 1.
fn consume(stack: &Stack, topic: &str) -> String {
    let consumer: BaseConsumer = stack.kafka_client().unwrap().set("group.id", word(8)).create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 1, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let message = Deadline::after(PATIENCE).poll(Duration::from_millis(1), || {
        consumer
            .poll(Duration::from_millis(100))?
            .ok()
            .map(|message| message.payload().unwrap_or_default().to_vec())
    });
    String::from_utf8(message.expect("a message")).unwrap()
}

fn rows(stack: &Stack) -> String {
    let session = Session::new(&stack.timescale_url(), PATIENCE).unwrap();
    session.text("select count(*)::text from kept", None).unwrap().unwrap()
}

fn redis(stack: &Stack, words: &[&str]) -> Result<String, String> {
    redis::ask(&stack.redis_url(), None, words, PATIENCE)
}

fn launcher(stack: &Stack, part: Part) -> i32 {
    let shell = stack.instance.processes(part).list()[0];
    shell.parent
}

fn kill_by_pid(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn each_part_serves_its_users_and_nothing_is_left_of_it() {
    let stack = private("serves", &Part::DEFAULT);
    let (one, two) = (stack.fresh_database().unwrap(), stack.fresh_database().unwrap());
    assert_ne!(one.name(), two.name());
    let extension = Session::new(one.url(), PATIENCE).unwrap();
    let version =
        extension.text("select extversion from pg_extension where extname = $1", Some("timescaledb"));
    assert!(version.unwrap().unwrap().starts_with("2.19."));
    let dropped = one.url().to_owned();
    drop(one);
    let refused = Session::new(&dropped, PATIENCE).unwrap().text("select 1::text", None).unwrap_err();
    assert!(refused.is_missing_database(), "{refused}");

    let topic = stack.fresh_topic(3).unwrap();
    produce(&stack, &topic, "hello");
    assert_eq!(consume(&stack, &topic), "hello");
    stack.delete_topic(&topic).unwrap();
    assert!(stack.create_topic("unnamed settings", 1, &[]).is_err(), "kafka refuses a blank in a name");

    let prefix = stack.fresh_key_prefix();
    assert_eq!(redis(&stack, &["SET", &prefix, "1"]).unwrap(), "+OK");

    let status = stack.status();
    assert!(
        status.iter().all(|part| part.healthy && part.state == "running" && part.pid.is_some()),
        "{status:?}"
    );
    assert_eq!(stack.env().len(), 3);
    assert!(stack.psql_command().unwrap().contains(&stack.timescale_url()));

    let folder = stack.folder().to_path_buf();
    assert!(!traces(&folder).is_empty());
    drop((two, stack));
    assert_eq!(traces(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

#[test]
fn kill_pause_and_restart_keep_what_was_written() {
    let stack = private("keeps", &Part::DEFAULT);
    write_everywhere(&stack);
    redis(&stack, &["SET", "kept", "one"]).unwrap();
    let addresses = stack.env();

    for part in Part::DEFAULT {
        stack.pause(part).unwrap();
        let paused = stack.status().into_iter().find(|status| status.part == part).unwrap();
        assert_eq!((paused.state, paused.healthy), ("paused", false));
        assert!(
            part.check(&stack.address(part).unwrap(), None, Duration::from_millis(300)).is_err(),
            "{part} is silent"
        );
        stack.resume(part).unwrap();
        part.check(&stack.address(part).unwrap(), None, PATIENCE).unwrap();

        stack.restart(part).unwrap();
        if part == Part::Redis {
            assert_eq!(
                redis(&stack, &["EXISTS", "kept"]).unwrap(),
                ":1",
                "an orderly restart keeps the cache"
            );
        }
        stack.kill(part).unwrap();
        assert!(!stack.instance.processes(part).alive());
        stack.start(part).unwrap();
    }
    assert_eq!(stack.env(), addresses, "ports and passwords stay");
    assert_eq!(rows(&stack), "1");
    assert_eq!(consume(&stack, "kept"), "one");
}

#[test]
fn a_replica_follows_its_primary_and_takes_no_writes() {
    let stack = private("replica", &[Part::Redis, Part::Replica]);
    redis(&stack, &["SET", "told", "one"]).unwrap();
    let replica = stack.address(Part::Replica).unwrap();
    let ask = |words: &[&str]| redis::ask(&replica, None, words, PATIENCE).unwrap();
    eventually("the replica has what its primary was told", || ask(&["EXISTS", "told"]) == ":1");
    assert!(ask(&["SET", "told", "two"]).starts_with("-READONLY"));
    let lonely = options("lonely", Lifetime::Private).parts(&[Part::Replica]);
    assert!(Stack::up(&lonely, &Silent).unwrap_err().to_string().contains("ask for that too"));
}

#[test]
fn a_crashed_stack_comes_up_again_with_its_data() {
    let name = format!("crash-{}", word(6));
    let options = options(&name, Lifetime::Kept);
    let stack = Stack::up(&options, &Silent).unwrap();
    write_everywhere(&stack);
    let cluster = fs::read_to_string(stack.folder().join("kafka/data/meta.properties")).unwrap();
    let folder = stack.folder().to_path_buf();
    drop(stack);

    let stack = Stack::attach(&options).unwrap().expect("a kept stack lives on without its users");
    kill_by_pid(launcher(&stack, Part::Timescale));
    kill_by_pid(launcher(&stack, Part::Redis));
    eventually("no process after the launcher's death", || {
        !stack.instance.processes(Part::Timescale).alive() && !stack.instance.processes(Part::Redis).alive()
    });
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(options.dir.path().to_str().unwrap()), "{mounts}");
    stack.kill(Part::Kafka).unwrap();
    assert_eq!(traces(&folder), Vec::<String>::new());
    drop(stack);
    assert!(Stack::attach(&options).unwrap().is_none());

    let stack = Stack::up(&options, &Silent).unwrap();
    assert_eq!(rows(&stack), "1");
    assert_eq!(consume(&stack, "kept"), "one");
    assert_eq!(fs::read_to_string(folder.join("kafka/data/meta.properties")).unwrap(), cluster);
    drop(stack);

    let mut out = Vec::new();
    commands::down(&options, true, Format::Text, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("its data are deleted"));
    assert_eq!(traces(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

#[test]
fn a_stack_dies_with_its_user_and_its_folder_with_the_next_private_stack() {
    let mut stack = private("orphan", &Part::DEFAULT);
    let folder = stack.folder().to_path_buf();
    // What the kernel does when a process is killed: its locks are released, and nothing else happens.
    let other = folder.join("another lock");
    stack._user = FileLock::shared(&other).unwrap();
    std::mem::forget(stack);
    eventually("no process", || traces(&folder).is_empty());
    assert!(folder.exists());

    drop(private("next", &[Part::Redis]));
    assert!(!folder.exists());
}

#[test]
fn two_programs_that_start_one_stack_share_it() {
    let options =
        options(&format!("shared-{}", word(6)), Lifetime::Shared).parts(&[Part::Timescale, Part::Redis]);
    let up = || Stack::up(&options, &Silent).unwrap();
    let (one, other) = std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(up), scope.spawn(up));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_eq!(one.env(), other.env());
    assert_eq!(one.status(), other.status());

    let kept = Options { lifetime: Lifetime::Kept, ..options.clone() };
    let mut out = Vec::new();
    commands::up(&kept, Format::Json, &mut out, &Silent).unwrap();
    commands::env(&kept, Format::Text, &mut out).unwrap();
    assert!(commands::status(&kept, Format::Text, &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(&format!("export REDIS_URL={}", one.redis_url())), "{text}");

    one.purge().unwrap();
    assert!(!other.folder().exists());
}

#[test]
fn an_own_server_replaces_a_part_and_is_left_alone() {
    let theirs = private("theirs", &[Part::Redis]);
    let own = Own { redis_url: Some(theirs.redis_url()), ..Own::default() };
    let wanted = Options { own, ..options("mine", Lifetime::Private).parts(&[Part::Redis]) };
    let stack = Stack::up(&wanted, &Silent).unwrap();
    assert_eq!(stack.redis_url(), theirs.redis_url());
    assert_eq!(stack.status()[0].state, "own");
    assert!(matches!(stack.kill(Part::Redis), Err(Error::NotOurs { variable: "REDIS_URL", .. })));
    drop(stack);
    assert_eq!(redis(&theirs, &["PING"]).unwrap(), "+PONG");

    theirs.kill(Part::Redis).unwrap();
    let refused = Stack::up(&wanted, &Silent).unwrap_err().to_string();
    assert!(refused.contains("REDIS_URL") && refused.contains("unset"), "{refused}");
}

#[test]
fn a_redis_with_a_password_asks_for_it() {
    let mut wanted = options("locked", Lifetime::Private).parts(&[Part::Redis]);
    wanted.redis_password = Some("s3cret".into());
    let stack = Stack::up(&wanted, &Silent).unwrap();
    assert!(stack.redis_url().contains(":s3cret@"));
    let without = stack.redis_url().replace(":s3cret@", "");
    assert!(Part::Redis.check(&without, None, PATIENCE).unwrap_err().contains("NOAUTH"));
}

#[test]
fn a_part_that_cannot_start_shows_the_end_of_its_log() {
    let stack = private("broken", &[Part::Timescale]);
    stack.stop(Part::Timescale).unwrap();
    let version = stack.folder().join("timescale/data/PG_VERSION");
    fs::File::options().write(true).truncate(true).open(version).unwrap().write_all(b"9\n").unwrap();
    let failure = stack.start(Part::Timescale).unwrap_err().to_string();
    assert!(failure.contains("database files are incompatible with server"), "{failure}");
    assert!(failure.contains("logs/timescale.log"), "{failure}");
}

#[test]
fn a_standby_follows_takes_over_and_begins_anew_as_a_copy() {
    let stack = private("standby", &[Part::Timescale, Part::Standby]);
    let (primary, standby) = (stack.timescale_url(), stack.address(Part::Standby).unwrap());
    let ask = |url: &str, query: &'static str| Session::new(url, PATIENCE).unwrap().text(query, None);
    Session::new(&primary, PATIENCE)
        .unwrap()
        .batch("create table kept (); insert into kept default values")
        .unwrap();
    let copied =
        || matches!(ask(&standby, "select count(*)::text from kept"), Ok(Some(count)) if count == "1");
    eventually("it follows", copied);
    let refused =
        Session::new(&standby, PATIENCE).unwrap().batch("insert into kept default values").unwrap_err();
    assert!(refused.to_string().contains("25006"), "{refused}");

    stack.kill(Part::Timescale).unwrap();
    assert_eq!(ask(&standby, "select pg_promote()::text").unwrap().as_deref(), Some("true"));
    Session::new(&standby, PATIENCE).unwrap().batch("insert into kept default values").unwrap();
    assert!(stack.status().iter().any(|part| part.part == Part::Standby && part.healthy));

    stack.stop(Part::Standby).unwrap();
    stack.start(Part::Timescale).unwrap();
    stack.start(Part::Standby).unwrap();
    assert_eq!(
        ask(&standby, "select count(*)::text from kept").unwrap().as_deref(),
        Some("1"),
        "as the primary has it"
    );
}
