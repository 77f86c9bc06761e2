//! Member names by session-level advisory locks: a slot is ours as long as our connection lives.
//!
//! A process that dies by any means frees its slot with its connection, so its successor on the node finds the same
//! name at once, and a second process on the node takes the next. A connection that breaks while we live is made anew
//! and takes the same slot back; had somebody else taken it meanwhile, the group's own fence decides between us.

use super::connect::Connection;
use super::{Timescale, limits};
use crate::kafka::slot::{MemberSlots, Slot, lowest_free};
use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Class, Clock, Error, task};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// Members of one node and topology.
pub const SLOTS_MAX: u32 = 256;
/// How often a held slot's connection is looked after; it also keeps the connection from idling away.
const LOOK_EVERY: Duration = Duration::from_secs(5);

const TRY_LOCK: &str = "\
    SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(\
        pg_catalog.concat_ws(' ', 'aqueduct member', $1::text, $2::text, $3::int8), 0))";
/// Waits in line for it, for as long as a session waits for any lock.
const LOCK: &str = "\
    SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(\
        pg_catalog.concat_ws(' ', 'aqueduct member', $1::text, $2::text, $3::int8), 0)) IS NOT NULL";
const UNLOCK: &str = "\
    SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended(\
        pg_catalog.concat_ws(' ', 'aqueduct member', $1::text, $2::text, $3::int8), 0))";
/// How long who waits in line is given to get there.
const IN_LINE: Duration = Duration::from_millis(100);

/// Slots in the database that keeps the offsets.
#[derive(Clone, Debug)]
pub struct AdvisorySlots {
    timescale: Timescale,
    clock: Clock,
}

/// Who asks.
#[derive(Clone, Debug)]
struct Member {
    topology: Arc<str>,
    node: Arc<str>,
}

impl AdvisorySlots {
    /// Slots of `timescale`.
    pub fn new(timescale: Timescale, clock: Clock) -> Self {
        Self { timescale, clock }
    }

    async fn lowest(&self, member: &Member) -> Result<Slot, Error> {
        let connection = self.timescale.connect().await?;
        let lease = async |number| member.try_lock(&connection, number).await;
        if let Some(number) = lowest_free(SLOTS_MAX, lease).await? {
            let keeper = keep(self.clone(), member.clone(), number, connection);
            return Ok(Slot { number, lease: Some(Box::new(task::spawn("member slot", keeper))) });
        }
        Err(Error::new(
            Class::Config,
            format!(
                "all {SLOTS_MAX} member names of node `{}` in topology `{}` are taken; give each machine its own \
                 AQUEDUCT_NODE",
                member.node, member.topology
            ),
        ))
    }
}

impl MemberSlots for AdvisorySlots {
    fn acquire<'a>(&'a self, topology: &'a str, node: &'a str) -> LocalBoxFuture<'a, Result<Slot, Error>> {
        let member = Member { topology: topology.into(), node: node.into() };
        Box::pin(async move { self.lowest(&member).await })
    }
}

impl Member {
    async fn try_lock(&self, connection: &Connection, number: u32) -> Result<bool, Error> {
        self.ask(connection, TRY_LOCK, number).await
    }

    /// Hands a slot from one connection of ours to another, which waits in line for it before the first lets go.
    async fn hand_over(
        &self,
        from: &Connection,
        to: &Connection,
        number: u32,
        clock: &Clock,
    ) -> Result<(), Error> {
        let letting_go = async {
            clock.sleep(IN_LINE).await;
            self.ask(from, UNLOCK, number).await
        };
        let (locked, _unlocked) = futures::join!(self.ask(to, LOCK, number), letting_go);
        locked.map(drop)
    }

    async fn ask(&self, connection: &Connection, statement: &str, number: u32) -> Result<bool, Error> {
        let number = i64::from(number);
        let params: [&(dyn ToSql + Sync); 3] = [&&*self.topology, &&*self.node, &number];
        let asked = connection.client().query_one(statement, &params);
        let row = connection.within("lease a member name", limits::STATEMENT_WAIT_MAX, asked).await?;
        Ok(row.get(0))
    }
}

/// Holds a slot until dropped.
async fn keep(slots: AdvisorySlots, member: Member, number: u32, mut connection: Connection) {
    let mut backoff = Backoff::outage();
    let mut changes = slots.timescale.changes();
    loop {
        tokio::select! {
            () = slots.clock.sleep(LOOK_EVERY) => {}
            Ok(()) = changes.changed() => {}
        }
        if connection.is_outdated()
            && let Ok(next) = slots.timescale.connect().await
        {
            match member.hand_over(&connection, &next, number, &slots.clock).await {
                Ok(()) => connection = next,
                Err(error) => tracing::debug!(%error, "the member name stays where it was leased"),
            }
        }
        // A lock on a server that was demoted keeps nobody out: who asks for the name asks the primary.
        if connection.ping().await.is_ok() {
            continue;
        }
        loop {
            slots.clock.sleep(backoff.next_wait()).await;
            let Ok(again) = slots.timescale.connect().await else { continue };
            match member.try_lock(&again, number).await {
                Ok(true) => {
                    connection = again;
                    backoff.reset();
                    break;
                }
                Ok(false) => {
                    tracing::warn!(
                        event = event_ids::MEMBER_TAKEN,
                        node = &*member.node,
                        number,
                        "this member name is leased to somebody else"
                    );
                }
                Err(error) => tracing::debug!(%error, "the member name is not leased again yet"),
            }
        }
    }
}
