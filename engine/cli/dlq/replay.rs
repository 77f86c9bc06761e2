//! `aqueduct dlq replay FILE`.
//!
//! Letters that go the same way through the topology are run together, way after way, each as an application of its own
//! with a part of the topology. A way that had to leave letters out, because a claim that was lost left them half done, is
//! followed by another round. Every figure at the end is read from the letters' marks, not from what was believed.

use super::filter::Filter;
use super::rehearse;
use super::{WHAT, name_of};
use crate::environment::host_name;
use crate::exit::Exit;
use crate::output::{Format, counted, say};
use crate::{file, stores};
use anyhow::{Result, bail};
use aqueduct_actors::dlq::{self, Choice, Fates, Group, Lane, Replay, Taken};
use aqueduct_actors::timescale::{Connection, Timescale};
use aqueduct_engine::application::{Handle, RuntimeApplication, Settings};
use aqueduct_engine::{Claims, Clock, Outcome, Placement};
use aqueduct_stack::progress::{self, Progress};
use aqueduct_topology::model::{Kind, Topology};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it is looked how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An actor that waits so long is spoken of.
const WAITING_SAID_AFTER: Duration = Duration::from_secs(5);
/// An actor that waits so long ends the replay; it goes on from there when it is run again.
const WAITING_MAX: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file, with the rules of today.
    file: PathBuf,
    /// The letters of these ids; without any, all that the filters mean.
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<i64>,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Where they enter; unless said, who rejected them, and for a sink's letters the normalizer before it.
    #[arg(long, value_name = "ACTOR")]
    to: Option<String>,
    /// Those too that a replay rejected before.
    #[arg(long)]
    again: bool,
    /// Say what would happen, by running the records through the topology without any service; nothing is changed.
    #[arg(long)]
    dry_run: bool,
    /// The form of the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is replayed, and how.
pub(super) struct Work {
    pub(super) topology: Topology,
    pub(super) filter: dlq::Filter,
    pub(super) again: bool,
    pub(super) upto: i64,
    /// The claim it began with.
    pub(super) since: i64,
    pub(super) guarded: bool,
    pub(super) ways: Ways,
}

/// Letters by the way they go.
type Ways = Vec<(Group, Lane)>;

impl Work {
    pub(super) fn choice(&self) -> Choice<'_> {
        let Work { filter, again, upto, since, guarded, .. } = self;
        Choice { filter, again: *again, upto: *upto, since: *since, guarded: *guarded }
    }

    fn name(&self) -> &str {
        &self.topology.name.value
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    if arguments.dry_run {
        let work = stores::block_on(async {
            let connection = stores::database(&topology, WHAT).await?;
            prepare(arguments, (topology.clone(), i64::MAX), &connection).await
        })?;
        say_left_out(&work);
        return rehearse::run(&work, arguments.format);
    }
    stores::block_on(async {
        let connection = stores::database(&topology, WHAT).await?;
        let excluded = dlq::exclude_others(&connection, &Clock::system(), &topology.name.value).await;
        if !stores::answered(excluded)? {
            bail!(
                "another replay of topology `{}` is at work: wait until it has ended, or end it; what it has done is marked",
                topology.name.value
            );
        }
        let node: Arc<str> = host_name().into();
        let Some(database) = &topology.connections.timescale else {
            bail!("invariant: letters were asked for in the topology's database");
        };
        let timescale = Timescale::new(database, &topology.name.value, &node, Clock::system())?;
        let since = stores::answered(dlq::begin(&topology, &timescale, &node).await)?;
        let work = prepare(arguments, (topology, since), &connection).await?;
        say_left_out(&work);
        replay(arguments, &work, (&timescale, &node), &connection).await
    })
}

/// What there is to do; refuses before anything is done if some of it cannot be.
async fn prepare(
    arguments: &Arguments,
    (topology, since): (Topology, i64),
    connection: &Connection,
) -> Result<Work> {
    let filter = arguments.filter.of(&arguments.ids, &topology);
    let again = arguments.again || filter.states.contains(&dlq::Word::FailedAgain);
    let upto = stores::answered(dlq::newest(connection, &topology.name.value).await)?;
    let guarded = topology.actors.iter().any(|actor| matches!(actor.kind, Kind::TimescaleWriter(_)));
    let mut work = Work { topology, filter, again, upto, since, guarded, ways: Vec::new() };
    work.ways = ways(arguments, &work, connection).await?;
    Ok(work)
}

