//! No secret is shown anywhere: planted in every place that takes one, looked for in everything the product says.
//!
//! Each scene plants its own and collects logs at the most talkative level, every page and answer of the node, what the
//! commands print, and the command line of the process.

use crate::harness::node::{Node, free_address};
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use std::path::PathBuf;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);
const EVERYTHING: &str = "trace,rdkafka=trace,librdkafka=trace";

const IN_DATABASE_URL: &str = "plant-database-url-9f1c";
const IN_DATABASE_FILE: &str = "plant-database-file-27d0";
const IN_REDIS_URL: &str = "plant-redis-url-b35e";
const IN_REDIS_FILE: &str = "plant-redis-file-81aa";
const IN_SASL_FILE: &str = "plant-sasl-file-6c42";
const IN_TOKEN: &str = "plant-token-variable-e07b";
const IN_TOKEN_FILE: &str = "plant-token-file-4d98";
const A_GUESS: &str = "plant-guess-c5f3";
/// What a key file holds; no key, so that who reads it says what is wrong with it.
const IN_KEY_FILE: &str = "cGxhbnQta2V5LWZpbGUtMDBhYg";

const ALL: [&str; 9] = [
    IN_DATABASE_URL,
    IN_DATABASE_FILE,
    IN_REDIS_URL,
    IN_REDIS_FILE,
    IN_SASL_FILE,
    IN_TOKEN,
    IN_TOKEN_FILE,
    A_GUESS,
    IN_KEY_FILE,
];

/// Everything that was said, and where.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    fn holds(&self, word: &str) -> bool {
        self.0.iter().any(|(_, text)| text.contains(word))
    }

    /// Looks for every secret.
    fn assert_silent(&self) {
        assert!(self.0.len() > 10, "too little was collected");
        for (place, text) in &self.0 {
            for secret in ALL {
                let place_in = text.find(secret).map(|at| {
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    &text[from..at]
                });
                assert!(place_in.is_none(), "{place} shows {secret} after: {}", place_in.unwrap_or_default());
            }
        }
    }
}

/// Users of the servers whose passwords are the planted ones; gone when dropped.
struct Users<'w> {
    world: &'w World,
    name: String,
}

impl<'w> Users<'w> {
    fn new(world: &'w World, database: &str, redis: &str) -> Self {
        let name = format!("u_{}", world.topic.trim_start_matches("t-"));
        let users = Self { world, name };
        let sql = world.sql();
        sql.batch(&sql.format("CREATE ROLE %I LOGIN SUPERUSER PASSWORD %L", &[&users.name, database]));
        users.acl(&["SETUSER", &users.name, "on", &format!(">{redis}"), "~*", "+@all"]);
        users
    }

    fn batch(&self, statement: &str) {
        let sql = self.world.sql();
        sql.batch(sql.rows("SELECT format($1::text, $2::text)", &[&statement, &self.name])[0].get(0));
    }

    fn acl(&self, words: &[&str]) {
        let answer =
            bb8_redis::redis::cmd("ACL").arg(words).query::<bb8_redis::redis::Value>(&mut self.world.redis());
        answer.expect("Redis takes it");
    }

    fn database_url(&self, password: Option<&str>) -> String {
        let (scheme, rest) = self.world.database_url().split_once("://").expect("an address");
        let (_, place) = rest.split_once('@').expect("a user in the address");
        format!("{scheme}://{}@{place}", self.login(password))
    }

    fn redis_url(&self, password: Option<&str>) -> String {
        let url = self.world.stack().redis_url();
        let (_, rest) = url.split_once("://").expect("an address");
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        format!("redis://{}@{place}", self.login(password))
    }

    fn login(&self, password: Option<&str>) -> String {
        password.map_or_else(|| self.name.clone(), |password| format!("{}:{password}", self.name))
    }
}

