//! Encryption and credentials, on servers that ask for them: TLS to each with its authority, users with passwords from
//! files, clients with certificates; and what is said when one of them is wrong.
//!
//! A wrong certificate or password is a state: the actor waits and is named, no restart is burned, `check --connect`
//! says the same, and the node goes on by itself once the file holds what is right.

mod kafka;
mod redis;
mod timescale;
mod whole;

use super::node::Node;
use super::topologies::{TRADES, trade};
use super::wait;
use super::world::World;
use aqueduct_stack::secured::Certificates;
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long anything may take to show, or to come right.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// What no file, page or log may show, in each of the passwords.
pub(crate) const SECRET: &str = "hunter2";

/// Parts that speak TLS, for the tests that leave them as they are.
fn shared() -> Arc<Stack> {
    static SHARED: OnceLock<Arc<Stack>> = OnceLock::new();
    SHARED.get_or_init(|| Arc::new(bring_up(&Part::DEFAULT))).clone()
}

/// Parts of one's own that speak TLS.
pub(crate) fn bring_up(parts: &[Part]) -> Stack {
    let options = Options::from_env("secured", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options.parts(parts).secured(), &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}

/// A world, and a user of its own at its servers.
struct Scene {
    world: World,
    login: Login,
}

/// A user that the three servers know, whose passwords lie in files of the world's folder.
pub(crate) struct Login {
    pub(crate) user: String,
}

/// How a topology names its servers.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) kafka: String,
    pub(crate) timescale: String,
    pub(crate) redis: String,
}

impl Login {
    /// A user who comes with the right passwords and may do everything.
    pub(crate) fn new(world: &World) -> Self {
        let login = Self { user: format!("user_{:08x}", fastrand::u32(..)) };
        for part in Part::DEFAULT {
            login.set_password(world, part, "first");
            login.write_password(world, part, "first");
        }
        world.stack().allow_at_kafka(&login.user, true).expect("allowed");
        login
    }

    /// What the server asks the user for from now on.
    pub(crate) fn set_password(&self, world: &World, part: Part, word: &str) {
        let (user, password) = (&self.user, password(part, word));
        match part {
            Part::Kafka => world.stack().set_kafka_password(user, Some(&password)).expect("a password"),
            Part::Timescale => world.sql().batch(&format!(
                "DO $$ BEGIN CREATE ROLE {user} LOGIN IN ROLE aqueduct; \
                 EXCEPTION WHEN duplicate_object THEN NULL; END $$; ALTER ROLE {user} PASSWORD '{password}'"
            )),
            Part::Redis => {
                let mut command = bb8_redis::redis::cmd("ACL");
                command.arg("SETUSER").arg(user).arg("resetpass").arg("on").arg(format!(">{password}"));
                command.arg("~*").arg("&*").arg("+@all");
                command.query::<()>(&mut world.redis()).expect("a user of Redis");
            }
            part => panic!("{part} has no users"),
        }
    }

    /// What the node comes with from now on.
    pub(crate) fn write_password(&self, world: &World, part: Part, word: &str) {
        std::fs::write(password_file(world, part), format!("{}\n", password(part, word))).expect("written");
    }

    /// Everything encrypted and proven, with users and passwords.
    pub(crate) fn connections(&self, world: &World) -> Connections {
        let (ca, user) = (world.stack().certificates().authority(), &self.user);
        let ca = ca.display();
        let file = |part| password_file(world, part).display().to_string();
        Connections {
            kafka: format!(
                "{{ bootstrap: \"{}\", tls: {{ ca_file: \"{ca}\" }}, \
                 sasl: {{ mechanism: SCRAM-SHA-512, user: {user}, password_file: \"{}\" }} }}",
                world.stack().encrypted(Part::Kafka),
                file(Part::Kafka)
            ),
            timescale: format!(
                "{{ url: \"{}?sslmode=verify-full\", password_file: \"{}\", tls: {{ ca_file: \"{ca}\" }} }}",
                database_of(world, user),
                file(Part::Timescale)
            ),
            redis: format!(
                "{{ url: \"rediss://{user}@{}/0\", password_file: \"{}\", tls: {{ ca_file: \"{ca}\" }} }}",
                world.stack().encrypted(Part::Redis),
                file(Part::Redis)
            ),
        }
    }
}

