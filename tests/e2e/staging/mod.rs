//! `aqueduct staging`: each of its claims, asked from outside.

mod outside;

use crate::harness::world::Sql;
use crate::harness::{node, wait};
use outside::{BOUND, Named, SYMBOLS, Staging};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

const ROWS: i64 = 500;

#[test]
fn a_staging_is_what_it_says_heals_rotates_and_leaves_nothing() {
    let staging = Staging::new();
    let up = staging.json(&["up"]);
    let folder = up["folder"].as_str().expect("a folder").to_owned();
    let named = Named::of(&up["env"]);
    assert_eq!(up["parts"].as_array().expect("parts").len(), 11, "{up}");
    assert_eq!(Named::of(&staging.json(&["env"])).all().collect::<Vec<_>>(), named.all().collect::<Vec<_>>());
    nothing_secret_is_shown(&staging, &named, &folder);

    brokers_ask_who_comes(&named);
    the_database_is_encrypted_and_followed(&named);
    redis_knows_its_users(&named, &up);
    prometheus_watches_both_nodes(&named);

    named.send(0, ROWS);
    await_rows(&named, ROWS);
    redis_is_lost_and_nodes_follow(&staging, &named);
    staging.kill("broker3");
    staging.kill("node2");
    assert_eq!(staging.run(&["status"]).status.code(), Some(1), "it is not well");
    let (_, said) = staging.well(&["up"]);
    assert!(said.contains("broker3 is healthy") && said.contains("node2 is healthy"), "{said}");
    let [lost, promoted] = named.caches();
    assert_eq!((named.leads(lost), named.leads(promoted)), (false, true), "one leads: {said}");
    assert!(!said.contains("timescale is healthy"), "what runs is left alone: {said}");
    assert!(staging.parts().iter().all(|part| part["healthy"] == true));

    let (code, said) = rotate(&staging, &named, "timescale");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(named.read("TIMESCALE_USER_FILE"), "staging_b", "{said}");
    both_redis_exchange_the_password(&staging, &named);
    named.send(2 * ROWS, 3 * ROWS);
    await_rows(&named, 3 * ROWS);
    await_values(&named, promoted, 3 * ROWS);

    let (_, said) = staging.well(&["up"]);
    assert!(said.contains("was up already"), "{said}");
    staging.well(&["down"]);
    assert_eq!(traces(&folder), Vec::<String>::new());
    for name in ["node1", "node2"] {
        let log = Path::new(&folder).join("logs").join(format!("{name}.log"));
        let log = fs::read_to_string(log).expect("a log");
        assert!(log.contains("drained: SIGTERM"), "{name} was given time to drain: {log}");
    }
    staging.well(&["down", "--purge"]);
    assert!(!Path::new(&folder).exists());
}

