//! `drill failover`: one of two regions is lost while rows are written, and the other goes on.
//!
//! Two regions are played on one machine (see `regions`): node, database, Redis and broker in each, a third broker as
//! witness. Whoever is lost is killed with -9, or cut off from the rest (`--isolate`). The drill then does what the runbook
//! tells an operator: looks at what the survivor lacks, promotes it or leaves it, waits for rows, lets the lost region back
//! as a follower. Measured: how long no new row was to be seen (RTO), how many acknowledged rows the survivor did not have
//! (RPO), and whether all is there once in the end, in both regions and in the cache.

mod judge;
mod lag;
mod regions;
mod watch;

use super::Common;
use super::load::{Load, Record};
use super::report::{Bound, Report};
use super::stage::{Node, Stage, wait};
use crate::environment::host_name;
use anyhow::{Context, Result, bail};
use aqueduct_engine::clock::{Clock, Instant};
use aqueduct_stack::{Part, Reader};
use regions::{Links, Loss, PARTS, Region};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watch::{Offsets, Watch, outage};

/// How the drill is carried out.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The region that is lost.
    #[arg(long, value_name = "REGION", value_enum, default_value_t)]
    kill: Region,
    /// Cut the region off in place of killing it: its database and Redis live on alone, its node and broker freeze, and the
    /// node goes on later as if nothing had been.
    #[arg(long)]
    isolate: bool,
    /// Replicate asynchronously, to a standby that has stopped hearing the primary before that is lost.
    #[arg(long)]
    asynchronous: bool,
    /// Promote a standby although it lacks rows that were acknowledged.
    #[arg(long)]
    accept_loss: bool,
    /// Records a second.
    #[arg(long, value_name = "COUNT", default_value_t = RATE, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    #[command(flatten)]
    common: Common,
}

impl Default for Arguments {
    fn default() -> Self {
        let (kill, common) = (Region::default(), Common::default());
        Self { kill, isolate: false, asynchronous: false, accept_loss: false, rate: RATE, common }
    }
}

/// Records a second, unless said.
const RATE: u64 = 1_000;
const TOPOLOGY: &str = "drill-failover";
const PARTITIONS: u32 = 4;
/// What must not be passed.
const RTO_SECONDS_MAX: f64 = 15.0;
/// No new row for so long is a standstill, seconds; writers commit many times a second.
const STANDSTILL_SECONDS: f64 = 2.0;
/// Rows flow for so long before the loss, and from the takeover on.
const CALM: Duration = Duration::from_secs(4);
/// A standby that is held back lacks so many records at least.
const LACKING: i64 = 500;
/// A standby that has not received so much of the primary's log is named.
const LAGS_BYTES: u64 = 64 << 10;
/// How long anything may take to come.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a node that comes back too early is looked at.
const ZOMBIE: Duration = Duration::from_secs(6);
/// How long a standby may take to replay what it has received.
const REPLAYED_WITHIN: Duration = Duration::from_secs(5);

/// Rows with a number, and a cache of the newest of each key.
const TEXT: &str = r#"
topology: drill-failover
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  redis:     { url: "${REDIS_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields: { ts: { type: timestamp, path: /ts, unit: ms }, id: { type: int64, path: /id }, k: { type: text, path: /k, max_bytes: 24 } }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 2000, interval: 50ms } }
  cache:   { kind: redis_cache, from: trades, key: "drill:{k}", value: [ts, id], order_by: ts, policy: best_effort }
"#;

/// Fifty keys are written all the time, and some once only: what a cache has lost of those, no later row makes good.
fn key(id: u64) -> String {
    if id.is_multiple_of(97) { format!("once-{id}") } else { format!("K{:02}", id % 50) }
}

impl super::Drill for Arguments {
    fn name(&self) -> &'static str {
        "failover"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn carry_out(&self) -> Result<Report> {
        let mut stage = Stage::of_parts(self.name(), self.common.i_know, &PARTS, PARTITIONS)?;
        let url = regions::database_url(&stage);
        stage.lead_to(url);
        let report = Report::begin(self.name(), TOPOLOGY, &host_name());
        Ok(report.of(|report| {
            let ended = carry_out(self, &stage, report);
            // The links have ended with the drill: who leads would wait for its follower for ever. One of the two does not.
            for region in [Region::A, Region::B] {
                let _ = stage.stack.commit_alone(region.database());
            }
            ended
        }))
    }
}

fn carry_out(arguments: &Arguments, stage: &Stage, report: &mut Report) -> Result<()> {
    let drill = Drill::begin(arguments, stage, report)?;
    let (lost, other) = (arguments.kill, arguments.kill.other());
    let load = Load::start(stage, arguments.rate, |number, _| Record::numbered(number, key(number)))?;
    let mut nodes = Nodes { lost: Some(drill.node(lost)?), other: drill.node(other)? };
    drill.before.await_total(1, PATIENCE)?;
    std::thread::sleep(CALM);
    report.happens("both regions' nodes write");
    if arguments.asynchronous {
        drill.hold_back(report)?;
    }
    let began = drill.lose(&mut nodes, report)?;
    let kept = drill.take_over(began, report)?;
    let taken = drill.after.await_all(&kept, began, PATIENCE)?;
    report.happens(format!("{} writes rows of every partition", other.name()));
    std::thread::sleep(CALM);
    let rto = outage(&drill.after.changes_since(began), STANDSTILL_SECONDS).context("no new row came")?;
    report.figure("rto_seconds", rto, "s", Bound::AtMost(RTO_SECONDS_MAX));
    report.figure("takeover_seconds", taken, "s", Bound::Free);
    drill.come_back(&mut nodes, report)?;
    std::thread::sleep(CALM);
    let sent = load.finish()?;
    drill.after.await_total(sent.cast_signed(), PATIENCE)?;
    report.happens(format!("all of {sent} records are written"));
    judge::judge(&drill, nodes, sent, report)
}

/// The nodes of the two regions.
struct Nodes {
    /// Of the one that is lost; none while it is.
    lost: Option<Node>,
    other: Node,
}

/// The two regions, and what is seen of them.
struct Drill<'a> {
    arguments: &'a Arguments,
    stage: &'a Stage,
    file: PathBuf,
    links: Arc<Links>,
    /// The primary of the beginning.
    before: Watch,
    /// The database of the region that stays, which leads in the end.
    after: Watch,
    clock: Clock,
    _loss: Loss,
}