impl Drop for Users<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.batch("DROP OWNED BY %I CASCADE");
            self.batch("DROP ROLE %I");
            self.acl(&["DELUSER", &self.name]);
        }
    }
}

/// The commands that read a topology or ask a node, in each form they have.
const COMMANDS: [&[&str]; 16] = [
    &["check", "FILE"],
    &["check", "FILE", "--format", "json"],
    &["check", "FILE", "--format", "sarif"],
    &["check", "FILE", "--connect"],
    &["check", "FILE", "--connect", "--format", "json"],
    &["explain", "FILE"],
    &["graph", "FILE"],
    &["graph", "FILE", "--format", "dot"],
    &["graph", "FILE", "--format", "svg"],
    &["plan", "FILE"],
    &["plan", "FILE", "--format", "json"],
    &["plan", "FILE", "--save", "form.json"],
    &["audit", "config", "FILE"],
    &["audit", "config", "FILE", "--format", "json"],
    &["migrate", "status", "FILE"],
    &["reload"],
];

const PAGES: [&str; 10] = [
    "/",
    "/metrics",
    "/livez",
    "/readyz",
    "/api/topology",
    "/api/topology?form=canonical",
    "/api/actors",
    "/api/settings",
    "/api/ledger",
    "/api/events",
];

/// A topology and an environment with something planted.
struct Scene<'w> {
    world: &'w World,
    file: PathBuf,
    environment: Vec<(&'static str, String)>,
    arguments: Vec<String>,
    said: Said,
}

impl<'w> Scene<'w> {
    fn new(world: &'w World, topology: &str, environment: Vec<(&'static str, String)>) -> Self {
        let file = world.write_topology(topology);
        Self { world, file, environment, arguments: Vec::new(), said: Said::default() }
    }

    fn start(&self, name: &str) -> Node {
        let mut environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, &**value)).collect();
        environment.push(("AQUEDUCT_LOG", EVERYTHING));
        let arguments: Vec<&str> = self.arguments.iter().map(|argument| &**argument).collect();
        Node::start_with(self.world, &self.file, name, &arguments, &environment)
    }

    fn collect(&mut self, node: Node, end: impl FnOnce(&Node)) {
        for page in PAGES {
            let (_, body) = node.get(page).expect("an answer");
            self.said.add(page, body);
        }
        for order in ["/api/drain", "/api/reload", "/api/actors/ticks/stop"] {
            let (status, body) = node.post(order, A_GUESS, BOUND).expect("an answer");
            assert!(matches!(status, 401 | 403), "{status}: {body}");
            self.said.add(order, body);
        }
        self.said.add("command line", node.command_line());
        self.commands(&node);
        end(&node);
        node.terminate();
        wait::until("the end", BOUND, || node.get("/livez").is_none().then_some(()));
        let log = node.log();
        assert!(!log.is_empty(), "it says something");
        self.said.add("log", log);
    }

    fn commands(&mut self, node: &Node) {
        for command in COMMANDS {
            let mut process = self.world.aqueduct();
            process.envs(self.environment.iter().map(|(name, value)| (*name, value)));
            process
                .env("AQUEDUCT_NODE_URL", format!("http://{}", node.admin))
                .env("AQUEDUCT_LOG", EVERYTHING);
            for word in command {
                match *word {
                    "FILE" => process.arg(&self.file),
                    word => process.arg(word),
                };
            }
            let output = process.output().expect("the binary starts");
            let text = [output.stdout, output.stderr].concat();
            self.said.add(command.join(" "), String::from_utf8_lossy(&text));
        }
        if let Ok(form) = std::fs::read_to_string(self.world.folder().join("form.json")) {
            self.said.add("the saved form", form);
        }
    }
}

