//! Dead letters as the page of a node shows them: read from its database, replayed beside it, honest while it is away.

use super::{BOUND, PENDING, REQUIRE, ROWS, poisoned};
use crate::harness::console::run_to_the_end;
use crate::harness::node::Node;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use serde_json::Value;

const TOKEN: &str = "s3cret-of-the-node";

fn events(node: &Node, what: &str) -> Vec<Value> {
    let events = node.json("/api/events");
    events.as_array().expect("events").iter().filter(|event| event["what"] == what).cloned().collect()
}

#[test]
fn a_node_shows_its_letters_and_replays_them_beside_itself() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=40).map(|id| if id % 10 == 0 { poisoned(id) } else { trade(id) }));
    run_to_the_end(&world, &file);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let node = Node::start_with(&world, &fixed, "shows", &[], &[("AQUEDUCT_ADMIN_TOKEN", TOKEN)]);
    node.await_ready(200, BOUND);

    let letters = node.json("/api/letters");
    let group = &letters["groups"][0];
    assert_eq!(
        (&letters["away"], letters["groups"].as_array().map(Vec::len)),
        (&Value::Null, Some(1)),
        "{letters}"
    );
    assert_eq!((&group["reason"], &group["new"]), (&"price_positive".into(), &4.into()));
    let sample = &group["sample"];
    assert!(sample["value"].as_str().expect("a value").contains("\"p\":\"-"), "{sample}");
    assert!(
        group["command"].as_str().expect("a command").starts_with("aqueduct dlq replay --actor="),
        "{group}"
    );
    assert_eq!(node.json("/api/drills"), serde_json::json!({ "drills": [], "away": null }));
    let plan = node.json("/api/plan");
    assert_eq!((&plan["plan"]["changes"], &plan["generation"]), (&false.into(), &1.into()), "{plan}");

    let body = format!(r#"{{"actor": {}, "reason": "price_positive"}}"#, group["actor"]);
    let (status, answer) = node.post_body("/api/letters/replay", TOKEN, &body).expect("an answer");
    assert_eq!(status, 202, "{answer}");
    wait::until("the replay's end", BOUND, || {
        assert!(events(&node, "replay_failed").is_empty(), "{}", node.log());
        (!events(&node, "replayed").is_empty()).then_some(())
    });
    let told = events(&node, "replayed")[0]["detail"].as_str().expect("words").to_owned();
    assert_eq!(told, "4 taken: 4 written, 0 filtered, 0 failed again, 0 left");
    assert_eq!((sql.integer(ROWS), sql.integer(PENDING)), (40, 0));
    let letters = node.json("/api/letters");
    assert_eq!(
        (&letters["groups"][0]["replayed"], &letters["replaying"]),
        (&4.into(), &Value::Null),
        "{letters}"
    );

    // The file says something else now: the page tells, and nothing is done.
    world.write_topology(TRADES);
    let plan = node.json("/api/plan");
    assert_eq!(plan["plan"]["changes"], true, "{plan}");
    assert!(plan["plan_text"].as_str().expect("words").contains("price_positive"), "{plan}");
    assert_eq!(node.json("/api/topology")["generation"], 1);
}
