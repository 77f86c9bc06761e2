//! A wait is given up once another host leads.
//!
//! A primary that is lost with its region says nothing. Its sessions stay open, and whoever asked it something would wait as
//! long as a commit may take. So once an answer is late, the other hosts of the address are asked: one that takes writes on
//! a later timeline has succeeded ours, and what ours may still answer is not of the database that counts.
//!
//! PostgreSQL counts timelines up at each promotion. Two hosts that lead to one server, such as a pair of poolers, have the
//! same, and a slow answer of theirs is waited for.

use super::connect::{Connector, Warnings};
use super::{hosts, limits};
use crate::credentials::Login;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use std::pin::pin;
use tokio_postgres::{Client, Config};

/// The name of the segment that is written, which begins with the timeline.
const SEGMENT: &str = "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())";

/// How often a server was promoted before it became what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timeline(u32);

impl Timeline {
    /// Of the server that `client` is connected to, which leads.
    pub(super) async fn of(client: &Client) -> Result<Option<Self>, tokio_postgres::Error> {
        let segment: String = client.query_one(SEGMENT, &[]).await?.try_get(0)?;
        Ok(Self::parse(&segment))
    }

    fn parse(segment: &str) -> Option<Self> {
        u32::from_str_radix(segment.get(..8)?, 16).ok().map(Self)
    }
}

/// Who could succeed the server of a session.
#[derive(Debug)]
pub(super) struct Succession {
    pub(super) connector: Connector,
    pub(super) login: Login,
    /// The other hosts of the address.
    pub(super) others: Vec<Config>,
    /// The session's own.
    pub(super) timeline: Timeline,
}

impl Succession {
    /// Returns where the successor is, once there is one. Boxed: every wait of every caller would hold all of it.
    pub(super) fn awaited(&self) -> BoxFuture<'_, String> {
        let clock = self.connector.clock();
        let sought = async move {
            clock.sleep(limits::LATE_AFTER).await;
            loop {
                for host in &self.others {
                    if self.is_successor(host).await {
                        return hosts::place(host);
                    }
                }
                clock.sleep(limits::SUCCESSOR_LOOK_EVERY).await;
            }
        };
        sought.boxed()
    }

    async fn is_successor(&self, host: &Config) -> bool {
        let asked = async {
            let (client, driver) =
                self.connector.open_host(host, &self.login, &Warnings::default()).await.ok()?;
            match select(pin!(Timeline::of(&client)), driver).await {
                Either::Left((timeline, _)) => timeline.ok()?,
                Either::Right(_) => None,
            }
        };
        let answer = self.connector.clock().timeout(limits::CONNECT_WAIT_MAX, asked).await;
        answer.is_ok_and(|timeline| timeline > Some(self.timeline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_begins_with_its_timeline() {
        assert_eq!(Timeline::parse("0000000A0000000100000023"), Some(Timeline(10)));
        assert!(Timeline::parse("0000001100000001") > Timeline::parse("0000000A00000009"));
        assert!(Timeline::parse("short").is_none() && Timeline::parse("not hexadecimal").is_none());
    }
}