impl<'a> Drill<'a> {
    /// Both databases with the same tables, replicating.
    fn begin(arguments: &'a Arguments, stage: &'a Stage, report: &mut Report) -> Result<Self> {
        let links = Arc::new(Links::lay(stage)?);
        let file = stage.prepare(TEXT)?;
        if !arguments.asynchronous {
            stage.stack.commit_synchronously(Part::Timescale)?;
        }
        let how = if arguments.asynchronous { "asynchronously" } else { "synchronously" };
        report.happens(format!("{} replicates {how} to {}", Region::A.name(), Region::B.name()));
        let reader = |part| stage.stack.reader(part, stage.database_name());
        let before = Watch::start(reader(Part::Timescale)?);
        let after = Watch::start(reader(arguments.kill.other().database())?);
        let loss = Loss::begin(links.clone());
        Ok(Self { arguments, stage, file, links, before, after, clock: Clock::system(), _loss: loss })
    }

    fn reader(&self, region: Region) -> Result<Reader> {
        Ok(self.stage.stack.reader(region.database(), self.stage.database_name())?)
    }

    fn node(&self, region: Region) -> Result<Node> {
        self.stage.node_with(&self.file, region.name(), &self.links.variables(self.stage, region))
    }

    fn file(&self) -> &Path {
        &self.file
    }

    /// The standby hears no more of the primary, which goes on.
    fn hold_back(&self, report: &mut Report) -> Result<()> {
        self.links.hold_replication()?;
        let standby = self.reader(Region::B)?;
        let held = Offsets::read(&standby)?;
        report.happens("the standby hears nothing any more");
        self.before.await_total(held.total() + LACKING, PATIENCE)
    }

    /// The region is gone when this returns; since when.
    fn lose(&self, nodes: &mut Nodes, report: &mut Report) -> Result<Instant> {
        let (lost, stack) = (self.arguments.kill, &self.stage.stack);
        let lag = lag::bytes(&self.reader(Region::A)?, &self.reader(Region::B)?)?;
        if lag > LAGS_BYTES {
            report.happens(format!("the standby is {lag} bytes of the primary's log behind"));
        }
        report.figure("replication_lag_bytes", lag as f64, "B", Bound::Free);
        let began = self.clock.now();
        // Silence first: who loses a region is told nothing by it.
        self.links.cut()?;
        if self.arguments.isolate {
            nodes.lost.as_ref().map_or(Ok(()), Node::freeze)?;
            stack.pause(lost.broker())?;
            report.happens(format!("{} is cut off", lost.name()));
            return Ok(began);
        }
        std::thread::scope(|scope| {
            let kills = lost.parts().map(|part| scope.spawn(move || stack.kill(part)));
            nodes.lost = None;
            let join = |kill: std::thread::ScopedJoinHandle<'_, _>| {
                kill.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            kills.into_iter().try_for_each(join)
        })?;
        report.happens(format!("{} is killed", lost.name()));
        Ok(began)
    }

