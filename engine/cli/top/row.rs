//! The actors as lines of a table: what two looks at a node say together.

use super::facts::{Actor, Facts};

/// A link this full makes its reader a suspect: as `/metrics` has it.
const BOTTLENECK_FILL_RATIO: f64 = 0.75;

/// One actor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) ready: bool,
    pub(super) reason: String,
    pub(super) since_us: i64,
    pub(super) restarts: u64,
    /// Records a second into it; `None` = not known.
    pub(super) read: Option<f64>,
    /// Records a second out of it.
    pub(super) written: Option<f64>,
    /// The fullest link into it, 0 to 1.
    pub(super) fill: Option<f64>,
    /// The share of the time that full outputs held it up, 0 to 1.
    pub(super) blocked: f64,
    /// Records that sinks have not, if it is a source.
    pub(super) lag: Option<i64>,
    /// The age of the first of them.
    pub(super) lag_seconds: f64,
    pub(super) dead_letters: u64,
    /// The others wait for it.
    pub(super) bottleneck: bool,
}

/// A line for each actor, in the node's order.
pub(super) fn rows(before: Option<&Facts>, now: &Facts) -> Vec<Row> {
    let before =
        before.filter(|before| before.node.started_us == now.node.started_us && before.at_us < now.at_us);
    now.actors.iter().map(|actor| row(before, now, actor)).collect()
}

/// Records a second that all sources read, and that became durable.
pub(super) fn totals(before: Option<&Facts>, now: &Facts) -> Option<(f64, f64)> {
    let before = before.filter(|before| before.node.started_us == now.node.started_us)?;
    let sum = |facts: &Facts| {
        facts.ledger.iter().fold((0, 0), |(read, written), line| (read + line.read, written + line.written))
    };
    let (was, is, seconds) = (sum(before), sum(now), seconds(before, now)?);
    Some((per_second(was.0, is.0, seconds), per_second(was.1, is.1, seconds)))
}

fn row(before: Option<&Facts>, now: &Facts, actor: &Actor) -> Row {
    let was = before.and_then(|before| before.actors.iter().find(|was| was.name == actor.name));
    let rate = |of: &dyn Fn(&Facts) -> Option<u64>| {
        let before = before?;
        Some(per_second(of(before)?, of(now)?, seconds(before, now)?))
    };
    let source = actor.role == "source";
    let blocked = before.zip(was).and_then(|(before, was)| {
        Some((actor.blocked_seconds - was.blocked_seconds) / seconds(before, now)?)
    });
    Row {
        name: actor.name.clone(),
        kind: actor.kind.clone(),
        state: actor.state.clone(),
        ready: actor.ready,
        reason: actor.reason.clone().unwrap_or_default(),
        since_us: actor.since_us,
        restarts: actor.restarts,
        read: rate(&|facts| if source { read_by(facts, &actor.id) } else { into(facts, &actor.name) }),
        written: rate(&|facts| {
            if source { written_of(facts, &actor.id) } else { out_of(facts, &actor.name) }
        }),
        fill: actor.inputs.iter().map(|input| input.ratio).reduce(f64::max),
        blocked: blocked.unwrap_or_default().clamp(0.0, 1.0),
        lag: source.then(|| actor.lag.iter().map(|lag| lag.records).sum()),
        lag_seconds: actor.lag.iter().map(|lag| lag.seconds).fold(0.0, f64::max),
        dead_letters: actor.dead_letters.values().sum(),
        bottleneck: is_bottleneck(now, actor),
    }
}

/// Its inputs are full while nobody it feeds is.
fn is_bottleneck(facts: &Facts, actor: &Actor) -> bool {
    let is_full = |ratio: f64| ratio >= BOTTLENECK_FILL_RATIO;
    let mut fed =
        facts.actors.iter().flat_map(|reader| &reader.inputs).filter(|link| link.from == actor.name);
    actor.inputs.iter().any(|link| is_full(link.ratio)) && !fed.any(|link| is_full(link.ratio))
}

/// The lines of one source; without one it has read nothing.
fn read_by(facts: &Facts, source: &str) -> Option<u64> {
    Some(facts.ledger.iter().filter(|line| line.source == source).map(|line| line.read).sum())
}

fn written_of(facts: &Facts, source: &str) -> Option<u64> {
    Some(facts.ledger.iter().filter(|line| line.source == source).map(|line| line.written).sum())
}

fn into(facts: &Facts, actor: &str) -> Option<u64> {
    let actor = facts.actors.iter().find(|other| other.name == actor)?;
    let counts: Option<Vec<u64>> = actor.inputs.iter().map(|input| input.records).collect();
    counts.filter(|counts| !counts.is_empty()).map(|counts| counts.iter().sum())
}

/// Every reader is handed the same: whoever has had most says how much. The clones of one share it.
fn out_of(facts: &Facts, actor: &str) -> Option<u64> {
    let mut readers: std::collections::BTreeMap<&str, u64> = Default::default();
    for reader in &facts.actors {
        for input in reader.inputs.iter().filter(|input| input.from == actor) {
            let family = reader.name.split('#').next().unwrap_or_default();
            *readers.entry(family).or_default() += input.records?;
        }
    }
    readers.into_values().max()
}

fn seconds(before: &Facts, now: &Facts) -> Option<f64> {
    let seconds = (now.at_us - before.at_us) as f64 / 1e6;
    (seconds > 0.0).then_some(seconds)
}

/// A counter that fell began anew.
fn per_second(was: u64, is: u64, seconds: f64) -> f64 {
    is.saturating_sub(was) as f64 / seconds
}
