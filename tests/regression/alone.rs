//! Complaints about a node whose brokers are not there: its Kafka is a closed port.

use crate::commands::plan::{FILE, Folder, Node, code, text};
use crate::harness::node::get;
use crate::harness::wait;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(30);
const TOKEN: (&str, &str) = ("AQUEDUCT_ADMIN_TOKEN", "regression-token");

/// Watches `/readyz` for a while: never 200; gives the last answer that names the source, once every actor was
/// started.
fn never_ready(node: &Node, watched: Duration) -> String {
    let address: SocketAddr = node.url.trim_start_matches("http://").parse().expect("an address");
    #[expect(clippy::disallowed_methods, reason = "the node's clock is the machine's")]
    let until = Instant::now() + watched;
    wait::until("/readyz names the source, for some time", BOUND, || {
        let (status, body) = get(address, "/readyz")?;
        assert_ne!(status, 200, "ready without a broker: {body}");
        #[expect(clippy::disallowed_methods, reason = "the node's clock is the machine's")]
        let is_over = Instant::now() >= until;
        let is_up = body.contains(r#""phase":"running""#) && body.contains("ticks");
        (is_over && is_up).then_some(body)
    })
}

/// connect#4655: `/ready` answers 200 while no broker can be reached.
#[test]
fn ready_is_never_said_while_the_brokers_are_down() {
    let folder = Folder::new();
    let file = folder.write("t.yaml", FILE);
    let node = Node::start_with(&folder, &file, &[], &[]);
    let body = never_ready(&node, Duration::from_secs(3));
    assert!(body.contains("waiting") && body.contains("127.0.0.1:1"), "who waits for whom: {body}");
}

/// vector#24125: a reload hangs for ever while a component cannot reach its other side.
#[test]
fn a_reload_ends_while_the_brokers_are_down() {
    let folder = Folder::new();
    let file = folder.write("t.yaml", FILE);
    let node = Node::start_with(&folder, &file, &[], &[TOKEN]);
    never_ready(&node, Duration::ZERO);
    for changed in [FILE.replace("price > 0", "price >= 0"), FILE.replace("md.raw", "md.other")] {
        folder.write("t.yaml", &changed);
        let mut reload = folder.aqueduct();
        reload.args(["reload", "--node", &node.url]).env(TOKEN.0, TOKEN.1);
        let output = reload.output().expect("the binary starts");
        assert_eq!(code(&output), 0, "{output:?}");
        assert!(text(&output.stdout).contains("applied: generation"), "{output:?}");
    }
    never_ready(&node, Duration::ZERO);
}
