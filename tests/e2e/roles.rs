//! Roles of least privilege: a member of `aqueduct_writer` runs a topology, and can destroy nothing.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::world::{Sql, World};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// A user of the server with a name of its own, gone when dropped.
struct User<'w> {
    world: &'w World,
    name: String,
}

impl<'w> User<'w> {
    fn new(world: &'w World, name: &str, made: &str) -> Self {
        let name = format!("{name}_{}", world.topic.trim_start_matches("t-"));
        let user = Self { world, name };
        user.batch(&["CREATE ROLE %1$I LOGIN PASSWORD 'pass-%1$s'", made].join(" "));
        user
    }

    /// Runs a statement as the superuser; `%1$I` is the user's name.
    fn batch(&self, statement: &str) {
        let sql = self.world.sql();
        let quoted = &sql.rows("SELECT format($1::text, $2::text)", &[&statement, &self.name])[0];
        sql.batch(quoted.get(0));
    }

    fn url(&self) -> String {
        let (scheme, rest) = self.world.database_url().split_once("://").expect("an address");
        let (_, place) = rest.split_once('@').expect("a user in the address");
        format!("{scheme}://{name}:pass-{name}@{place}", name = self.name)
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.batch("DROP OWNED BY %1$I CASCADE");
            self.batch("DROP ROLE %1$I");
        }
    }
}

/// The `id`th trade, every hundredth with a price that is refused.
fn spoiled(id: u64) -> (String, String, i64) {
    let (key, value, time) = trade(id);
    let value = if id.is_multiple_of(100) { value.replace(r#""p":""#, r#""p":"-"#) } else { value };
    (key, value, time)
}

/// The SQLSTATE that `statement` is refused with.
fn refused(sql: &Sql, statement: &str) -> String {
    match sql.try_rows(statement, &[]) {
        Ok(_) => panic!("nobody minds: {statement}"),
        Err(error) => error.code().map_or_else(|| error.to_string(), |state| state.code().to_owned()),
    }
}

const NO_PRIVILEGE: &str = "42501";

/// What a dead letter says of the record: nobody who runs a node may falsify it.
const EVIDENCE: [&str; 18] = [
    "actor",
    "at",
    "class",
    "detail",
    "epoch",
    "headers",
    "id",
    "key",
    "node",
    "offset",
    "partition",
    "payload",
    "reason",
    "record_time",
    "row_index",
    "source",
    "topic",
    "topology",
];

#[test]
fn a_writer_runs_the_whole_path_and_can_destroy_nothing() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let user = User::new(&world, "writer", "IN ROLE aqueduct_writer");
    let url = user.url();
    let as_user = [("TIMESCALE_URL", url.as_str())];
    let checked = world.aqueduct().args(["check", "--connect"]).arg(&file).envs(as_user).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && !said.contains("T1"), "{said}");

    let sql = world.sql();
    let node = Node::start_with(&world, &file, "least", &[], &as_user);
    world.send((1..=2_000).map(spoiled));
    oracle::await_drained(&world, &sql, 2_000, BOUND);
    // The next claim meets what the one that was killed leaves behind.
    node.kill();
    let node = Node::start_with(&world, &file, "least", &[], &as_user);
    world.send((2_001..=3_000).map(spoiled));
    oracle::await_drained(&world, &sql, 3_000, BOUND);
    node.await_ready(200, BOUND);
    oracle::assert_exactly_once(&world, &sql, 3_000);
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.dead_letter"), 30);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);

    let mine = Sql::connect(&url);
    let fixed = mine.rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'aqueduct.dead_letter'::regclass AND attnum > 0 \
         AND NOT attisdropped AND NOT has_column_privilege(attrelid, attnum, 'UPDATE') ORDER BY 1",
        &[],
    );
    let fixed: Vec<String> = fixed.iter().map(|row| row.get(0)).collect();
    assert_eq!(fixed, EVIDENCE, "a replay may note what became of a letter, and change nothing else of it");
    for statement in [
        "DROP TABLE market.trades",
        "DROP TABLE aqueduct.offsets",
        "DROP SCHEMA aqueduct CASCADE",
        "TRUNCATE market.trades",
        "TRUNCATE aqueduct.dead_letter",
        "DELETE FROM market.trades",
        "UPDATE market.trades SET p = 0",
        "DELETE FROM aqueduct.offsets",
        "UPDATE aqueduct.dead_letter SET payload = NULL",
        "ALTER TABLE market.trades DROP COLUMN p",
        "CREATE INDEX ON market.trades (p)",
        "CREATE TABLE market.mine (x int)",
        "CREATE TABLE aqueduct.mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "INSERT INTO aqueduct.migrations SELECT * FROM aqueduct.migrations",
        "SELECT drop_chunks('market.trades', INTERVAL '1 second')",
        "SELECT aqueduct.grant_roles()",
    ] {
        assert_eq!(refused(&mine, statement), NO_PRIVILEGE, "{statement}");
    }
    oracle::assert_exactly_once(&world, &sql, 3_000);
}