    /// What an operator decides and does; how far the rows of the survivor were when it began to lead.
    fn take_over(&self, began: Instant, report: &mut Report) -> Result<Offsets> {
        let stack = &self.stage.stack;
        let acknowledged = self.before.last();
        if self.arguments.kill == Region::B {
            stack.commit_alone(Part::Timescale)?;
            report.happens("the primary is told to commit alone");
            let kept = Offsets::read(&self.reader(Region::A)?)?;
            report.figure("rpo_rows", acknowledged.lacking(&kept) as f64, "rows", Bound::Exactly(0.0));
            self.after.await_total(kept.total() + 1, PATIENCE)?;
            report.happens("new rows are seen in region-a");
            return Ok(kept);
        }
        let kept = self.replayed()?;
        let lacking = acknowledged.lacking(&kept);
        if lacking > 0 && !self.arguments.accept_loss {
            report.figure("rpo_rows", lacking as f64, "rows", Bound::Exactly(0.0));
            self.refuse(lacking, report)?;
        }
        stack.promote(Part::Standby)?;
        stack.promote(Part::Replica)?;
        let seconds = self.clock.now().duration_since(began).as_secs_f64();
        report.happens("database and Redis of region-b are promoted");
        report.figure("promoted_after_seconds", seconds, "s", Bound::Free);
        report.figure("rpo_rows", lacking as f64, "rows", Bound::Exactly(0.0));
        self.after.await_total(kept.total() + 1, PATIENCE)?;
        report.happens("new rows are seen in region-b");
        Ok(kept)
    }

    /// What the standby has, once it has replayed what it received.
    fn replayed(&self) -> Result<Offsets> {
        let standby = self.reader(Region::B)?;
        // A record that came in half is received and never replayed: then this is all there is.
        wait(REPLAYED_WITHIN, || Ok((standby.text(REPLAYED)?.as_deref() == Some("true")).then_some(())))?;
        Offsets::read(&standby)
    }

    /// The standby stays what it is, and the lost primary is brought back as it was.
    fn refuse(&self, lacking: i64, report: &mut Report) -> Result<()> {
        report.happens(format!("the standby lacks {lacking} acknowledged rows and is not promoted"));
        self.stage.stack.start(Part::Timescale)?;
        report.happens("the primary of region-a is back as it was");
        bail!(
            "the standby of region-b lacks {lacking} rows that region-a had acknowledged, so it was not promoted: bring \
             region-a back, or promote it with --accept-loss; the rows are then read from Kafka again as far as that goes back"
        )
    }

    /// The lost region follows the other, and its node goes on.
    fn come_back(&self, nodes: &mut Nodes, report: &mut Report) -> Result<()> {
        let (lost, stack) = (self.arguments.kill, &self.stage.stack);
        if self.arguments.isolate {
            self.wake_the_zombie(nodes, report)?;
        }
        let began = self.clock.now();
        self.links.mend()?;
        self.links.follow(self.stage, lost)?;
        report.happens(format!("database and Redis of {} follow", lost.name()));
        if self.arguments.isolate {
            stack.resume(lost.broker())?;
        } else {
            stack.start(lost.broker())?;
            nodes.lost = Some(self.node(lost)?);
        }
        report.happens(format!("node and broker of {} are back", lost.name()));
        if !self.arguments.asynchronous {
            stack.commit_synchronously(lost.other().database())?;
            report.happens("replication is synchronous again");
        }
        let node = nodes.lost.as_ref().context("the lost region's node is back")?;
        let before = written(node)?;
        let writes = wait(PATIENCE, || Ok((written(node)? > before).then_some(())))?;
        writes.with_context(|| format!("the node of {} wrote nothing any more", lost.name()))?;
        report.happens(format!("the node of {} writes rows again", lost.name()));
        let seconds = self.clock.now().duration_since(began).as_secs_f64();
        report.figure("return_seconds", seconds, "s", Bound::Free);
        Ok(())
    }

    /// The node of a region that was cut off goes on while its old primary still takes what it says: nothing of that may
    /// ever be acknowledged.
    fn wake_the_zombie(&self, nodes: &Nodes, report: &mut Report) -> Result<()> {
        let former = Offsets::read(&self.reader(self.arguments.kill)?)?;
        nodes.lost.as_ref().map_or(Ok(()), Node::thaw)?;
        report.happens("the node that was cut off goes on, its database alone beside it");
        let cut_off = self.reader(self.arguments.kill)?;
        let mut waiting = 0.0_f64;
        wait(ZOMBIE, || -> Result<Option<()>> {
            let sessions = cut_off.text(WAITING)?.and_then(|count| count.parse().ok());
            waiting = waiting.max(sessions.unwrap_or(0.0));
            Ok(None)
        })?;
        let written = Offsets::read(&cut_off)?.lacking(&former);
        report.figure("zombie_commits_waiting_max", waiting, "commits", Bound::Free);
        report.figure("zombie_rows_acknowledged", written as f64, "rows", Bound::Exactly(0.0));
        Ok(())
    }
}

/// How many records a node has written since it was started.
fn written(node: &Node) -> Result<f64> {
    let metrics = node.metrics()?;
    let is_written =
        |line: &&str| line.starts_with("aqueduct_records_total{") && line.contains("fate=\"written\"");
    let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    Ok(metrics.lines().filter(is_written).filter_map(value).sum())
}

/// Commits that are not answered because no follower has them.
const WAITING: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
const REPLAYED: &str =
    "SELECT (pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn())::text";
