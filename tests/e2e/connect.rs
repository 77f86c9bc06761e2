//! `check --connect` beside real servers: every mismatch made for real, and said as the page of its code shows.
//!
//! The pages are the golden files: the text blocks of `topology/docs/codes/T1xx.md`, one for each case here, with
//! lasting names in place of this run's. `AQUEDUCT_BLESS=1` writes them anew.

use crate::harness::node::free_address;
use crate::harness::world::World;
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};
use aqueduct_topology::Code;
use bb8_redis::redis;
use rdkafka::mocking::MockCluster;
use rdkafka::types::RDKafkaRespErr;
use serde_json::Value;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

const TOPOLOGY: &str = r#"topology: demo
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  redis:     { url: "${REDIS_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "${TOPIC}" }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:     { type: timestamp, path: /T, unit: ms }
      symbol: { type: text, path: /s }
      price:  { type: "decimal(18,8)", path: /p }
  history: { kind: timescale_writer, from: trades, table: market.trades }
  last: { kind: redis_cache, from: trades, key: "last:{symbol}", value: [ts, price], order_by: ts, policy: best_effort }
"#;

/// What the tables of [`TOPOLOGY`] should be.
const TABLE: &str = "
    CREATE SCHEMA market;
    CREATE TABLE market.trades (ts timestamptz NOT NULL, symbol text NOT NULL, price numeric(18,8) NOT NULL);
    SELECT create_hypertable('market.trades', by_range('ts'));";

/// A role that may do everything but write into the table and move offsets. Roles belong to the whole server, so it has
/// a name of its own, in the setting `test.role`.
const MAKE_READER: &str = "
    DO $$ DECLARE role text := current_setting('test.role'); BEGIN
        EXECUTE format('CREATE ROLE %I LOGIN PASSWORD ''hunter2''', role);
        EXECUTE format('GRANT USAGE ON SCHEMA market, aqueduct TO %I', role);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA market, aqueduct TO %I', role);
        EXECUTE format('GRANT INSERT ON aqueduct.offsets, aqueduct.dead_letter TO %I', role);
    END $$";

const END_READER: &str = "
    DO $$ DECLARE role text := current_setting('test.role'); BEGIN
        EXECUTE format('DROP OWNED BY %I', role);
        EXECUTE format('DROP ROLE %I', role);
    END $$";

/// Servers, a topology file, and what the environment says.
struct Scene {
    world: World,
    text: String,
    environment: Vec<(&'static str, String)>,
    /// What is replaced in what is said, so that it is the same in every run.
    names: Vec<(String, &'static str)>,
}

impl Scene {
    /// Everything fits, but that there is no table yet.
    fn bare() -> Self {
        let world = World::shared();
        let output = world.run(&["migrate", "up"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let topic = world.topic.clone();
        let place = |url: String| url.rsplit_once('@').map_or(url.clone(), |(_, place)| place.to_owned());
        let names = vec![
            (world.stack().kafka_bootstrap(), "kafka:9092"),
            (place(world.database_url().to_owned()), "db:5432/market"),
            (address(&world.stack().redis_url()), "redis:6379"),
            (topic.clone(), "md.raw"),
        ];
        let environment = vec![("TOPIC", topic)];
        Self { world, text: TOPOLOGY.to_owned(), environment, names }
    }

    /// Everything fits.
    fn fitting() -> Self {
        let scene = Self::bare();
        scene.world.sql().batch(TABLE);
        scene
    }

    /// The same with other SQL after the table was made.
    fn after(sql: &str) -> Self {
        let scene = Self::fitting();
        scene.world.sql().batch(sql);
        scene
    }

    fn replacing(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "`{from}` is not in the topology");
        self.text = self.text.replace(from, to);
        self
    }

    /// With another address, which is called `name` in what is said.
    fn with(mut self, variable: &'static str, value: impl Into<String>, name: &'static str) -> Self {
        let value = value.into();
        self.names.insert(0, (address(&value), name));
        self.environment.push((variable, value));
        self
    }

    /// With a sink that writes to a topic of these settings.
    fn with_sink(self, settings: &[(&str, &str)]) -> Self {
        let topic = format!("{}-copy", self.world.topic);
        self.world.stack().create_topic(&topic, 1, settings).expect("a topic");
        let mut scene = self.with("COPY", topic, "md.copy");
        scene.text.push_str("  copy: { kind: kafka_sink, from: trades, topic: \"${COPY}\" }\n");
        scene
    }

    fn check(&self, format: &str) -> Output {
        std::fs::write(self.world.folder().join("topology.yaml"), &self.text).expect("written");
        let mut command = self.world.aqueduct();
        command.args(["check", "topology.yaml", "--connect", "--format", format]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).output().expect("it starts")
    }

    /// The findings, each with this run's names replaced, and the exit code.
    fn findings(&self) -> (Vec<String>, i32) {
        let output = self.check("text");
        let said = String::from_utf8(output.stderr.clone()).expect("text");
        let said = self.names.iter().fold(said, |said, (from, to)| said.replace(from.as_str(), to));
        let findings = said.split("\n\n").map(str::trim_end).filter(|finding| !finding.is_empty());
        (findings.map(str::to_owned).collect(), output.status.code().expect("an exit code"))
    }

    /// The one finding of `code` is what the page shows in its block `block`, and errors end with 1.
    fn says(&self, code: &str, block: usize) {
        let (findings, exit) = self.findings();
        let mine: Vec<&String> =
            findings.iter().filter(|finding| finding.contains(&format!("[{code}]"))).collect();
        assert_eq!(mine.len(), 1, "{code} is found once: {findings:#?}");
        let errors = findings.iter().any(|finding| finding.starts_with("error["));
        assert_eq!(exit, i32::from(errors), "{findings:#?}");
        golden(code, block, mine[0]);
    }

    /// Nothing but `code` is found.
    fn says_only(&self, code: &str, block: usize) {
        let (findings, _) = self.findings();
        assert!(findings.iter().all(|finding| finding.contains(&format!("[{code}]"))), "{findings:#?}");
        self.says(code, block);
    }
}

/// Host and port of an address, without user, password and database.
fn address(url: &str) -> String {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    place.split_once('/').map_or(place, |(place, _)| place).to_owned()
}

fn page(code: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("topology/docs/codes/{code}.md"))
}

/// What is before and in each text block of a page, and what is after the last.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let mut parts = page.split("```text\n");
    let mut blocks = vec![(parts.next().unwrap_or_default(), "")];
    blocks.extend(
        parts.map(|part| part.split_once("```").expect("a block ends")).map(|(block, rest)| (rest, block)),
    );
    blocks
}

fn golden(code: &str, block: usize, said: &str) {
    let file = page(code);
    let text = std::fs::read_to_string(&file).expect("a page");
    let mut parts: Vec<(String, String)> =
        blocks(&text).into_iter().map(|(rest, block)| (rest.to_owned(), block.to_owned())).collect();
    let shown = &mut parts.get_mut(block + 1).expect("the page has a block for this case").1;
    let said = format!("{said}\n");
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller")]
    if std::env::var("AQUEDUCT_BLESS").is_ok() {
        *shown = said;
        let after = parts[1..].iter().map(|(rest, block)| format!("```text\n{block}```{rest}"));
        let whole = parts[0].0.clone() + &after.collect::<String>();
        std::fs::write(file, whole).expect("written");
        return;
    }
    assert_eq!(*shown, said, "the page of {code} shows something else; AQUEDUCT_BLESS=1 writes it anew");
}

/// A Redis of the test's own, to be set otherwise.
fn redis_server() -> Stack {
    let options = Options::from_env("test", Lifetime::Private).expect("options").parts(&[Part::Redis]);
    Stack::up(&options, &*progress::on_stderr()).expect("a Redis")
}

fn tell(server: &Stack, words: &[&str]) {
    let client = redis::Client::open(server.redis_url()).expect("an address");
    let mut connection = client.get_connection().expect("connect to Redis");
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(word);
    });
    command.query::<()>(&mut connection).unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

#[test]
fn what_fits_has_no_finding_and_nothing_is_changed() {
    let scene = Scene::fitting();
    let keys = |scene: &Scene| {
        let mut found: Vec<String> =
            redis::cmd("KEYS").arg("last:*").query(&mut scene.world.redis()).expect("keys");
        found.sort();
        found
    };
    let before = keys(&scene);
    let output = scene.check("text");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(answer, "topology.yaml: 5 actors, kafka, timescale and redis asked, nothing wrong\n");
    assert_eq!(keys(&scene), before);
    assert_eq!(scene.world.sql().integer("SELECT count(*) FROM market.trades"), 0);
    let empty = World::shared();
    let scene = Scene { world: empty, ..scene };
    scene.check("text");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('aqueduct', 'market')";
    assert_eq!(scene.world.sql().integer(schemas), 0, "nothing was migrated");
}

#[test]
fn findings_have_places_in_json_and_sarif_too() {
    let scene = Scene::fitting().with("TOPIC", "nobody-made-this", "md.raw");
    let json: Value = serde_json::from_slice(&scene.check("json").stdout).expect("JSON");
    let finding = &json["diagnostics"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&"T110".into(), &"error".into()));
    assert_eq!((&finding["line"], &finding["column"]), (&7.into(), &39.into()), "{json}");
    assert_eq!(finding["file"], "topology.yaml");
    let sarif: Value = serde_json::from_slice(&scene.check("sarif").stdout).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "T110");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&region["startLine"], &region["startColumn"]), (&7.into(), &39.into()));
}

