//! Which server a connection ends up with, and when it leaves it.

use super::*;
use crate::harness::wire::{How, Moment, Proxy, When, server_of};
use aqueduct_topology::{Span, Spanned};
use std::time::Duration;

fn connector(url: &str) -> Connector {
    let url = Spanned::new(url.to_owned().into(), Span::default());
    let connection = TimescaleConnection { url, user_file: None, password_file: None, pool: 4, tls: None };
    Connector::new(&connection, "unit", "hosts", Clock::system()).expect("a connection as configured")
}

/// A failover may leave the old primary hanging: its sockets open, its processes still.
#[test]
fn a_host_that_says_nothing_does_not_keep_us_from_the_next() {
    on_arbiter(async {
        let world = World::shared();
        let url = world.database_url();
        let hanging = Proxy::to(url);
        hanging.strike_each(Moment::Connect, When::Before, How::Silence, u32::MAX);
        let nobody = crate::harness::node::free_address().to_string();
        let hosts = [nobody, server_of(&hanging.url(url)), server_of(url)].join(",");
        let both = url.replace(&server_of(url), &hosts);
        let opened = tokio::time::timeout(Duration::from_secs(30), connector(&both).connect()).await;
        let connection = opened.expect("in bounded time").expect("the third host");
        assert_eq!(hanging.struck(), 1, "the second was asked first");
        connection.ping().await.expect("it takes writes");
    });
}

#[test]
fn a_session_whose_server_becomes_read_only_is_left_and_the_server_not_taken_again() {
    on_arbiter(async {
        let world = World::shared();
        let connector = connector(world.database_url());
        let connection = connector.connect().await.expect("it takes writes");
        connection.ping().await.expect("it takes writes");
        let read_only = connection.client().batch_execute("SET default_transaction_read_only = on");
        read_only.await.expect("a setting of the session");
        let error = connection.ping().await.expect_err("it takes none");
        assert!(error.message.contains("read-only") && connection.is_broken(), "{error}");

        let url = world.database_url().to_owned();
        let name = url.rsplit('/').next().expect("a database").to_owned();
        let set_read_only = move || {
            let sql = Sql::connect(&url);
            sql.batch(&sql.format("ALTER DATABASE %I SET default_transaction_read_only = on", &[&name]));
        };
        blocking(set_read_only).await;
        let error = connector.connect().await.expect_err("a standby, or a demoted primary");
        assert!(error.message.contains("does not allow writes"), "{error}");
    });
}