#[test]
fn a_reader_sees_everything_and_changes_nothing() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let user = User::new(&world, "reader", "IN ROLE aqueduct_reader");
    let mine = Sql::connect(&user.url());
    for table in ["market.trades", "aqueduct.offsets", "aqueduct.dead_letter", "aqueduct.migrations"] {
        let of_table = |template| mine.format(template, &[table]);
        mine.integer(&of_table("SELECT count(*) FROM %s"));
        for change in ["INSERT INTO %s DEFAULT VALUES", "DELETE FROM %s"] {
            assert_eq!(refused(&mine, &of_table(change)), NO_PRIVILEGE, "{table}");
        }
    }
    assert_eq!(refused(&mine, "SELECT aqueduct.end_sessions('{aqueduct/a/b/c}')"), NO_PRIVILEGE);
}

/// On a server of its own, where nobody has made the roles yet.
#[test]
fn who_may_not_create_roles_migrates_all_the_same_and_is_told() {
    let world = World::private();
    let file = world.write_topology(TRADES);
    let owner = User::new(&world, "owner", "");
    owner.batch(
        "DO $do$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %%I TO %1$I', current_database()); END $do$",
    );
    let url = owner.url();
    let migrate = |step: &str| {
        let mut command = world.aqueduct();
        let output = command.args(["migrate", step]).arg(&file).env("TIMESCALE_URL", &url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "migrate {step}: {said}");
        said
    };
    migrate("new");
    let said = migrate("up");
    for role in ["aqueduct_writer", "aqueduct_reader"] {
        let sentence = format!("warning: role {role} does not exist, and {} may not create it", owner.name);
        assert!(said.contains("0005_roles.sql:") && said.contains(&sentence), "{said}");
    }
    let sql = world.sql();
    let node = Node::start_with(&world, &file, "owner", &[], &[("TIMESCALE_URL", &url)]);
    world.send((1..=500).map(spoiled));
    oracle::await_drained(&world, &sql, 500, BOUND);
    node.kill();

    // What the migration says to do.
    sql.batch("CREATE ROLE aqueduct_writer NOLOGIN; CREATE ROLE aqueduct_reader NOLOGIN");
    Sql::connect(&url).batch(
        "SELECT aqueduct.grant_roles(); \
         GRANT USAGE ON SCHEMA market TO aqueduct_writer; \
         GRANT SELECT, INSERT ON market.trades TO aqueduct_writer",
    );
    let writer = User::new(&world, "writer", "IN ROLE aqueduct_writer");
    let node = Node::start_with(&world, &file, "owner", &[], &[("TIMESCALE_URL", &writer.url())]);
    world.send((501..=1_000).map(spoiled));
    oracle::await_drained(&world, &sql, 1_000, BOUND);
    oracle::assert_exactly_once(&world, &sql, 1_000);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    drop(writer);
}