#[test]
fn a_file_with_errors_is_not_taken_to_the_servers() {
    let scene = Scene::bare().replacing("from: ticks", "from: tick");
    let (findings, exit) = scene.findings();
    assert_eq!(exit, 1);
    assert!(findings.iter().any(|finding| finding.contains("[T021]")), "{findings:#?}");
    assert!(findings.iter().all(|finding| !finding.contains("[T1")), "{findings:#?}");
    assert!(findings.last().is_some_and(|said| said.contains("the servers were not asked")), "{findings:#?}");
}

#[test]
fn a_server_that_is_away_is_said_and_the_others_are_asked() {
    let away = free_address().to_string();
    Scene::fitting().with("KAFKA_BOOTSTRAP", away, "kafka:9092").says_only("T100", 0);
    let away = format!("postgres://me:hunter2-secret@{}/market", free_address());
    let scene = Scene::bare().with("TIMESCALE_URL", away, "db:5432");
    let (findings, exit) = scene.findings();
    assert_eq!((findings.len(), exit), (1, 1), "{findings:#?}");
    assert!(findings[0].contains("[T100]") && findings[0].contains("db:5432"), "{findings:#?}");
    assert!(!findings[0].contains("hunter2"), "{findings:#?}");
}

#[test]
fn servers_that_take_connections_and_say_nothing_do_not_hold_it_up() {
    let hole = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let (kafka, timescale, redis) = (hole(), hole(), hole());
    let place = |hole: &TcpListener| hole.local_addr().expect("an address").to_string();
    let scene = Scene::bare()
        .with("KAFKA_BOOTSTRAP", place(&kafka), "kafka")
        .with("TIMESCALE_URL", format!("postgres://me:pw@{}/market", place(&timescale)), "timescale")
        .with("REDIS_URL", format!("redis://{}", place(&redis)), "redis");
    let begun = Instant::now();
    let (findings, exit) = scene.findings();
    assert_eq!(exit, 1);
    assert_eq!(findings.len(), 3, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.contains("[T100]")), "{findings:#?}");
    // Each alone may take four seconds; one after the other they would take twelve.
    assert!(begun.elapsed() < Duration::from_secs(10), "they are asked at once: {:?}", begun.elapsed());
}

