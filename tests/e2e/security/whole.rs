//! The whole path over encrypted connections.

use super::Scene;
use crate::harness::node::Node;
use crate::harness::secured::{BOUND, SECRET};
use crate::harness::{oracle, wait};

#[test]
fn the_path_is_exactly_once_over_three_encrypted_connections() {
    const SENT: u64 = 60_000;
    let scene = Scene::new();
    let file = scene.prepare(&scene.connections());
    scene.check_is_content(&file);
    let sql = scene.world.sql();
    let node = Node::start(&scene.world, &file, "secured", &[]);
    scene.send(1, SENT / 2);
    wait::until("rows arrive", BOUND, || {
        (sql.integer("SELECT count(*) FROM market.trades") > 1_000).then_some(())
    });
    // In one look: sessions come and go meanwhile.
    let sessions = "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                    WHERE datname = current_database() AND application_name LIKE 'aqueduct/%'";
    let row = &sql.rows(sessions, &[])[0];
    let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
    assert!(all > 0 && encrypted == all, "{encrypted} of {all} sessions are encrypted");
    let log = node.log();
    node.kill();
    let node = Node::start(&scene.world, &file, "secured", &[]);
    scene.send(SENT / 2 + 1, SENT);
    oracle::await_drained(&scene.world, &sql, SENT, BOUND);
    node.await_ready(200, BOUND);
    assert_eq!(node.ledger("unaccounted"), 0);
    for page in ["/", "/metrics", "/readyz", "/api/topology", "/api/actors", "/api/ledger"] {
        let (_, body) = node.get(page).expect(page);
        assert!(!body.contains(SECRET), "{page} shows a password");
    }
    assert!(!log.contains(SECRET) && !node.log().contains(SECRET), "the log shows a password");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&scene.world, &sql, SENT);
    oracle::await_newest_in_cache(&scene.world, SENT);
}