/// Passwords in addresses and a token in the environment, all of them right.
#[test]
fn secrets_in_the_environment_are_shown_nowhere() {
    let world = World::shared();
    world.migrate(&world.write_topology(TRADES));
    let users = Users::new(&world, IN_DATABASE_URL, IN_REDIS_URL);
    let environment = vec![
        ("TIMESCALE_URL", users.database_url(Some(IN_DATABASE_URL))),
        ("REDIS_URL", users.redis_url(Some(IN_REDIS_URL))),
        ("AQUEDUCT_ADMIN_TOKEN", IN_TOKEN.to_owned()),
    ];
    let mut scene = Scene::new(&world, TRADES, environment);
    let node = scene.start("environment");
    world.send((1..=100).map(trade));
    oracle::await_drained(&world, &world.sql(), 100, BOUND);
    node.await_ready(200, BOUND);
    scene.collect(node, |node| {
        assert_eq!(
            node.post("/api/actors/history/restart", IN_TOKEN, BOUND).map(|(status, _)| status),
            Some(202)
        );
        world.send((101..=200).map(trade));
        oracle::await_drained(&world, &world.sql(), 200, BOUND);
    });
    assert!(
        scene.said.holds(&users.name) || scene.said.holds("127.0.0.1"),
        "addresses are told, without the rest"
    );
    scene.said.assert_silent();
}

/// The same from files.
#[test]
fn secrets_in_files_are_shown_nowhere() {
    let world = World::shared();
    world.migrate(&world.write_topology(TRADES));
    let users = Users::new(&world, IN_DATABASE_FILE, IN_REDIS_FILE);
    let place = |name: &str, secret: &str| {
        let file = world.folder().join(name);
        std::fs::write(&file, format!("{secret}\n")).expect("written");
        file.display().to_string()
    };
    let topology = TRADES
        .replace(
            "${TIMESCALE_URL}\"",
            &format!("${{TIMESCALE_URL}}\", password_file: {}", place("db", IN_DATABASE_FILE)),
        )
        .replace(
            "${REDIS_URL}\"",
            &format!("${{REDIS_URL}}\", password_file: {}", place("redis", IN_REDIS_FILE)),
        );
    let environment = vec![("TIMESCALE_URL", users.database_url(None)), ("REDIS_URL", users.redis_url(None))];
    let mut scene = Scene::new(&world, &topology, environment);
    scene.arguments = vec!["--admin-token-file".to_owned(), place("token", IN_TOKEN_FILE)];
    let node = scene.start("files");
    world.send((1..=100).map(trade));
    oracle::await_drained(&world, &world.sql(), 100, BOUND);
    node.await_ready(200, BOUND);
    scene.collect(node, |node| {
        let restarted = node.post("/api/actors/cache/restart", IN_TOKEN_FILE, BOUND);
        assert_eq!(
            restarted.map(|(status, _)| status),
            Some(202),
            "the token is the file's, without its last line's end"
        );
    });
    scene.said.assert_silent();
}

