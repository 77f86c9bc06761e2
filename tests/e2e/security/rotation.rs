//! Secrets that change while records flow: by `aqueduct rotate`, by hand, rightly and wrongly.

use super::Scene;
use crate::harness::node::Node;
use crate::harness::secured::{BOUND, Connections, SECRET, database_of};
use crate::harness::topologies::trade;
use crate::harness::world::Sql;
use crate::harness::{oracle, wait};
use aqueduct_stack::Part;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Trades that come all the time.
struct Load {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Load {
    fn start(scene: &Scene) -> Self {
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (feed, count, stopped) = (scene.world.feed(), sent.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    let id = count.load(Ordering::Relaxed) + 1;
                    let (key, value, time) = trade(id);
                    feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("sent");
                    count.store(id, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            feed.flush().expect("flushed");
        });
        Self { sent, stop, thread }
    }

    /// Ends it; how many there were.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the load ends");
        self.sent.load(Ordering::Relaxed)
    }
}

fn user_file(scene: &Scene, part: Part) -> PathBuf {
    scene.world.folder().join(format!("{part}.user"))
}

/// With the users of Kafka and of the database in files, and everybody's authorities in a file of the scene's own.
fn followed(scene: &Scene) -> Connections {
    let ca = ca_file(scene);
    std::fs::copy(scene.certificates().authority(), &ca).expect("copied");
    for part in [Part::Kafka, Part::Timescale] {
        std::fs::write(user_file(scene, part), &scene.login.user).expect("written");
    }
    let with = |text: String, part: Part| {
        let user = format!("user_file: \"{}\", password_file:", user_file(scene, part).display());
        text.replace("password_file:", &user)
    };
    let own_ca = |text: String| {
        let authority = scene.certificates().authority().display().to_string();
        text.replace(&authority, &ca.display().to_string())
    };
    let Connections { kafka, timescale, redis } = scene.connections();
    Connections {
        kafka: own_ca(with(kafka, Part::Kafka)),
        timescale: own_ca(with(timescale, Part::Timescale)),
        redis: own_ca(redis),
    }
}

fn ca_file(scene: &Scene) -> PathBuf {
    scene.world.folder().join("ca.pem")
}

fn rotate(scene: &Scene, file: &Path, part: Part, nodes: &[&Node], further: &[&str]) -> Output {
    let mut command = scene.world.aqueduct();
    command.arg("rotate").arg(file).arg("--what").arg(part.to_string());
    for node in nodes {
        command.arg("--node").arg(format!("http://{}", node.admin));
    }
    command
        .args(further)
        .env("AQUEDUCT_ROTATE_TIMESCALE_URL", scene.world.database_url())
        .env("AQUEDUCT_ROTATE_KAFKA_BOOTSTRAP", scene.stack().kafka_bootstrap())
        .env("AQUEDUCT_ROTATE_REDIS_URL", scene.stack().redis_url());
    command.output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a node says of a secret.
fn secret(node: &Node, part: Part, secret: &str) -> Value {
    let all = node.json("/api/secrets");
    let named = |it: &&Value| it["connection"] == part.to_string().as_str() && it["secret"] == secret;
    all.as_array().expect("an array").iter().find(named).unwrap_or_else(|| panic!("{part} in {all}")).clone()
}

fn await_generation(node: &Node, part: Part, which: &str, not: &Value) -> Value {
    wait::until(&format!("another {which} of {part}"), BOUND, || {
        let now = secret(node, part, which);
        let is_other = now["generation"].is_string() && now["generation"] != *not;
        (is_other && now["older_connections"] == 0 && now["refused"].is_null())
            .then(|| now["generation"].clone())
    })
}

fn restarts(node: &Node) -> i64 {
    let actors = node.json("/api/actors");
    actors.as_array().expect("an array").iter().filter_map(|actor| actor["restarts"].as_i64()).sum()
}

fn judge(scene: &Scene, sql: &Sql, node: Node, load: Load) {
    let sent = load.end();
    oracle::await_drained(&scene.world, sql, sent, BOUND);
    node.await_ready(200, BOUND);
    assert_eq!((restarts(&node), node.ledger("unaccounted")), (0, 0));
    assert!(!node.log().contains(SECRET), "the log shows a password");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&scene.world, sql, sent);
    oracle::await_newest_in_cache(&scene.world, sent);
}

