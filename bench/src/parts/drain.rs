//! Closed loop: a full topic is drained by each program in turn, and beside them the limits of the machine are taken.
//!
//! Programs alternate, so that a machine that grows slower favours none; medians and spread are over all rounds.

use super::watch::{self, Arrival, Drained};
use super::{Outcome, Spread};
use crate::limits::Reached;
use crate::programs::{Program, bound};
use crate::progress::say;
use crate::stage::Stage;
use crate::workload::{self, Load, Sinks, Work};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// One work with one set of sinks.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Which work.
    pub work: Work,
    /// Where the rows go.
    pub sinks: Sinks,
    /// Rows of each run.
    pub rows: u64,
    /// Whom we drained it with.
    pub programs: BTreeMap<Program, Outcome<Figures>>,
    /// What no program can pass.
    pub limits: Limits,
}

/// What one program reached.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Runs these are of.
    pub runs: usize,
    /// Rows a second.
    pub rows_per_second: Spread,
    /// CPU of the program for each row, microseconds.
    pub cpu_us: Spread,
    /// That of the database meanwhile; `None` where the server is the user's own.
    pub database_us: Option<Spread>,
    /// That of the broker.
    pub broker_us: Option<Spread>,
    /// That of Redis.
    pub cache_us: Option<Spread>,
    /// Peak memory, MiB.
    pub rss_peak_mib: Spread,
}

impl Figures {
    /// Of runs; `None` of none.
    pub fn of(runs: &[Drained]) -> Option<Self> {
        let each = |figure: fn(&Drained) -> f64| Spread::of(runs.iter().map(figure));
        let some = |figure: fn(&Drained) -> Option<f64>| Spread::of(runs.iter().filter_map(figure));
        Some(Self {
            runs: runs.len(),
            rows_per_second: each(Drained::rows_per_second)?,
            cpu_us: each(|run| run.program_us)?,
            database_us: some(|run| run.database_us),
            broker_us: some(|run| run.broker_us),
            cache_us: some(|run| run.cache_us),
            rss_peak_mib: each(|run| run.rss_peak_bytes as f64 / f64::from(1 << 20))?,
        })
    }
}

/// What no program of this kind can pass here.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Limits {
    /// Messages a second, taken in batches and dropped.
    pub consume_per_second: Option<Spread>,
    /// CPU of each, microseconds.
    pub consume_us: Option<Spread>,
    /// Rows a second by COPY from memory, over one connection.
    pub copy_per_second: Option<Spread>,
    /// The same over two.
    pub copy_by_two_per_second: Option<Spread>,
    /// Rows a second if all cores did nothing but what database, broker and cache need, and the engine cost nothing.
    pub cpu_bound_per_second: Option<f64>,
}

impl Comparison {
    /// What a program reached.
    pub fn figures(&self, program: Program) -> Option<&Figures> {
        self.programs.get(&program)?.figures()
    }

    /// The peer with the most rows a second.
    pub fn best_peer(&self) -> Option<(Program, &Figures)> {
        let measured = Program::PEERS.into_iter().filter_map(|peer| Some((peer, self.figures(peer)?)));
        measured.max_by(|(_, a), (_, b)| a.rows_per_second.median.total_cmp(&b.rows_per_second.median))
    }
}

/// What of the machine's cores is left for rows when servers alone are paid.
fn cpu_bound_per_second(engine: &Figures, cores: usize) -> Option<f64> {
    let servers_us = engine.database_us?.median + engine.broker_us?.median;
    let cache_us = engine.cache_us.map_or(0.0, |spread| spread.median);
    Some(cores as f64 * 1e6 / (servers_us + cache_us))
}

/// Drains `load` by each of `programs`, `runs` times in turn.
pub async fn compare(
    stage: &Stage,
    load: &Load,
    sinks: Sinks,
    programs: &[Program],
    runs: usize,
) -> Result<Comparison> {
    let mut drained: BTreeMap<Program, Vec<Drained>> = BTreeMap::new();
    let mut failed: BTreeMap<Program, String> = BTreeMap::new();
    let mut limits = Vec::new();
    let title = format!("{}, {}", load.work.title(), sinks.title());
    for program in programs {
        let cannot = program.cannot(load.work, sinks).map(str::to_owned);
        if let Some(why) = cannot.or_else(|| program.absent(&stage.dir)) {
            failed.insert(*program, why);
        }
    }
    for run in 1..=runs {
        for program in
            programs.iter().filter(|program| !failed.contains_key(program)).copied().collect::<Vec<_>>()
        {
            match once(stage, load, sinks, program).await {
                Ok(one) => {
                    say(&format!(
                        "{title}: {} {run}/{runs}: {:.0} rows/s, {:.2} us/row",
                        program.title(),
                        one.rows_per_second(),
                        one.program_us
                    ));
                    drained.entry(program).or_default().push(one);
                }
                Err(error) => {
                    say(&format!("{title}: {} failed: {error:#}", program.title()));
                    failed.insert(program, format!("{error:#}"));
                }
            }
        }
        limits.push(reach(stage, load).await?);
        say(&format!("{title}: limits {run}/{runs}: {}", limits_line(limits.last())));
    }
    let outcome = |program: Program| match failed.get(&program) {
        Some(why) => Outcome::not_run(why),
        None => match Figures::of(drained.get(&program).map_or(&[], Vec::as_slice)) {
            Some(figures) => Outcome::Measured(figures),
            None => Outcome::not_run("no run was asked for"),
        },
    };
    let programs = programs.iter().map(|program| (*program, outcome(*program))).collect();
    let mut comparison =
        Comparison { work: load.work, sinks, rows: load.rows, programs, limits: summed_up(&limits) };
    let cores = std::thread::available_parallelism()?.get();
    comparison.limits.cpu_bound_per_second =
        comparison.figures(Program::Aqueduct).and_then(|engine| cpu_bound_per_second(engine, cores));
    Ok(comparison)
}