#[test]
fn a_wrong_password_is_said_and_never_shown() {
    let scene = Scene::fitting();
    let url = scene.world.database_url().to_owned();
    let (before, place) = url.rsplit_once('@').expect("a user");
    let (user, _) = before.rsplit_once(':').expect("a password");
    let place = place.split_once('/').expect("a database").0;
    let database = url.rsplit_once('/').expect("a database").1;
    let mut scene =
        scene.with("TIMESCALE_URL", format!("{user}:hunter2-secret@{place}/{database}"), "db:5432");
    scene.names.insert(0, (database.to_owned(), "market"));
    let (findings, _) = scene.findings();
    assert!(findings.iter().all(|finding| !finding.contains("hunter2")), "{findings:#?}");
    scene.says_only("T101", 0);
}

#[test]
fn a_database_without_the_extension_is_said() {
    let scene = Scene::bare();
    scene.world.sql().batch("DROP EXTENSION timescaledb CASCADE");
    scene.says("T102", 0);
}

#[test]
fn a_topic_that_is_not_there_is_said() {
    let scene = Scene::fitting();
    scene.world.stack().delete_topic(&scene.world.topic).expect("delete the topic");
    scene.says_only("T110", 0);
}

#[test]
fn the_topic_for_letters_is_asked_for_where_there_is_no_database() {
    let scene = Scene::bare()
        .replacing("  timescale: { url: \"${TIMESCALE_URL}\" }\n", "")
        .replacing("  history: { kind: timescale_writer, from: trades, table: market.trades }\n", "")
        .replacing(", policy: best_effort", "");
    let (findings, exit) = scene.findings();
    assert_eq!((findings.len(), exit), (1, 1), "{findings:#?}");
    let said =
        "error[T110]: the topic `demo.dead_letter` does not exist at kafka:9092\n --> topology.yaml:1:11\n";
    assert!(findings[0].starts_with(said), "{findings:#?}");
}

