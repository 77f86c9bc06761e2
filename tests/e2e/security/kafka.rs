//! Kafka: whose certificate is believed, which user is let in by which mechanism, and who comes with a certificate.

use super::Scene;
use crate::harness::node::Node;
use crate::harness::secured::{BOUND, Connections, await_waiting, naming};
use crate::harness::{oracle, wait};
use aqueduct_stack::Part;
use aqueduct_stack::secured::USER;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Everything that speaks to the brokers: what reads, what writes, and where letters go without a database.
const COPIES: &str = r#"
topology: copies-{topic}
connections:
  kafka: none
actors:
  ticks:  { kind: kafka_source, topic: "{topic}" }
  trades: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, path: /ts, unit: ms }, id: { type: int64, path: /id } } }
  copy:   { kind: kafka_sink, from: trades, topic: "{topic}-copy" }
"#;
const ALL: [&str; 3] = ["ticks", "copy", "dead_letter"];
/// Far below what a client gives a message.
const NAMED_WITHIN: Duration = Duration::from_secs(20);

/// [`COPIES`] of a scene: its file, and how many messages a topic has.
fn copies(scene: &Scene) -> (PathBuf, impl Fn(&str) -> i64) {
    for suffix in ["-copy", "-letters"] {
        let topic = format!("{}{suffix}", scene.world.topic);
        scene.stack().create_topic(&topic, 1, &[]).expect("a topic");
    }
    let letters = "  dead_letter: { kind: dead_letter, topic: \"{topic}-letters\" }\n";
    let text = naming(&format!("{}{letters}", COPIES.trim_start()), &scene.connections());
    let asks: BaseConsumer = scene.stack().kafka_client().expect("kafka").create().expect("a client");
    let topic = scene.world.topic.clone();
    let count = move |suffix: &str| {
        let asked = asks.fetch_watermarks(&format!("{topic}{suffix}"), 0, BOUND);
        asked.expect("the broker's answer").1
    };
    (scene.world.write_topology(&text), count)
}

/// A node that is refused names each of `actors` with `words`, soon.
fn all_named(node: &Node, actors: &[&str], words: &[&str]) {
    #[expect(clippy::disallowed_methods, reason = "the node's clock is the machine's")]
    let began = Instant::now();
    actors.iter().for_each(|actor| await_waiting(node, actor, words));
    let took = began.elapsed();
    assert!(took < NAMED_WITHIN, "it took {took:?} to name {actors:?} with {words:?}");
}

#[test]
fn who_writes_is_named_as_soon_as_who_reads() {
    let scene = Scene::new();
    let (file, count) = copies(&scene);
    scene.write_password(Part::Kafka, "wrong");
    let node = Node::start(&scene.world, &file, "copying", &[]);
    let refused = ["refused user or password", "connections.kafka.sasl"];
    all_named(&node, &ALL, &refused);
    scene.write_password(Part::Kafka, "first");
    node.await_ready(200, BOUND);
    scene.send(1, 500);
    let feed = scene.world.feed();
    feed.send(None, Some(b"no JSON"), None).expect("sent");
    feed.flush().expect("flushed");
    wait::until("copies and a letter", BOUND, || {
        ((count("-copy"), count("-letters")) == (500, 1)).then_some(())
    });
    scene.login.set_password(&scene.world, Part::Kafka, "second");
    all_named(&node, &["ticks", "copy"], &refused);
    scene.write_password(Part::Kafka, "second");
    node.await_ready(200, BOUND);
    scene.stack().allow_at_kafka(&scene.login.user, false).expect("taken away");
    all_named(&node, &["ticks", "copy"], &["not allowed", "grant"]);
    scene.stack().allow_at_kafka(&scene.login.user, true).expect("given back");
    scene.send(501, 1_000);
    wait::until("all copies", BOUND, || (count("-copy") >= 1_000).then_some(()));
    node.await_ready(200, BOUND);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

fn tls(ca: &Path, client: Option<(PathBuf, PathBuf)>) -> String {
    let client = client
        .map(|(cert, key)| format!(", cert_file: \"{}\", key_file: \"{}\"", cert.display(), key.display()));
    format!("tls: {{ ca_file: \"{}\"{} }}", ca.display(), client.unwrap_or_default())
}

#[test]
fn a_certificate_of_a_stranger_is_refused() {
    let scene = Scene::new();
    let good = scene.connections();
    scene.prepare(&good);
    let (authority, stranger) = (scene.certificates().authority(), scene.certificates().stranger());
    let kafka = good.kafka.replace(authority.to_str().expect("plain"), stranger.to_str().expect("plain"));
    let file = scene.write(&Connections { kafka, ..good });
    let words = ["no TLS", "certificate verify failed", "connections.kafka.tls"];
    scene.check_says(&file, "T101", &words);
    let node = Node::start(&scene.world, &file, "refused", &[]);
    await_waiting(&node, "ticks", &words);
}

#[test]
fn a_password_that_is_wrong_at_the_start_is_waited_for() {
    let scene = Scene::new();
    let file = scene.prepare(&scene.connections());
    scene.write_password(Part::Kafka, "wrong");
    scene.send(1, 1_000);
    let words = ["refused user or password", "connections.kafka.sasl"];
    scene.check_says(&file, "T101", &words);
    let node = Node::start(&scene.world, &file, "patient", &[]);
    await_waiting(&node, "ticks", &words);
    scene.write_password(Part::Kafka, "first");
    let sql = scene.world.sql();
    oracle::await_drained(&scene.world, &sql, 1_000, BOUND);
    node.await_ready(200, BOUND);
    oracle::assert_exactly_once(&scene.world, &sql, 1_000);
}

#[test]
fn plain_passwords_and_certificates_let_a_client_in_too() {
    let scene = Scene::new();
    scene.prepare(&scene.connections());
    let ca = scene.certificates().authority();
    let file = scene.world.folder().join("plain.password");
    std::fs::write(&file, scene.stack().password(Part::Kafka).expect("a password")).expect("written");
    let plain = format!(
        "{{ bootstrap: \"{}\", {}, sasl: {{ mechanism: PLAIN, user: {USER}, password_file: \"{}\" }} }}",
        scene.stack().encrypted(Part::Kafka),
        tls(&ca, None),
        file.display()
    );
    scene.check_is_content(&scene.write(&Connections { kafka: plain, ..scene.connections() }));

    let mutual = |client| {
        let kafka = format!("{{ bootstrap: \"{}\", {} }}", scene.stack().mutual(), tls(&ca, client));
        scene.write(&Connections { kafka, ..scene.connections() })
    };
    scene.check_is_content(&mutual(Some(scene.certificates().client())));
    let file = mutual(Some(scene.certificates().impostor()));
    scene.check_refuses(&file, &scene.stack().mutual());
}