/// One drain of `load`.
pub async fn once(stage: &Stage, load: &Load, sinks: Sinks, program: Program) -> Result<Drained> {
    workload::empty_table(&stage.client, load.work).await?;
    let task = stage.task(program.word(), load, sinks)?;
    let mut running = [program.start(stage, &task)?];
    watch::drain(stage, &mut running, &Arrival::Last(&load.last), load.rows).await
}

/// Consumer alone, COPY over one connection, over two.
struct Round {
    consume: Reached,
    copy: [Reached; 2],
}

fn limits_line(round: Option<&Round>) -> String {
    round.map_or_else(String::new, |round| {
        format!(
            "consumer alone {:.0} messages/s, COPY alone {:.0} rows/s, by two {:.0}",
            round.consume.per_second, round.copy[0].per_second, round.copy[1].per_second
        )
    })
}

async fn reach(stage: &Stage, load: &Load) -> Result<Round> {
    let partitions = load.partitions.to_string();
    let consume = ["consume", "--topic", &load.topic, "--partitions", &partitions];
    let consume = limit(stage, &consume, load.messages)?;
    let mut copy = Vec::new();
    for connections in ["1", "2"] {
        workload::empty_table(&stage.client, load.work).await?;
        copy.push(limit(
            stage,
            &["copy", "--work", load.work.name(), "--connections", connections],
            load.rows,
        )?);
    }
    Ok(Round { consume, copy: [copy[0], copy[1]] })
}

/// A limit is taken by this program in another process, so that its CPU is its own.
fn limit(stage: &Stage, arguments: &[&str], count: u64) -> Result<Reached> {
    let mut command = bound(std::env::current_exe()?);
    command.args(arguments).args(["--count", &count.to_string()]).envs(stage.stack.env());
    let output = command.stderr(std::process::Stdio::inherit()).output().context("start a limit")?;
    anyhow::ensure!(output.status.success(), "the limit `{}` failed: {}", arguments[0], output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn summed_up(rounds: &[Round]) -> Limits {
    let each = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    Limits {
        consume_per_second: each(|round| round.consume.per_second),
        consume_us: each(|round| round.consume.cpu_us),
        copy_per_second: each(|round| round.copy[0].per_second),
        copy_by_two_per_second: each(|round| round.copy[1].per_second),
        cpu_bound_per_second: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows_per_second: f64, database_us: Option<f64>) -> Drained {
        Drained {
            rows: 1000,
            seconds: 1000.0 / rows_per_second,
            program_us: 1.0,
            database_us,
            broker_us: Some(0.3),
            cache_us: Some(0.1),
            rss_peak_bytes: 1 << 20,
        }
    }

    #[test]
    fn the_cpu_bound_is_what_servers_leave() {
        let figures = Figures::of(&[run(100.0, Some(1.6)), run(300.0, Some(1.6)), run(200.0, Some(1.6))]);
        let figures = figures.expect("runs");
        assert_eq!(figures.rows_per_second.median.round(), 200.0);
        // Two cores, two microseconds a row.
        assert_eq!(cpu_bound_per_second(&figures, 2).map(f64::round), Some(1_000_000.0));
        let own_server = Figures::of(&[run(100.0, None)]).expect("a run");
        assert_eq!(cpu_bound_per_second(&own_server, 2), None);
    }

    #[test]
    fn the_best_peer_is_the_fastest_that_ran() {
        let measured =
            |rows| Figures::of(&[run(rows, None)]).map_or(Outcome::not_run("none"), Outcome::Measured);
        let comparison = Comparison {
            work: Work::Ticks,
            sinks: Sinks::Both,
            rows: 1000,
            programs: BTreeMap::from([
                (Program::Aqueduct, measured(900.0)),
                (Program::Telegraf, Outcome::not_run("not there")),
                (Program::Flink, measured(100.0)),
                (Program::Bytewax, measured(200.0)),
            ]),
            limits: Limits::default(),
        };
        assert_eq!(comparison.best_peer().map(|(peer, _)| peer), Some(Program::Bytewax));
    }
}
