//! `backfill --dry-run`: the records are read and judged, and nothing is kept.

use super::Arguments;
use super::prepare::Prepared;
use super::watch::{WAITING_MAX, Watch};
use crate::stores;
use anyhow::{Result, bail};
use aqueduct_actors::backfill::{self, Backfill, Records, Throttle};
use aqueduct_actors::timescale::{Connection, Timescale};
use aqueduct_engine::application::{RuntimeApplication, Settings};
use aqueduct_engine::{Claims, Clock, Placement};
use aqueduct_stack::progress;
use aqueduct_topology::model::Topology;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What would come of it.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Fates of the records.
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) filtered: u64,
    pub(super) dead_lettered: u64,
    /// Rows that would be added.
    pub(super) added: u64,
    /// Rows that are there, or come twice.
    pub(super) there: u64,
    /// Letters by actor and reason.
    pub(super) letters: BTreeMap<(String, String), u64>,
}

pub(super) async fn judge(
    arguments: &Arguments,
    prepared: &Prepared<'_>,
    topology: &Topology,
    connection: &Connection,
) -> Result<Judgement> {
    let Prepared { wish, parts, records, rows_there, begun, .. } = prepared;
    let entry = match begun {
        Some(entry) => entry.clone(),
        None => stores::answered(backfill::as_begun(connection, wish, parts.clone(), *rows_there).await)?,
    };
    let read: Vec<&str> = entry.parts.iter().map(|part| part.source.as_str()).collect();
    let lane = match wish.way.lane(entry.id, &read, matches!(records, Records::File(_))) {
        Ok(lane) => lane,
        Err(why) => return stores::wrong(why),
    };
    let Some(database) = &topology.connections.timescale else {
        bail!("invariant: the table lies in the topology's database");
    };
    let (clock, claims) = (Clock::system(), Claims::default());
    let timescale = Timescale::new(database, &topology.name.value, wish.node, clock.clone())?;
    let total = entry.parts.iter().map(backfill::Part::offsets).sum::<i64>();
    let throttle = Arc::new(Throttle::new(arguments.pace.rate));
    let made = Backfill::new(
        topology,
        (lane, entry),
        (records.clone(), wish.time_column.clone()),
        throttle.clone(),
        (timescale, wish.node.into(), claims.clone()),
    )?;
    let (made, judged) = made.judged();
    let factories = made.clone();
    let application = RuntimeApplication::builder(made.topology())
        .settings(Settings { node: wish.node.into(), signals: true, ..Settings::default() })
        .catalog(Box::new(move |actor| factories.factory(actor)))
        .offsets(made.offsets())
        .placement(Placement::CurrentThread)
        .clock(clock.clone())
        .claims(claims)
        .build()?;
    let bars = progress::on_stderr();
    let task = format!("judge what would fill {}", wish.way.table());
    let watch = Watch::new(application.handle(), clock, throttle, task, total, &*bars);
    let outcome = {
        let (watching, running) = (watch.progress(), application.run());
        futures::pin_mut!(watching, running);
        match futures::future::select(running, watching).await {
            futures::future::Either::Left((outcome, _)) => outcome,
            futures::future::Either::Right((_, running)) => running.await,
        }
    };
    if watch.gave_up() {
        let why = format!("something was away for {} s; nothing was changed", WAITING_MAX.as_secs());
        return Err(aqueduct_engine::Error::new(aqueduct_engine::Class::Transient, why).into());
    }
    if outcome.exit_code != 0 {
        bail!("the records cannot be judged: {}", outcome.reasons.join("; "));
    }
    let sum =
        |pick: fn(&aqueduct_engine::ledger::LedgerRow) -> u64| outcome.ledger.iter().map(pick).sum::<u64>();
    Ok(Judgement {
        read: sum(|row| row.read),
        written: sum(|row| row.written),
        filtered: sum(|row| row.filtered),
        dead_lettered: sum(|row| row.dead_lettered),
        added: judged.counts.added(),
        there: judged.counts.there(),
        letters: judged.letters(),
    })
}
