//! A wait for a server that has been succeeded, and for one that is only slow.

use super::*;
use crate::harness::wire::{Proxy, server_of};
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress, with_hosts};
use aqueduct_topology::{Span, Spanned};
use std::time::Duration;

fn connector(url: String) -> Connector {
    let url = Spanned::new(url.into(), Span::default());
    let connection = TimescaleConnection { url, user_file: None, password_file: None, pool: 1, tls: None };
    Connector::new(&connection, "unit", "succession", Clock::system()).expect("a connection as configured")
}

/// What a lost region leaves: sessions that are open, and silent.
#[test]
fn a_server_that_went_silent_is_given_up_when_its_standby_leads() {
    on_arbiter(async {
        let options = Options::from_env("test-succession", Lifetime::Private).expect("a folder");
        let options = options.parts(&[Part::Timescale, Part::Standby]);
        let up =
            move || Stack::up(&options, &*progress::on_stderr()).unwrap_or_else(|error| panic!("{error}"));
        let stack = blocking(up).await;
        let (primary, standby) = (stack.timescale_url(), stack.address(Part::Standby).expect("a standby"));
        let wire = Proxy::to(&primary);
        let hosts = [server_of(&wire.url(&primary)), server_of(&standby)];
        let url = with_hosts(&primary, &hosts.each_ref().map(String::as_str));
        let connection = connector(url).connect().await.expect("the primary");
        wire.silence();
        let stack = blocking(move || stack.promote(Part::Standby).map(|()| stack)).await.expect("promoted");
        let asked = connection.client().batch_execute("SELECT 1");
        let waited = connection.within("ask the lost one", Duration::from_secs(120), asked);
        let error =
            tokio::time::timeout(Duration::from_secs(60), waited).await.expect("given up").unwrap_err();
        assert!(error.message.contains("another server leads by now"), "{error}");
        assert!(error.message.contains(&server_of(&standby)) && connection.is_broken(), "{error}");
        blocking(move || drop(stack)).await;
    });
}

/// Two doors to one server: it may take its time, and the other door leads nowhere else.
#[test]
fn a_slow_answer_is_waited_for_while_nobody_else_leads() {
    on_arbiter(async {
        let world = World::shared();
        let url = world.database_url();
        let door = Proxy::to(url);
        let hosts = [server_of(&door.url(url)), server_of(url)];
        let both = with_hosts(url, &hosts.each_ref().map(String::as_str));
        let connection = connector(both).connect().await.expect("the server");
        let slow = connection.client().batch_execute("SELECT pg_sleep(6)");
        let waited = connection.within("take one's time", Duration::from_secs(60), slow).await;
        waited.expect("an answer, however late");
        assert!(!connection.is_broken());
    });
}
