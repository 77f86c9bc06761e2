//! Whose letters are taken, and where they go: actors with identities and clones, filters, entries that somebody names.

use super::*;

/// Every actor has an identity that is not its name, and clones.
fn with_identities() -> String {
    TRADES
        .replace("kind: normalizer\n", "kind: normalizer\n    id: judge\n    parallelism: 3\n")
        .replace("kind: timescale_writer,", "kind: timescale_writer, id: h, parallelism: 2,")
        .replace("kind: redis_cache,", "kind: redis_cache, id: c,")
        .replace(", policy: best_effort", "")
}

#[test]
fn letters_name_the_actor_of_the_file_whatever_its_identity_and_however_many_its_clones() {
    use bb8_redis::redis::Commands;
    let world = World::shared();
    let (file, sql) = world.prepare(&with_identities());
    sql.batch("ALTER TABLE market.trades ADD CONSTRAINT other CHECK (id <> 7)");
    let key = format!("{}K05", world.prefix);
    let mut redis = world.redis();
    redis.set::<_, _, ()>(&key, "no hash").expect("a text where a hash belongs");
    world.send((1..=60).map(|id| if id > 30 { poisoned(id) } else { trade(id) }));
    run_to_the_end(&world, &file);

    let counts = json(&world, &["dlq", "list", path(&file), "--count"]);
    let counts: Vec<(&str, &str, i64)> = counts
        .as_array()
        .expect("counts")
        .iter()
        .map(|count| {
            (text(&count["actor"]), text(&count["reason"]), count["letters"].as_i64().expect("a number"))
        })
        .collect();
    assert_eq!(
        counts,
        [("trades", "price_positive", 30), ("cache", "redis_refused", 1), ("history", "check_violation", 1)]
    );
    let stored = sql.rows("SELECT DISTINCT actor FROM aqueduct.dead_letter ORDER BY 1", &[]);
    let stored: Vec<String> = stored.iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, ["c", "h", "judge"], "under the identity, as the offsets are");
    for (said, meant) in [("history", "history"), ("h", "history"), ("cache", "cache"), ("c", "cache")] {
        let listed = json(&world, &["dlq", "list", path(&file), "--actor", said]);
        let actors: Vec<&str> =
            listed["letters"].as_array().expect("letters").iter().map(|one| text(&one["actor"])).collect();
        assert_eq!(actors, [meant], "--actor {said}");
    }

    sql.batch("ALTER TABLE market.trades DROP CONSTRAINT other");
    redis.del::<_, ()>(&key).expect("deleted");
    let fixed = world.write_topology(&with_identities().replace(REQUIRE, ""));
    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&done["written"], &done["left"]), (&32.into(), &0.into()), "{done}");
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT), sql.integer(PENDING)), (60, 60, 0));
    let newest: Option<String> = redis.hget(&key, "id").expect("a hash");
    assert_eq!(newest.as_deref(), Some("55"));
}

#[test]
fn only_letters_in_the_state_that_is_named_are_taken() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=3).map(poisoned));
    run_to_the_end(&world, &file);
    let failed = json(&world, &["dlq", "replay", path(&file)]);
    assert_eq!(failed["failed_again"], 3, "{failed}");
    world.send((4..=5).map(poisoned));
    run_to_the_end(&world, &file);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    for (state, written, rows) in
        [("replayed", 0, 0), ("failed-again", 3, 3), ("replayed", 0, 3), ("new", 2, 5)]
    {
        let dry = json(&world, &["dlq", "replay", path(&fixed), "--state", state, "--dry-run"]);
        assert_eq!(dry["written"], written, "{state}: {dry}");
        let done = json(&world, &["dlq", "replay", path(&fixed), "--state", state]);
        assert_eq!((&done["taken"], &done["written"]), (&written.into(), &written.into()), "{state}: {done}");
        assert_eq!(sql.integer(ROWS), rows, "{state}");
    }
    assert_eq!((sql.integer(DISTINCT), sql.integer(PENDING)), (5, 0));
}

/// Two tables from one normalizer.
const TWICE: &str = "  second: { kind: timescale_writer, from: trades, table: market.second }\n";

#[test]
fn a_sinks_letters_reach_that_sink_alone_at_whichever_actor_they_enter() {
    let world = World::shared();
    let text = format!("{TRADES}{TWICE}");
    let (file, sql) = world.prepare(&text);
    sql.batch("ALTER TABLE market.trades ADD CONSTRAINT small CHECK (id < 50)");
    world.send((1..=60).map(trade));
    run_to_the_end(&world, &file);
    const SECOND: &str = "SELECT count(*) FROM market.second";
    assert_eq!((sql.integer(ROWS), sql.integer(SECOND), sql.integer(PENDING)), (49, 60, 11));
    sql.batch("ALTER TABLE market.trades DROP CONSTRAINT small");
    let done = json(&world, &["dlq", "replay", path(&file), "--to", "trades"]);
    assert_eq!((&done["written"], &done["left"]), (&11.into(), &0.into()), "{done}");
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT)), (60, 60));
    assert_eq!(sql.integer(SECOND), 60, "it had them");
}

/// One topic, two topologies, one table each; their letters lie among each other.
#[test]
fn replays_of_two_topologies_in_one_database_take_their_own_letters() {
    const POISONED: u64 = 20_000;
    let world = World::shared();
    let second_text = TRADES
        .replace("topology: trades-", "topology: second-")
        .replace("market.trades", "market.second")
        .replace("{prefix}", "{prefix}second:");
    let (second, sql) = world.prepare(&second_text);
    let folder = world.folder().join("second");
    let other = folder.join("topology.yaml");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::rename(&second, &other).expect("moved");
    std::fs::rename(world.folder().join("migrations"), folder.join("migrations")).expect("moved");
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let nodes = [Node::start(&world, &file, "first", &[]), Node::start(&world, &other, "second", &[])];
    world.send((1..=POISONED).map(poisoned));
    wait::until("every letter", BOUND, || (sql.integer(PENDING) == 2 * POISONED as i64).then_some(()));
    for node in nodes {
        node.terminate();
        assert_eq!(node.exit_code(BOUND), 0);
    }
    for file in [&file, &other] {
        let text = std::fs::read_to_string(file).expect("readable");
        std::fs::write(file, text.replace(REQUIRE, "")).expect("written");
    }
    std::thread::scope(|scope| {
        for file in [&file, &other] {
            let world = &world;
            scope.spawn(move || {
                let done = json(world, &["dlq", "replay", path(file)]);
                assert_eq!((&done["written"], &done["left"]), (&POISONED.into(), &0.into()), "{done}");
            });
        }
    });
    let sent = POISONED as i64;
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT), sql.integer(PENDING)), (sent, sent, 0));
    assert_eq!(sql.integer("SELECT count(*) FROM market.second"), sent);
    assert_eq!(sql.integer("SELECT count(DISTINCT id) FROM market.second"), sent);
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