#[test]
fn a_topic_that_is_forbidden_is_said() {
    let cluster =
        MockCluster::new(1).expect("a cluster of librdkafka's own, which has access control to play with");
    let scene = Scene::fitting();
    cluster.create_topic(&scene.world.topic, 4, 1).expect("a topic");
    let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.topic_error(&scene.world.topic, forbidden).expect("it is forbidden");
    scene.with("KAFKA_BOOTSTRAP", cluster.bootstrap_servers(), "kafka:9092").says_only("T111", 0);
}

#[test]
fn clones_without_a_partition_are_said() {
    let sharing = "kind: normalizer\n    parallelism: 6";
    Scene::fitting().replacing("kind: normalizer", sharing).says_only("T112", 0);
}

#[test]
fn a_compacted_topic_is_said_where_each_record_counts() {
    Scene::fitting().with_sink(&[("cleanup.policy", "compact")]).says_only("T113", 0);
    let scene = Scene::fitting();
    let topic = format!("{}-compacted", scene.world.topic);
    scene.world.stack().create_topic(&topic, 4, &[("cleanup.policy", "compact,delete")]).expect("a topic");
    scene.with("TOPIC", topic, "md.raw").says_only("T113", 1);
}

#[test]
fn a_topic_of_small_messages_is_said_unless_the_rows_are_bounded() {
    Scene::fitting().with_sink(&[("max.message.bytes", "1000")]).says_only("T114", 0);
    let bounded = Scene::fitting()
        .with_sink(&[("max.message.bytes", "1000")])
        .replacing("path: /s }", "path: /s, max_bytes: 64 }");
    assert_eq!(bounded.findings(), (Vec::new(), 0));
}

#[test]
fn a_table_that_is_not_there_is_said() {
    Scene::bare().says_only("T120", 0);
}

#[test]
fn a_column_that_is_not_there_is_said_at_its_field() {
    Scene::after("ALTER TABLE market.trades DROP COLUMN price").says_only("T121", 0);
}

#[test]
fn a_column_of_another_type_is_said_at_its_field() {
    Scene::after("ALTER TABLE market.trades ALTER COLUMN price TYPE numeric(18,2)").says_only("T122", 0);
}

#[test]
fn a_column_that_nothing_fills_is_said() {
    Scene::after("ALTER TABLE market.trades ADD COLUMN venue text NOT NULL").says_only("T123", 0);
    let filled = Scene::after("ALTER TABLE market.trades ADD COLUMN venue text NOT NULL DEFAULT 'x'");
    assert_eq!(filled.findings(), (Vec::new(), 0));
    // Not in a key as well, of which `check` has something to say by itself.
    let optional = Scene::fitting()
        .replacing("path: /s }", "path: /s, optional: true }")
        .replacing("last:{symbol}", "last:{price}");
    optional.says_only("T123", 1);
}

#[test]
fn chunks_and_policies_that_are_not_those_declared_are_said() {
    let table = "table: market.trades";
    let declared = |policy: &str| Scene::fitting().replacing(table, &format!("{table}, {policy}"));
    declared("chunk_interval: 1d").says_only("T128", 0);
    declared("compress_after: 7d").says_only("T129", 0);
}

#[test]
fn a_plain_table_is_said() {
    let scene = Scene::bare();
    let (plain, _) = TABLE.split_once("SELECT create_hypertable").expect("the table alone");
    scene.world.sql().batch(plain);
    scene.says_only("T124", 0);
    let scene = Scene::bare()
        .replacing("      symbol:", "      seen:   { type: timestamp, path: /E, unit: ms }\n      symbol:")
        .replacing("  history:", "    event_time: seen\n  history:");
    scene.world.sql().batch(&TABLE.replace("symbol text", "seen timestamptz NOT NULL, symbol text"));
    scene.says_only("T124", 1);
}

#[test]
fn a_business_key_without_its_index_is_said() {
    let unique = |scene: Scene| {
        scene.replacing("table: market.trades }", "table: market.trades, unique: [symbol, ts] }")
    };
    unique(Scene::fitting()).says_only("T125", 0);
    let indexed = unique(Scene::after("CREATE UNIQUE INDEX ON market.trades (ts, symbol)"));
    assert_eq!(indexed.findings(), (Vec::new(), 0));
}