/// The ways of what is open at present.
async fn ways(arguments: &Arguments, work: &Work, connection: &Connection) -> Result<Ways> {
    let groups = stores::answered(dlq::groups(connection, &work.topology, work.choice()).await)?;
    let mut ways = Vec::new();
    let mut wrong = Vec::new();
    for group in groups {
        match group.lane(&work.topology, arguments.to.as_deref()) {
            Ok(lane) => ways.push((group, lane)),
            Err(why) if group.ready > 0 => {
                wrong.push(format!("{}: {why}", counted(group.ready as usize, "letter")));
            }
            Err(_) => {}
        }
    }
    if !wrong.is_empty() {
        return stores::wrong(format!("nothing was replayed; {}", wrong.join("; ")));
    }
    Ok(ways)
}

/// Why letters that are meant are not taken.
fn left_out(work: &Work) -> [(i64, &'static str); 3] {
    let sum = |pick: &dyn Fn(&(Group, Lane)) -> i64| work.ways.iter().map(pick).sum::<i64>();
    [
        (
            sum(&|(group, _)| group.unsettled),
            "not taken yet: some sink has not their record behind it; a node that runs will judge it",
        ),
        (sum(&|(group, _)| group.failed), "not taken: a replay rejected them before; --again takes them"),
        (
            sum(&|(group, lane)| if lane.single_row { 0 } else { group.unplaced }),
            "not taken: they do not tell which rows of their record they speak of; see `dlq show`",
        ),
    ]
}

fn say_left_out(work: &Work) {
    for (letters, why) in left_out(work).iter().filter(|(letters, _)| *letters > 0) {
        say!("{} {why}", counted(*letters as usize, "letter"));
    }
}

/// How many letters will be taken.
pub(super) fn total(work: &Work) -> u64 {
    let taken = |(group, lane): &(Group, Lane)| {
        (group.ready - if lane.single_row { 0 } else { group.unplaced }).max(0) as u64
    };
    work.ways.iter().map(taken).sum()
}

async fn replay(
    arguments: &Arguments,
    work: &Work,
    place: (&Timescale, &Arc<str>),
    connection: &Connection,
) -> Result<Exit> {
    let bars = progress::on_stderr();
    let mut sum = Fates::default();
    let mut again;
    let mut chosen = &work.ways;
    let ended = loop {
        let (round, ended) = one_round((work, chosen), place, connection, &*bars).await?;
        let left_before = if sum == Fates::default() { i64::MAX } else { sum.left };
        sum.written += round.written;
        sum.filtered += round.filtered;
        sum.failed += round.failed;
        // Those of the last round were taken again in this one.
        sum.left = round.left;
        if ended.is_some() || sum.left == 0 {
            break ended;
        }
        if sum.left >= left_before {
            break Some((Exit::Failed, "letters stayed half done".to_owned()));
        }
        again = ways(arguments, work, connection).await?;
        chosen = &again;
    };
    let moved = stores::answered(dlq::moved(connection, work.name(), work.upto, work.since).await)?;
    print(work, sum, moved, arguments.format)?;
    if let Some((exit, why)) = ended {
        say!("ended early: {why}; what is done is marked: run it again, and it goes on from there");
        return Ok(exit);
    }
    Ok(Exit::Ok)
}

/// Runs the letters of every way; what became of them, and why it ended, if that was before the end.
async fn one_round(
    (work, ways): (&Work, &Ways),
    place: (&Timescale, &Arc<str>),
    connection: &Connection,
    bars: &dyn Progress,
) -> Result<(Fates, Option<(Exit, String)>)> {
    let mut sum = Fates::default();
    for (group, lane) in ways {
        let mut after = 0;
        loop {
            let taking = dlq::take(connection, &work.topology, work.choice(), (group, lane), after).await;
            let letters = stores::answered(taking)?;
            let Some(last) = letters.keys().next_back().copied() else { break };
            let ids: Vec<i64> = letters.keys().copied().collect();
            let (ended, half_done) =
                run_once(work, (group, lane), letters, place, (connection, bars)).await?;
            // What was rolled back by a database that went away shows in the marks, whatever the run believed.
            let fates = stores::answered(dlq::fates(connection, work.name(), &ids, work.since).await)?;
            sum.written += fates.written;
            sum.filtered += fates.filtered;
            sum.failed += fates.failed;
            sum.left += fates.left;
            let stopped = (fates.left > half_done).then(|| (Exit::Failed, "it was told to stop".to_owned()));
            if let Some(ended) = ended.or(stopped) {
                return Ok((sum, Some(ended)));
            }
            after = last;
        }
    }
    Ok((sum, None))
}

/// Runs `letters` to their end; gives the exit and why, if it ended before, and how many it had to leave out.
async fn run_once(
    work: &Work,
    (group, lane): (&Group, &Lane),
    letters: BTreeMap<i64, Taken>,
    (timescale, node): (&Timescale, &Arc<str>),
    (connection, bars): (&Connection, &dyn Progress),
) -> Result<(Option<(Exit, String)>, i64)> {
    let ids: Vec<i64> = letters.keys().copied().collect();
    if !lane.topology.actors.iter().any(|actor| actor.kind.is_sink()) {
        stores::answered(dlq::finish(connection, work.name(), &ids, &lane.deciding).await)?;
        return Ok((None, 0));
    }
    let (claims, clock) = (Claims::default(), Clock::system());
    let count = letters.len() as u64;
    let replay = Replay::new(
        &work.topology,
        (lane.clone(), &group.source),
        (letters, work.since),
        (timescale.clone(), node.clone()),
        claims.clone(),
    );
    let factories = replay.clone();
    let application = RuntimeApplication::builder(replay.topology())
        .settings(Settings { node: node.clone(), signals: true, ..Settings::default() })
        .catalog(Box::new(move |actor| factories.factory(actor)))
        .offsets(replay.offsets())
        .placement(Placement::CurrentThread)
        .clock(clock.clone())
        .claims(claims)
        .build()?;
    let gave_up = Arc::new(AtomicBool::new(false));
    let task = format!("letters of {}", name_of(&work.topology, &group.actor));
    let outcome = {
        let handle = application.handle();
        let watching = watch(handle, clock, gave_up.clone(), (&task, count, bars));
        let running = application.run();
        futures::pin_mut!(watching, running);
        // The watch never ends before the run.
        match futures::future::select(running, watching).await {
            futures::future::Either::Left((outcome, _)) => outcome,
            futures::future::Either::Right(((), running)) => running.await,
        }
    };
    bars.finish(&task, &counted(count as usize, "letter"));
    Ok((early_end(&outcome, gave_up.load(Ordering::Relaxed)), replay.half_done()))
}

fn early_end(outcome: &Outcome, gave_up: bool) -> Option<(Exit, String)> {
    let reasons = outcome.reasons.join("; ");
    if gave_up {
        return Some((Exit::Unavailable, format!("something was away for {} s", WAITING_MAX.as_secs())));
    }
    (outcome.exit_code != 0).then_some((Exit::Runtime(outcome.exit_code), reasons))
}

/// Says how far it has come and who waits; ends the run when all is done, or somebody waits too long.
async fn watch(
    handle: Handle,
    clock: Clock,
    gave_up: Arc<AtomicBool>,
    (task, total, bars): (&str, u64, &dyn Progress),
) {
    handle.drain_when_idle(Duration::ZERO).await;
    let mut waiting_since = None;
    let mut said = String::new();
    loop {
        clock.sleep(LOOK_EVERY).await;
        let totals = handle.registry().ledger().totals();
        let done = totals.written + totals.dead_lettered + totals.filtered;
        bars.step(task, done.min(total), total, &format!("{} rejected again", totals.dead_lettered));
        let waiting = handle.registry().not_ready();
        let Some(one) = waiting.iter().find(|one| one.state == "waiting") else {
            waiting_since = None;
            continue;
        };
        let waits = clock.now().duration_since(*waiting_since.get_or_insert_with(|| clock.now()));
        let words = format!("{} waits: {}", one.actor, one.reason);
        if waits >= WAITING_SAID_AFTER && words != said {
            bars.note(&words);
            said = words;
        }
        if waits >= WAITING_MAX {
            gave_up.store(true, Ordering::Relaxed);
            handle.abort().await;
            return;
        }
    }
}

fn print(work: &Work, fates: Fates, moved: i64, format: Format) -> Result<()> {
    let taken = fates.written + fates.filtered + fates.failed + fates.left;
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let [unsettled, failed_before, unplaced] = left_out(work).map(|(letters, _)| letters);
            let json: Value = json!({
                "taken": taken, "written": fates.written, "filtered": fates.filtered, "failed_again": fates.failed,
                "left": fates.left, "refused_rows": moved,
                "not_taken": { "unsettled": unsettled, "failed_before": failed_before, "unplaced": unplaced },
            });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => {
            writeln!(
                out,
                "replayed {}: {} written, {} filtered, {} failed again, {} left",
                counted(taken as usize, "letter"),
                fates.written,
                fates.filtered,
                fates.failed,
                fates.left
            )?;
            if moved > 0 {
                writeln!(out, "sinks refused {}: letters of their own", counted(moved as usize, "row"))?;
            }
        }
    }
    Ok(())
}
