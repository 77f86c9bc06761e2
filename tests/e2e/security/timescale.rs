//! PostgreSQL: whose certificate is believed, by which `sslmode`, and who is let in.

use super::Scene;
use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::secured::{BOUND, Connections, await_waiting, bring_up, database_of};
use aqueduct_stack::Part;
use aqueduct_stack::secured::{CERTIFIED_USER, Identity};
use std::sync::Arc;

/// The database alone is what these are about.
fn with_timescale(scene: &Scene, url: &str, ca: &std::path::Path) -> Connections {
    let timescale = format!(
        "{{ url: \"{url}\", password_file: \"{}\", tls: {{ ca_file: \"{}\" }} }}",
        scene.password_file(Part::Timescale).display(),
        ca.display()
    );
    Connections { timescale, ..scene.connections() }
}

/// The writer waits with these words, `check --connect` says them too.
fn refused(scene: &Scene, connections: &Connections, words: &[&str]) {
    let file = scene.write(connections);
    scene.check_says(&file, "T101", words);
    let node = Node::start(&scene.world, &file, "refused", &[]);
    await_waiting(&node, "history", words);
}

#[test]
fn a_certificate_of_a_stranger_another_host_or_another_time_is_refused() {
    let scene = Scene::on(Arc::new(bring_up(&Part::DEFAULT)));
    let good = scene.connections();
    scene.prepare(&good);
    let url = database_of(&scene.world, &scene.login.user);
    let full = format!("{url}?sslmode=verify-full");
    let stranger = scene.certificates().stranger();
    refused(&scene, &with_timescale(&scene, &full, &stranger), &["UnknownIssuer"]);

    let authority = scene.certificates().authority();
    scene.stack().present(Part::Timescale, Identity::WrongName).expect("another certificate");
    refused(&scene, &with_timescale(&scene, &full, &authority), &["not valid for name", "127.0.0.1"]);
    let by_signer = with_timescale(&scene, &format!("{url}?sslmode=verify-ca"), &authority);
    scene.check_is_content(&scene.write(&by_signer));

    scene.stack().present(Part::Timescale, Identity::Expired).expect("another certificate");
    refused(&scene, &with_timescale(&scene, &full, &authority), &["expired"]);

    // The node is told nothing: what it waits for comes right by itself.
    scene.send(1, 1_000);
    let file = scene.write(&good);
    let node = Node::start(&scene.world, &file, "patient", &[]);
    await_waiting(&node, "history", &["expired"]);
    scene.stack().present(Part::Timescale, Identity::Good).expect("the good certificate");
    let sql = scene.world.sql();
    oracle::await_drained(&scene.world, &sql, 1_000, BOUND);
    node.await_ready(200, BOUND);
    oracle::assert_exactly_once(&scene.world, &sql, 1_000);
}

#[test]
fn a_password_that_is_wrong_at_the_start_is_waited_for() {
    let scene = Scene::new();
    let file = scene.prepare(&scene.connections());
    scene.write_password(Part::Timescale, "wrong");
    scene.send(1, 1_000);
    let words = ["password authentication failed", "password_file"];
    scene.check_says(&file, "T101", &words);
    let node = Node::start(&scene.world, &file, "patient", &[]);
    await_waiting(&node, "history", &words);
    std::fs::remove_file(scene.password_file(Part::Timescale)).expect("removed");
    await_waiting(&node, "history", &["timescale.password"]);
    scene.write_password(Part::Timescale, "first");
    let sql = scene.world.sql();
    oracle::await_drained(&scene.world, &sql, 1_000, BOUND);
    node.await_ready(200, BOUND);
    oracle::assert_exactly_once(&scene.world, &sql, 1_000);
}

#[test]
fn a_server_without_tls_is_no_crash_for_who_insists_on_it() {
    let scene = crate::harness::world::World::shared();
    let url = format!("{}?sslmode=require", scene.database_url());
    let file = scene.write_topology(super::TRADES);
    scene.migrate(&file);
    let node = Node::start_with(&scene, &file, "insists", &[], &[("TIMESCALE_URL", &url)]);
    await_waiting(&node, "history", &["server does not support TLS"]);
    let without =
        scene.database_url().rsplit_once('@').map(|(_, place)| format!("postgres://aqueduct@{place}"));
    let without = without.expect("a user");
    let node = Node::start_with(&scene, &file, "nameless", &[], &[("TIMESCALE_URL", &without)]);
    await_waiting(&node, "history", &["password missing"]);
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let scene = Scene::new();
    scene.prepare(&scene.connections());
    scene.world.sql().batch(&format!(
        "DO $$ BEGIN CREATE ROLE {CERTIFIED_USER} LOGIN IN ROLE aqueduct; \
         EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    ));
    let ca = scene.certificates().authority();
    let url = format!("{}?sslmode=verify-full", database_of(&scene.world, CERTIFIED_USER));
    let with = |(cert, key): (std::path::PathBuf, std::path::PathBuf)| Connections {
        timescale: format!(
            "{{ url: \"{url}\", tls: {{ ca_file: \"{}\", cert_file: \"{}\", key_file: \"{}\" }} }}",
            ca.display(),
            cert.display(),
            key.display()
        ),
        ..scene.connections()
    };
    scene.check_is_content(&scene.write(&with(scene.certificates().certified())));
    let file = scene.write(&with(scene.certificates().client()));
    scene.check_says(&file, "T101", &["certificate authentication failed"]);
    let file = scene.write(&with(scene.certificates().impostor()));
    scene.check_refuses(&file, "timescale");
}
