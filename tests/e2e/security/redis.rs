//! Redis: whose certificate is believed, which user is let in, and who must show one itself.

use super::Scene;
use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::secured::{BOUND, Connections, await_waiting, bring_up};
use aqueduct_stack::Part;
use std::path::PathBuf;
use std::sync::Arc;

fn with_files(scene: &Scene, ca: &std::path::Path, client: Option<(PathBuf, PathBuf)>) -> Connections {
    let client = client
        .map(|(cert, key)| format!(", cert_file: \"{}\", key_file: \"{}\"", cert.display(), key.display()));
    let redis = format!(
        "{{ url: \"rediss://{}@{}/0\", password_file: \"{}\", tls: {{ ca_file: \"{}\"{} }} }}",
        scene.login.user,
        scene.stack().encrypted(Part::Redis),
        scene.password_file(Part::Redis).display(),
        ca.display(),
        client.unwrap_or_default()
    );
    Connections { redis, ..scene.connections() }
}

#[test]
fn a_certificate_of_a_stranger_is_refused() {
    let scene = Scene::new();
    scene.prepare(&scene.connections());
    let file = scene.write(&with_files(&scene, &scene.certificates().stranger(), None));
    scene.check_says(&file, "T101", &["redis", "UnknownIssuer"]);
    let node = Node::start(&scene.world, &file, "refused", &[]);
    await_waiting(&node, "cache", &["UnknownIssuer"]);
}

#[test]
fn a_password_that_is_wrong_at_the_start_is_waited_for() {
    let scene = Scene::new();
    let file = scene.prepare(&scene.connections());
    scene.write_password(Part::Redis, "wrong");
    scene.send(1, 1_000);
    scene.check_says(&file, "T101", &["redis", "assword"]);
    let node = Node::start(&scene.world, &file, "patient", &[]);
    await_waiting(&node, "cache", &["redis", "assword"]);
    scene.write_password(Part::Redis, "first");
    oracle::await_newest_in_cache(&scene.world, 1_000);
    node.await_ready(200, BOUND);
}

#[test]
fn a_client_is_asked_for_its_certificate() {
    let scene = Scene::on(Arc::new(bring_up(&Part::DEFAULT)));
    scene.prepare(&scene.connections());
    let mut ask = bb8_redis::redis::cmd("CONFIG");
    ask.arg("SET").arg("tls-auth-clients").arg("yes").query::<()>(&mut scene.world.redis()).expect("set");
    let ca = scene.certificates().authority();
    let client = Some(scene.certificates().client());
    scene.check_is_content(&scene.write(&with_files(&scene, &ca, client)));
    for client in [None, Some(scene.certificates().impostor())] {
        let file = scene.write(&with_files(&scene, &ca, client));
        scene.check_refuses(&file, "redis");
    }
}