#[test]
fn a_user_who_may_only_read_is_said() {
    let scene = Scene::fitting();
    let role = scene.world.prefix.replace(['-', ':'], "_") + "reader";
    let sql = scene.world.sql();
    sql.rows("SELECT set_config('test.role', $1, false)", &[&role]);
    sql.batch(MAKE_READER);
    let place = scene.world.database_url().rsplit_once('@').expect("a user").1.to_owned();
    let mut scene = scene;
    scene.names.insert(0, (role.clone(), "reader"));
    scene.environment.push(("TIMESCALE_URL", format!("postgres://{role}:hunter2@{place}")));
    let (findings, exit) = scene.findings();
    assert_eq!((findings.len(), exit), (2, 1), "{findings:#?}");
    let own =
        findings.iter().find(|finding| finding.contains("topology.yaml:4:")).expect("at the connection");
    let lacking =
        "lacks DELETE on aqueduct.dead_letter, EXECUTE on aqueduct.end_sessions, UPDATE on aqueduct.offsets";
    assert!(own.contains(lacking), "{own}");
    let table = findings.iter().find(|finding| finding.contains("topology.yaml:15:")).expect("at the table");
    golden("T126", 0, table);
    sql.batch(END_READER);
}

#[test]
fn migrations_that_are_not_applied_are_said() {
    let scene = Scene::fitting();
    let folder = scene.world.folder().join("migrations");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("0001_venue.sql"), "ALTER TABLE market.trades ADD COLUMN venue text;")
        .expect("written");
    scene.says_only("T127", 0);
    let engine = Scene { world: World::shared(), ..scene };
    engine.world.sql().batch(TABLE);
    let (findings, exit) = engine.findings();
    assert_eq!((findings.len(), exit), (1, 1), "{findings:#?}");
    assert!(
        findings[0].contains("topology.yaml:4:") && findings[0].contains("0001_offsets.sql"),
        "{findings:#?}"
    );
}

#[test]
fn a_redis_that_forgets_is_said() {
    let server = redis_server();
    let scene = Scene::fitting().with("REDIS_URL", server.redis_url(), "redis:6379");
    assert_eq!(scene.findings(), (Vec::new(), 0), "by default it forgets nothing");
    let client = redis::Client::open(server.redis_url()).expect("an address");
    let mut connection = client.get_connection().expect("connect");
    let done: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).expect("what was done");
    assert!(
        done.contains("cmdstat_discard:") && !done.contains("cmdstat_hset:"),
        "nothing is written: {done}"
    );
    tell(&server, &["CONFIG", "SET", "maxmemory", "104857600"]);
    tell(&server, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    scene.says_only("T130", 0);
    tell(&server, &["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    assert_eq!(scene.findings(), (Vec::new(), 0), "no key of this cache expires");
}

#[test]
fn a_redis_that_is_a_replica_is_said() {
    let server = redis_server();
    tell(&server, &["REPLICAOF", "127.0.0.1", "1"]);
    Scene::fitting().with("REDIS_URL", server.redis_url(), "redis:6379").says_only("T131", 0);
}

#[test]
fn a_command_that_is_forbidden_is_said_and_none_is_carried_out() {
    let server = redis_server();
    tell(&server, &["ACL", "SETUSER", "cache", "on", ">hunter2", "~last:*", "+@all", "-hset"]);
    let url = server.redis_url().replace("redis://", "redis://cache:hunter2@");
    Scene::fitting().with("REDIS_URL", url.clone(), "redis:6379").says_only("T132", 0);
    tell(&server, &["ACL", "SETUSER", "cache", "+hset", "resetkeys", "~other:*"]);
    let (findings, _) = Scene::fitting().with("REDIS_URL", url, "redis:6379").findings();
    assert!(findings.len() == 1 && findings[0].contains("[T132]"), "a key of another form: {findings:#?}");
    let client = redis::Client::open(server.redis_url()).expect("an address");
    let keys: i64 =
        redis::cmd("DBSIZE").query(&mut client.get_connection().expect("connect")).expect("a size");
    assert_eq!(keys, 0);
}

#[test]
fn every_code_of_the_servers_is_shown_on_its_page() {
    for code in Code::ALL.iter().filter(|code| code.needs_servers()) {
        let shown = blocks(code.page());
        assert!(shown.len() > 1, "{} shows nothing", code.id());
        for (_, block) in &shown[1..] {
            let said = [format!("error[{}]: ", code.id()), format!("warning[{}]: ", code.id())];
            assert!(said.iter().any(|said| block.starts_with(said)), "{} shows {block}", code.id());
        }
        let tested = format!("(\"{}\", 0", code.id());
        assert!(include_str!("connect.rs").contains(&tested), "no test produces {}", code.id());
    }
}