const SECURED: &str = r#"
topology: trades-{topic}
connections:
  kafka:
    bootstrap: "${KAFKA_BOOTSTRAP}"
    tls: { cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" }
    sasl: { mechanism: SCRAM-SHA-256, user: app, password_file: "{folder}/sasl" }
  timescale: { url: "${TIMESCALE_URL}", tls: { cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" } }
  redis:     { url: "${REDIS_URL}", tls: { cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" } }
"#;

/// Every way of being refused: wrong passwords, nobody there, keys that are none, SASL where none is spoken.
#[test]
fn secrets_that_are_refused_are_shown_nowhere() {
    let world = World::shared();
    world.migrate(&world.write_topology(TRADES));
    let folder = world.folder().display().to_string();
    for (name, text) in [
        ("sasl", format!("{IN_SASL_FILE}\n")),
        ("key.pem", format!("-----BEGIN PRIVATE KEY-----\n{IN_KEY_FILE}\n-----END PRIVATE KEY-----\n")),
        ("cert.pem", format!("-----BEGIN CERTIFICATE-----\n{IN_KEY_FILE}\n-----END CERTIFICATE-----\n")),
    ] {
        std::fs::write(world.folder().join(name), text).expect("written");
    }
    let actors = &TRADES[TRADES.find("actors:").expect("actors")..];
    let secured = SECURED.replace("{folder}", &folder) + actors;
    let sasl_only = secured.lines().filter(|line| !line.contains("    tls:")).collect::<Vec<_>>().join("\n");
    let users = Users::new(&world, "another", "another");
    let wrong = vec![
        ("TIMESCALE_URL", users.database_url(Some(IN_DATABASE_URL))),
        ("REDIS_URL", users.redis_url(Some(IN_REDIS_URL))),
        ("AQUEDUCT_ADMIN_TOKEN", IN_TOKEN.to_owned()),
    ];
    let (database, cache) = (free_address(), free_address());
    let away = vec![
        ("KAFKA_BOOTSTRAP", free_address().to_string()),
        ("TIMESCALE_URL", format!("postgres://app:{IN_DATABASE_URL}@{database}/market")),
        ("REDIS_URL", format!("redis://app:{IN_REDIS_URL}@{cache}")),
    ];
    for (name, topology, environment) in [
        ("wrong", TRADES, wrong.clone()),
        ("away", TRADES, away),
        ("keys", &secured, wrong.clone()),
        ("sasl", &sasl_only, wrong),
    ] {
        let mut scene = Scene::new(&world, topology, environment);
        let node = scene.start(name);
        node.await_ready(503, BOUND);
        // Long enough for each to have been refused, and to have said so.
        wait::until("refusals", BOUND, || {
            let (_, body) = node.get("/readyz")?;
            ["\"ticks\"", "\"cache\""]
                .iter()
                .all(|actor| body.contains(actor) || name != "away")
                .then_some(())
        });
        scene.collect(node, |_| {});
        scene.said.assert_silent();
    }
}

/// A password in the file itself, on a line with a mistake: the excerpt masks it.
#[test]
fn a_mistake_beside_a_secret_does_not_quote_it() {
    let world = World::shared();
    let mut said = Said::default();
    let mistakes = [
        ("flow", format!("timescale: {{ url: \"postgres://app:{IN_DATABASE_URL}@db/x\", pol: 3 }}")),
        (
            "block",
            format!("timescale:\n    url: postgres://app:{IN_DATABASE_URL}@db/x?sslmode=on\n    pool: none"),
        ),
        ("scheme", format!("timescale: {{ url: \"mysql://app:{IN_DATABASE_URL}@db/x\" }}")),
        ("shape", format!("timescale: [\"postgres://app:{IN_DATABASE_URL}@db/x\"]")),
        (
            "query",
            format!("timescale: {{ url: \"postgres://app@db/x?password={IN_DATABASE_URL}\", pol: 3 }}"),
        ),
        ("redis", format!("redis: {{ url: \"redis://:{IN_REDIS_URL}@db:x\", pool: 99999 }}")),
        ("key", format!("redis: {{ pool: 2, ulr: \"redis://:{IN_REDIS_URL}@cache\" }}")),
        ("torn", format!("redis: {{ url: \"redis://:{IN_REDIS_URL}@cache\"")),
    ];
    for (name, mistake) in mistakes {
        let file = world.write_topology(&format!(
            "topology: t\nconnections:\n  {mistake}\nactors:\n  ticks: {{ kind: kafka_source, topic: t }}\n"
        ));
        for format in ["text", "json", "sarif"] {
            let file = file.to_str().expect("a plain path");
            let output = world.run(&["check", file, "--format", format]);
            let text = [output.stdout, output.stderr].concat();
            said.add(format!("{name} {format}"), String::from_utf8_lossy(&text));
        }
    }
    assert!(said.0.iter().filter(|(_, text)| text.contains("T0")).count() >= 15, "mistakes are found");
    said.assert_silent();
}