pub(crate) fn password_file(world: &World, part: Part) -> PathBuf {
    world.folder().join(format!("{part}.password"))
}

/// The test's database, as that user.
fn database_of(world: &World, user: &str) -> String {
    let (_, place) = world.database_url().rsplit_once('@').expect("a user");
    format!("postgres://{user}@{place}")
}

impl Scene {
    fn new() -> Self {
        Self::on(shared())
    }

    fn on(stack: Arc<Stack>) -> Self {
        let world = World::on_stack(stack);
        let login = Login::new(&world);
        Self { world, login }
    }

    fn stack(&self) -> &Stack {
        self.world.stack()
    }

    fn certificates(&self) -> Certificates {
        self.stack().certificates()
    }

    fn connections(&self) -> Connections {
        self.login.connections(&self.world)
    }

    fn password_file(&self, part: Part) -> PathBuf {
        password_file(&self.world, part)
    }

    fn write_password(&self, part: Part, word: &str) {
        self.login.write_password(&self.world, part, word);
    }

    /// With the table, and a topology file that names the servers so.
    fn prepare(&self, connections: &Connections) -> PathBuf {
        let file = self.world.write_topology(TRADES);
        self.world.migrate(&file);
        self.write(connections)
    }

    /// The topology file anew.
    fn write(&self, connections: &Connections) -> PathBuf {
        self.world.write_topology(&naming(TRADES, connections))
    }

    fn send(&self, from: u64, to: u64) {
        let feed = self.world.feed();
        for id in from..=to {
            let (key, value, time) = trade(id);
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
        }
        feed.flush().expect("flush");
    }

    /// `check --connect` names `code` and says each of the words, and never a secret.
    fn check_says(&self, file: &Path, code: &str, words: &[&str]) {
        let output =
            self.world.run(&["check", file.to_str().expect("a plain path"), "--connect", "--format", "text"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("[{code}]")) && words.iter().all(|word| said.contains(word)),
            "{said}"
        );
        assert!(!said.contains(SECRET), "{said}");
    }

    /// Somebody is not let in. Which words reach us is left to the wire: a server that hangs up may do so before its
    /// reason was read.
    fn check_refuses(&self, file: &Path, word: &str) {
        let output = self.world.run(&["check", file.to_str().expect("a plain path"), "--connect"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("error[T10") && said.contains(word), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }

    /// Everything fits, says `check --connect`.
    fn check_is_content(&self, file: &Path) {
        let output = self.world.run(&["check", file.to_str().expect("a plain path"), "--connect"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    }
}

fn password(part: Part, word: &str) -> String {
    format!("{SECRET}-{part}-{word}")
}

/// A topology whose three connections are these.
pub(crate) fn naming(text: &str, connections: &Connections) -> String {
    let entries =
        [("kafka", &connections.kafka), ("timescale", &connections.timescale), ("redis", &connections.redis)];
    let line = |line: &str| {
        let entry = entries.iter().find(|(name, _)| line.trim_start().starts_with(&format!("{name}:")));
        entry.map_or_else(|| line.to_owned(), |(name, entry)| format!("  {name}: {entry}"))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// Waits until `/readyz` names `actor` with all of these words; no restart is burned meanwhile, no secret shown.
pub(crate) fn await_waiting(node: &Node, actor: &str, words: &[&str]) {
    let mut last = String::new();
    let mut asked = || {
        let (status, body) = node.get("/readyz")?;
        last.clone_from(&body);
        let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
        let entry = answer["not_ready"].as_array()?.iter().find(|entry| entry["actor"] == actor)?.to_string();
        (status == 503
            && entry.contains(r#""state":"waiting""#)
            && words.iter().all(|word| entry.contains(word)))
        .then_some(())
    };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait::until(&format!("/readyz names {actor} with {words:?}"), BOUND, &mut asked);
    }));
    assert!(found.is_ok(), "/readyz does not name {actor} with {words:?}; last {last}; log:\n{}", node.log());
    assert!(!node.log().contains(SECRET) && !last.contains(SECRET), "a password is shown");
    let actors = node.json("/api/actors");
    let restarts: i64 =
        actors.as_array().expect("an array").iter().filter_map(|actor| actor["restarts"].as_i64()).sum();
    assert_eq!(restarts, 0, "no restart is burned: {actors}");
}
