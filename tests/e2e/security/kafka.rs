//! Kafka: whose certificate is believed, which user is let in by which mechanism, and who comes with a certificate.

use super::Scene;
use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::secured::{BOUND, Connections, await_waiting};
use aqueduct_stack::Part;
use aqueduct_stack::secured::USER;
use std::path::{Path, PathBuf};

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