#[test]
fn each_login_and_the_authorities_change_under_load_and_every_record_is_there_once() {
    let scene = Scene::new();
    let user = scene.login.user.clone();
    let next = format!("{user}_b");
    scene.stack().allow_at_kafka(&next, true).expect("allowed");
    let file = scene.prepare(&followed(&scene));
    let sql = scene.world.sql();
    let node = Node::start(&scene.world, &file, "rotating", &[]);
    let load = Load::start(&scene);
    node.await_ready(200, BOUND);
    for part in [Part::Redis, Part::Timescale, Part::Kafka] {
        let before = await_generation(&node, part, "login", &Value::Null);
        let planned = rotate(&scene, &file, part, &[&node], &["--dry-run"]);
        assert!(planned.status.success() && said(&planned).contains("revoke:"), "{}", said(&planned));
        assert_eq!(secret(&node, part, "login")["generation"], before, "a dry run changes nothing");
        let output = rotate(&scene, &file, part, &[&node], &[]);
        let said = said(&output);
        assert!(output.status.success() && said.contains("done:"), "{part}: {said}\n{}", node.log());
        let now = secret(&node, part, "login");
        assert!(
            now["generation"] != before && said.contains(now["generation"].as_str().expect("one")),
            "{said}"
        );
        let left = std::fs::read_dir(scene.world.folder()).expect("a folder").flatten();
        let left = left.map(|entry| entry.file_name().to_string_lossy().into_owned());
        assert_eq!(left.filter(|name| name.ends_with(".next") || name.ends_with(".rotation")).count(), 0);
    }
    let before = secret(&node, Part::Kafka, "tls")["generation"].clone();
    let both = [scene.certificates().authority(), scene.certificates().stranger()]
        .map(|path| std::fs::read_to_string(path).expect("a certificate"));
    std::fs::write(scene.world.folder().join("ca.new"), both.concat()).expect("written");
    std::fs::rename(scene.world.folder().join("ca.new"), ca_file(&scene)).expect("renamed over");
    for part in Part::DEFAULT {
        await_generation(&node, part, "tls", &before);
    }
    let may = |user: &str| {
        sql.rows("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", &[&user])[0].get::<_, bool>(0)
    };
    assert_eq!((may(&user), may(&next)), (false, true));
    let events = node.log();
    assert!(events.matches("secret_taken").count() >= 6, "{events}");
    judge(&scene, &sql, node, load);
}

#[test]
fn what_is_wrong_in_the_files_is_told_of_and_changes_nothing() {
    let scene = Scene::new();
    let mut connections = followed(&scene);
    let [cert, key] = ["redis.crt", "redis.key"].map(|name| scene.world.folder().join(name));
    let (client, certified) = (scene.certificates().client(), scene.certificates().certified());
    let put = |from: &Path, to: &Path| {
        std::fs::copy(from, to).expect("copied");
    };
    put(&client.0, &cert);
    put(&client.1, &key);
    let files = format!(", cert_file: \"{}\", key_file: \"{}\" }}", cert.display(), key.display());
    connections.redis = connections.redis.replacen(" }", &files, 1);
    let file = scene.prepare(&connections);
    let sql = scene.world.sql();
    let node = Node::start(&scene.world, &file, "careful", &[]);
    let load = Load::start(&scene);
    node.await_ready(200, BOUND);
    let before: Vec<Value> =
        Part::DEFAULT.map(|part| await_generation(&node, part, "login", &Value::Null)).to_vec();
    let pair = secret(&node, Part::Redis, "tls")["generation"].clone();

    let refused = |part: Part, which: &str| {
        wait::until(&format!("{part} refuses another {which}"), BOUND, || {
            let now = secret(&node, part, which);
            now["refused"]["reason"].as_str().map(str::to_owned)
        })
    };
    for part in Part::DEFAULT {
        scene.write_password(part, "wrong");
    }
    for (part, before) in Part::DEFAULT.iter().zip(&before) {
        let why = refused(*part, "login");
        assert!(!why.is_empty() && !why.contains(SECRET), "{why}");
        assert_eq!(secret(&node, *part, "login")["generation"], *before);
    }
    // The certificate is new already, its key is not yet.
    put(&certified.0, &cert);
    refused(Part::Redis, "tls");
    let (status, ready) = node.get("/readyz").expect("an answer");
    assert!(status == 200 && ready.contains("secrets_refused") && ready.contains("redis"), "{ready}");
    let progress = "SELECT count(*) FROM market.trades";
    let written = sql.integer(progress);
    wait::until("rows go on", BOUND, || (sql.integer(progress) > written + 1_000).then_some(()));
    assert!(node.log().contains("secret_refused"));
    assert!(node.metric("aqueduct_secret_refused").is_some_and(|count| count >= 3.0));

    put(&certified.1, &key);
    for part in Part::DEFAULT {
        scene.login.set_password(&scene.world, part, "second");
        scene.write_password(part, "second");
    }
    for (part, before) in Part::DEFAULT.iter().zip(&before) {
        await_generation(&node, *part, "login", before);
    }
    assert_ne!(secret(&node, Part::Redis, "tls")["generation"], pair);
    judge(&scene, &sql, node, load);
}

