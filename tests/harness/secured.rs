//! Servers that ask for encryption and credentials, and a user who has them.

use super::node::Node;
use super::wait;
use super::world::World;
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take to show, or to come right.
pub const BOUND: Duration = Duration::from_secs(60);
/// What no file, page or log may show, in each of the passwords.
pub const SECRET: &str = "hunter2";

/// Parts of one's own that speak TLS.
pub fn bring_up(parts: &[Part]) -> Stack {
    let options = Options::from_env("secured", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options.parts(parts).secured(), &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}

/// A client's settings: it believes the authority of that file and nobody else.
pub fn believing(authority: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).expect("a file of certificates") {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    versions.expect("versions").with_root_certificates(roots).with_no_client_auth()
}

/// A user that the three servers know, whose passwords lie in files of the world's folder.
pub struct Login {
    pub user: String,
}

/// How a topology names its servers.
#[derive(Clone)]
pub struct Connections {
    pub kafka: String,
    pub timescale: String,
    pub redis: String,
}

impl Login {
    /// A user who comes with the right passwords and may do everything.
    pub fn new(world: &World) -> Self {
        let login = Self { user: format!("user_{:08x}", fastrand::u32(..)) };
        for part in Part::DEFAULT {
            login.set_password(world, part, "first");
            login.write_password(world, part, "first");
        }
        world.stack().allow_at_kafka(&login.user, true).expect("allowed");
        login
    }

    /// What the server asks the user for from now on.
    pub fn set_password(&self, world: &World, part: Part, word: &str) {
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
    pub fn write_password(&self, world: &World, part: Part, word: &str) {
        std::fs::write(password_file(world, part), format!("{}\n", password(part, word))).expect("written");
    }

    /// Everything encrypted and proven, with users and passwords.
    pub fn connections(&self, world: &World) -> Connections {
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

pub fn password_file(world: &World, part: Part) -> PathBuf {
    world.folder().join(format!("{part}.password"))
}

/// The test's database, as that user.
pub fn database_of(world: &World, user: &str) -> String {
    let (_, place) = world.database_url().rsplit_once('@').expect("a user");
    format!("postgres://{user}@{place}")
}

fn password(part: Part, word: &str) -> String {
    format!("{SECRET}-{part}-{word}")
}

/// A topology whose three connections are these.
pub fn naming(text: &str, connections: &Connections) -> String {
    let entries =
        [("kafka", &connections.kafka), ("timescale", &connections.timescale), ("redis", &connections.redis)];
    let line = |line: &str| {
        let entry = entries.iter().find(|(name, _)| line.trim_start().starts_with(&format!("{name}:")));
        entry.map_or_else(|| line.to_owned(), |(name, entry)| format!("  {name}: {entry}"))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// Waits until `/readyz` names `actor` with all of these words; no restart is burned meanwhile, no secret shown.
pub fn await_waiting(node: &Node, actor: &str, words: &[&str]) {
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