#[test]
fn what_is_interrupted_or_cannot_be_leaves_nothing_that_runs() {
    let staging = Staging::new();
    let wrong = staging.folder.path().join("wrong.yaml");
    fs::write(&wrong, "topology: wrong\nactors: { a: { kind: no_such_kind } }\n").expect("written");
    let refused = staging.run(&["up", wrong.to_str().expect("a plain path")]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("no_such_kind") && !said.contains("starting"), "nothing was started: {said}");
    assert_eq!(staging.run(&["status"]).status.code(), Some(1));
    let env = staging.run(&["env"]);
    assert!(String::from_utf8_lossy(&env.stderr).contains("aqueduct staging up"), "{env:?}");

    let mut up = staging
        .command(&["staging", "up", "--name", &staging.name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command runs");
    wait::until("some part runs", BOUND, || {
        staging.parts().iter().any(|part| part["state"] == "running").then_some(())
    });
    let pid = Pid::from_raw(up.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("interrupted");
    assert!(!up.wait().expect("it ends").success());
    let trace = format!("instances/{}/", staging.name);
    wait::until("nothing is left", BOUND, || traces(&trace).is_empty().then_some(()));
}

/// Neither what is printed nor any process's arguments hold a secret, and nobody else can read the files.
fn nothing_secret_is_shown(staging: &Staging, named: &Named, folder: &str) {
    let printed: String = [&["status"][..], &["env"], &["status", "--format", "json"]]
        .map(|words| staging.well(words).0)
        .concat();
    let arguments: String = traces(folder).concat();
    assert!(arguments.contains("postgres") && arguments.contains("kafka.Kafka"), "{arguments}");
    let mut files = 0;
    for (name, file) in named.all().filter(|(name, _)| name.ends_with("_FILE") && *name != "CA_FILE") {
        let mode = fs::metadata(file).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let secret = named.read(name);
        if !name.contains("_USER_") {
            assert!(secret.len() >= 32, "{name}");
            assert!(!printed.contains(&secret) && !arguments.contains(&secret), "{name} is shown");
            files += 1;
        }
    }
    assert_eq!(files, 7, "three logins, three who change them, and the token");
    assert_eq!(fs::metadata(folder).expect("a folder").permissions().mode() & 0o777, 0o700);
}

fn brokers_ask_who_comes(named: &Named) {
    assert_eq!(Named::brokers(&named.kafka()), Ok(3));
    let refused = [
        ("without a login", named.kafka_without_login()),
        ("with a wrong password", named.kafka().set("sasl.password", "wrong").clone()),
        ("in clear", named.kafka().set("security.protocol", "sasl_plaintext").clone()),
        ("who believes other authorities", named.kafka().set("ssl.ca.location", "probe").clone()),
    ];
    std::thread::scope(|scope| {
        for (who, config) in &refused {
            scope.spawn(move || assert!(Named::brokers(config).is_err(), "{who}"));
        }
    });
}

fn the_database_is_encrypted_and_followed(named: &Named) {
    let owner = named.owner(0);
    let follows = "SELECT count(*) FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) WHERE state = 'streaming' AND ssl";
    assert_eq!(owner.integer(follows), 1);
    assert_eq!(named.owner(1).integer("SELECT pg_is_in_recovery()::int::int8"), 1);
    let (user, password) = (named.read("TIMESCALE_USER_FILE"), named.read("TIMESCALE_PASSWORD_FILE"));
    Sql::try_connect(&named.database(0, &user, &password)).err().expect("nobody comes in clear");
    let writer = named.writer();
    for forbidden in [
        "CREATE TABLE mine ()",
        "DROP TABLE market.trades",
        "TRUNCATE market.trades",
        "DELETE FROM market.trades",
        "CREATE ROLE another",
    ] {
        let error = writer.try_batch(forbidden).expect_err(forbidden);
        let code = error.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {error:?}");
    }
}

fn redis_knows_its_users(named: &Named, up: &Value) {
    let login = format!("AUTH staging {}", named.read("REDIS_PASSWORD_FILE"));
    for place in named.caches() {
        assert!(named.redis(place, &["PING"]).starts_with("-NOAUTH"));
        let answer = named.redis(place, &[&login, "PING", "FLUSHALL"]);
        assert!(answer.starts_with("+OK\r\n+PONG\r\n-NOPERM"), "{answer}");
    }

    let folder = Path::new(up["folder"].as_str().expect("a folder"));
    let password = fs::read_to_string(folder.join("sentinel.password")).expect("sentinel's password");
    let parts = up["parts"].as_array().expect("parts");
    let sentinel = parts.iter().find(|part| part["part"] == "sentinel").expect("a sentinel");
    let sentinel = format!("127.0.0.1:{}", sentinel["port"]);
    assert!(named.redis(&sentinel, &["PING"]).starts_with("-NOAUTH"));
    let login = format!("AUTH {password}");
    let answer = named.redis(&sentinel, &[&login, "SENTINEL GET-MASTER-ADDR-BY-NAME aqueduct"]);
    let (_, port) = named.caches()[0].rsplit_once(':').expect("a port");
    assert!(answer.contains(&format!("\r\n{port}\r\n")), "{answer}");
    assert!(named.redis(&sentinel, &[&login, "INFO sentinel"]).contains("slaves=1"));
}

fn prometheus_watches_both_nodes(named: &Named) {
    let address = named.get("PROMETHEUS_ADDRESS").parse().expect("an address");
    let ask = |path: &str| -> Value {
        let (status, body) = node::get(address, path).expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    };
    let targets = ask("/api/v1/targets?state=active");
    let targets = targets["data"]["activeTargets"].as_array().expect("targets");
    assert_eq!(targets.len(), 2);
    assert!(targets.iter().all(|target| target["health"] == "up"), "{targets:?}");
    let rules = ask("/api/v1/rules").to_string();
    assert!(rules.contains("AqueductNodeDown") && rules.contains("AqueductLagGrowing"), "{rules}");
    for url in named.get("STAGING_NODES").split(',') {
        let node = url.trim_start_matches("http://").parse().expect("an address");
        assert_eq!(node::get(node, "/readyz").map(|(status, _)| status), Some(200));
    }
}

/// The primary dies: nobody rotates before it is back, and the nodes find by themselves whom Sentinel promotes.
fn redis_is_lost_and_nodes_follow(staging: &Staging, named: &Named) {
    let [lost, promoted] = named.caches();
    assert_eq!((named.leads(lost), named.leads(promoted)), (true, false));
    let before = named.read("REDIS_PASSWORD_FILE");
    staging.kill("redis");
    let (code, said) = rotate(staging, named, "redis");
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(lost) && said.contains("nothing was switched"), "{said}");
    assert_eq!(named.read("REDIS_PASSWORD_FILE"), before, "{said}");

    wait::until("the replica leads", BOUND, || named.leads(promoted).then_some(()));
    named.send(ROWS, 2 * ROWS);
    await_rows(named, 2 * ROWS);
    await_values(named, promoted, 2 * ROWS);
    for url in named.get("STAGING_NODES").split(',') {
        let node = url.trim_start_matches("http://").parse().expect("an address");
        let ready = || (node::get(node, "/readyz").map(|(status, _)| status) == Some(200)).then_some(());
        wait::until(&format!("{url} is ready"), BOUND, ready);
    }
}

/// What was refused before is gone on with; each server knows the new password, and none the former.
fn both_redis_exchange_the_password(staging: &Staging, named: &Named) {
    let former = named.read("REDIS_PASSWORD_FILE");
    let (code, said) = rotate(staging, named, "redis");
    assert_eq!(code, Some(0), "{said}");
    let now = named.read("REDIS_PASSWORD_FILE");
    assert_ne!(now, former);
    for place in named.caches() {
        let answers =
            [&now, &former].map(|password| named.redis(place, &[&format!("AUTH staging {password}")]));
        assert!(
            answers[0].starts_with("+OK") && answers[1].starts_with("-WRONGPASS"),
            "{place}: {answers:?}"
        );
    }
}

fn rotate(staging: &Staging, named: &Named, what: &str) -> (Option<i32>, String) {
    let (topology, nodes) = (named.get("STAGING_TOPOLOGY"), named.get("STAGING_NODES"));
    let rotate = ["rotate", topology, "--what", what, "--node", nodes];
    let rotated = staging.command(&rotate).envs(named.all()).output().expect("the command runs");
    (rotated.status.code(), String::from_utf8_lossy(&rotated.stderr).into_owned())
}

/// The last trade of each symbol, of `sent`, is what that server holds.
fn await_values(named: &Named, place: &str, sent: i64) {
    for id in sent - SYMBOLS..sent {
        let key = format!("last:S{:02}", id % SYMBOLS);
        // With all digits of its column.
        let value = format!("\r\n{id}.50");
        let holds = || named.redis_owner(place, &format!("HGET {key} price")).contains(&value).then_some(());
        wait::until(&format!("{key} of {id} at {place}"), BOUND, holds);
    }
}

/// Every trade sent is a row once.
fn await_rows(named: &Named, sent: i64) {
    let owner = named.owner(0);
    wait::until(&format!("{sent} rows"), BOUND, || {
        (owner.integer("SELECT count(DISTINCT ts) FROM market.trades") == sent).then_some(())
    });
    assert_eq!(owner.integer("SELECT count(*) FROM market.trades"), sent);
}

/// Processes and mounts of the whole machine that have to do with `what`, a part of a path.
fn traces(what: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("the processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let named = command.contains(what) || mounts.contains(what);
        named.then_some(command)
    })
    .collect()
}