#[test]
fn nothing_is_revoked_before_every_node_has_come_over_and_the_command_goes_on_where_it_was() {
    let scene = Scene::new();
    let user = scene.login.user.clone();
    let connections = followed(&scene);
    let file = scene.prepare(&connections);
    let sql = scene.world.sql();
    // The second node has files of its own, as on a machine of its own.
    let apart = |path: &Path| PathBuf::from(format!("{}.apart", path.display()));
    let files = [user_file(&scene, Part::Timescale), scene.password_file(Part::Timescale)];
    let mut other = std::fs::read_to_string(&file).expect("a topology");
    for path in &files {
        std::fs::copy(path, apart(path)).expect("copied");
        other = other.replace(&path.display().to_string(), &apart(path).display().to_string());
    }
    let other_file = scene.world.folder().join("other.yaml");
    std::fs::write(&other_file, other).expect("written");
    let nodes =
        [Node::start(&scene.world, &file, "one", &[]), Node::start(&scene.world, &other_file, "two", &[])];
    nodes.iter().for_each(|node| {
        node.await_ready(200, BOUND);
    });
    scene.send(1, 1_000);
    let output = rotate(&scene, &file, Part::Timescale, &[&nodes[0]], &["--wait", "2s"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("node `two` has sessions"), "{}", said(&output));
    let both = [&nodes[0], &nodes[1]];
    let output = rotate(&scene, &file, Part::Timescale, &both, &["--wait", "2s"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("node `two`") && said(&output).contains("nothing is revoked"),
        "{}",
        said(&output)
    );
    let may = |user: &str| {
        sql.rows("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", &[&user])[0].get::<_, bool>(0)
    };
    assert!(may(&user), "the former user still logs in");
    for path in &files {
        std::fs::copy(path, apart(path)).expect("copied");
    }
    let output = rotate(&scene, &file, Part::Timescale, &both, &[]);
    assert!(output.status.success() && said(&output).contains("done:"), "{}", said(&output));
    assert!(!may(&user) && Sql::try_connect(&database_of(&scene.world, &user)).is_err());
    scene.send(1_001, 2_000);
    oracle::await_drained(&scene.world, &sql, 2_000, BOUND);
    oracle::assert_exactly_once(&scene.world, &sql, 2_000);
    assert_eq!(nodes.iter().map(restarts).sum::<i64>(), 0);
}

/// The figures of time are not judged here: the machine is shared with other tests.
#[test]
fn the_drill_measures_what_it_exchanges_and_finds_every_row_once() {
    let scene = Scene::new();
    let output = scene.world.run(&["drill", "rotation", "--rate", "1000", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {}", said(&output)));
    assert!(report["failure"].is_null(), "{report:#}");
    let figures = report["figures"].as_array().expect("figures");
    let figure = |name: &str| {
        let found =
            figures.iter().find(|figure| figure["name"] == name).and_then(|figure| figure["value"].as_f64());
        found.unwrap_or_else(|| panic!("{name} in {report:#}"))
    };
    for name in ["rows_lost", "rows_doubled", "actor_restarts"] {
        assert_eq!(figure(name), 0.0, "{report:#}");
    }
    assert!(figure("rows_written") > 1_000.0 && figure("kafka_pause_seconds_max") > 0.0, "{report:#}");
    let held = figures.iter().all(|figure| figure["held"] == true);
    assert_eq!((output.status.code(), &report["passed"]), (Some(i32::from(!held)), &Value::Bool(held)));
}
