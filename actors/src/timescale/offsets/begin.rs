//! Where a topic begins: an offset of every sink in every partition that the topic had when its source first came to it.
//!
//! Written once, in one transaction, by whichever node comes first, before anything is claimed. What `start` of the file
//! means is thereby said once for all partitions, at one moment; a partition without an offset is one that the topic has
//! grown by, whichever node asks, and however often it was restarted since.

use super::{BEGIN_CLAIM, LOCK_TOPOLOGY, Refused, Row, TimescaleOffsets, execute};
use crate::timescale::connect::Connection;
use crate::timescale::limits;
use aqueduct_engine::{ClaimRequest, Class, Error};
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;

impl TimescaleOffsets {
    pub(super) async fn has_begun_now(&self, source: &str, topic: &str) -> Result<bool, Error> {
        let connection = self.timescale.checkout().await?;
        self.find_beginning(&connection, source, topic).await
    }

    pub(super) async fn begin_now(
        &self,
        source: &str,
        topic: &str,
        starts: &BTreeMap<i32, i64>,
    ) -> Result<(), Error> {
        let connection = self.timescale.checkout().await?;
        let outcome = self.begin_within(&connection, source, topic, starts).await;
        if outcome.is_err() && !connection.is_broken() {
            // Its own failure shows as a broken connection.
            let _ = execute(&connection, "roll a beginning back", "ROLLBACK").await;
        }
        Ok(outcome?)
    }

    async fn begin_within(
        &self,
        connection: &Connection,
        source: &str,
        topic: &str,
        starts: &BTreeMap<i32, i64>,
    ) -> Result<(), Refused> {
        execute(connection, "begin a topic", BEGIN_CLAIM).await?;
        self.refuse_newer(connection).await?;
        self.query(connection, "serialize claims", LOCK_TOPOLOGY, &[&&*self.topology]).await?;
        // What a sink takes over from a former identity is its own, and hides behind nothing that is written here.
        self.adopt(connection).await?;
        self.refuse_taken_targets(connection, &[source].into()).await?;
        if !self.find_beginning(connection, source, topic).await? {
            let sinks = self.sinks_of(source)?;
            let ids: Vec<&str> = sinks.iter().map(|sink| &*sink.id).collect();
            let targets: Vec<&str> = sinks.iter().map(|sink| &*sink.target).collect();
            let required: Vec<bool> = sinks.iter().map(|sink| sink.required).collect();
            let partitions: Vec<i32> = starts.keys().copied().collect();
            let offsets: Vec<i64> = starts.values().copied().collect();
            let params: [&(dyn ToSql + Sync); 9] = [
                &&*self.topology,
                &&*self.node,
                &source,
                &topic,
                &ids,
                &targets,
                &required,
                &partitions,
                &offsets,
            ];
            self.query(connection, "store a beginning", STORE_BEGINNING, &params).await?;
        }
        let commit = connection.client().batch_execute("COMMIT");
        Ok(connection.within("commit a beginning", limits::COMMIT_WAIT_MAX, commit).await?)
    }

    /// A claim may take a partition without an offset for a new one only where the topic has offsets: what went away since
    /// it was begun, by a failover or somebody's hand, must begin again first.
    pub(super) async fn refuse_unbegun(
        &self,
        connection: &Connection,
        requests: &[ClaimRequest],
        rows: &[Vec<Row>],
    ) -> Result<(), Refused> {
        for (request, rows) in requests.iter().zip(rows).filter(|(request, _)| request.begun) {
            let (source, topic) = (&*request.key.source, &*request.key.topic);
            let sinks = self.sinks_of(source)?;
            let has_offset = rows.iter().any(|row| sinks.iter().any(|sink| *sink.id == *row.sink));
            if !has_offset && !self.find_beginning(connection, source, topic).await? {
                let message =
                    format!("the offsets of `{topic}` went away while it was claimed; asking again");
                return Err(Error::new(Class::Transient, message).into());
            }
        }
        Ok(())
    }

    async fn find_beginning(
        &self,
        connection: &Connection,
        source: &str,
        topic: &str,
    ) -> Result<bool, Error> {
        let sinks = self.sinks_of(source)?.iter();
        let ids: Vec<&str> =
            sinks.flat_map(|sink| [Some(&sink.id), sink.adopts.as_ref()]).flatten().map(|id| &**id).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &source, &topic, &ids];
        let found = self.query(connection, "see whether the topic has begun", HAS_BEGUN, &params).await?;
        Ok(!found.is_empty())
    }
}

const HAS_BEGUN: &str = "\
    SELECT FROM aqueduct.offsets WHERE topology = $1 AND input = $2 AND topic = $3 AND sink = ANY ($4::text[]) LIMIT 1";

/// Nobody's yet: no session has this name, and no claim this owner.
const STORE_BEGINNING: &str = "\
    INSERT INTO aqueduct.offsets \
        (topology, sink, input, topic, partition, epoch, owner, next_offset, target, required, node, session) \
    SELECT $1, s.sink, $3, $4, p.partition, 1, pg_catalog.gen_random_uuid(), p.next_offset, s.target, s.required, $2, \
           'unclaimed' \
    FROM ROWS FROM (pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::bool[])) \
         AS s(sink, target, required) \
    CROSS JOIN ROWS FROM (pg_catalog.unnest($8::int4[]), pg_catalog.unnest($9::int8[])) AS p(partition, next_offset) \
    ON CONFLICT (topology, sink, input, topic, partition) DO NOTHING";
