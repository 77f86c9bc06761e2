//! The report for people: Markdown, and its charts.

use super::chart::{Bar, bars, line};
use super::goals::{Goal, Wanted};
use super::{Made, Report};
use crate::parts::drain::{Comparison, Figures};
use crate::parts::scale::Series;
use crate::parts::{Outcome, Spread};
use crate::programs::Program;
use serde::Serialize;
use std::fmt::Write;

/// The flame graph's file.
pub(super) const FLAME: &str = "profile.svg";

/// A picture of a report.
#[derive(Debug)]
pub(super) struct Chart {
    /// Its file, beside the page.
    pub(super) file: String,
    title: String,
    pub(super) svg: String,
}

/// All pictures that the figures give.
pub(super) fn charts(report: &Report) -> Vec<Chart> {
    let mut charts = Vec::new();
    for one in &report.drains {
        charts.push(drain_chart(one, "rows", "rows a second", |figures| figures.rows_per_second, 0));
        charts.push(drain_chart(
            one,
            "cpu",
            "CPU of the program for each row, microseconds",
            |figures| figures.cpu_us,
            2,
        ));
    }
    charts.extend(latency_chart(report));
    charts.extend(report.scale.iter().filter_map(scale_chart));
    charts
}

fn name_of<T: Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn drain_chart(
    one: &Comparison,
    word: &str,
    unit: &str,
    figure: fn(&Figures) -> Spread,
    digits: usize,
) -> Chart {
    let measured = one.programs.iter().filter_map(|(program, outcome)| Some((program, outcome.figures()?)));
    let all: Vec<Bar> = measured
        .map(|(program, figures)| {
            let spread = figure(figures);
            Bar {
                label: program.title().to_owned(),
                value: spread.median,
                spread: Some((spread.min, spread.max)),
                text: grouped(spread.median, digits),
                is_ours: *program == Program::Aqueduct,
            }
        })
        .collect();
    let title = format!("{}, {}", one.work.title(), one.sinks.title());
    let svg = bars(&title, unit, &all);
    Chart { file: format!("drain-{}-{}-{word}.svg", name_of(one.work), name_of(one.sinks)), title, svg }
}

fn latency_chart(report: &Report) -> Option<Chart> {
    let measured = report.steady.iter().filter_map(|(program, rate, outcome)| {
        let latency = outcome.figures()?.latency_ms;
        Some(Bar {
            label: format!("{}, {}/s", program.word(), grouped(*rate as f64, 0)),
            value: latency.p99,
            spread: Some((latency.p50, latency.p99)),
            text: format!("{:.1}", latency.p99),
            is_ours: *program == Program::Aqueduct,
        })
    });
    let all: Vec<Bar> = measured.collect();
    let title = "From due to visible in the table".to_owned();
    (!all.is_empty()).then(|| Chart {
        svg: bars(&title, "milliseconds, 99th percentile; the line begins at the median", &all),
        file: "latency.svg".to_owned(),
        title,
    })
}

fn scale_chart(series: &Series) -> Option<Chart> {
    let axis = series.axis;
    let points: Vec<(f64, f64)> =
        series.points.iter().filter_map(|point| Some((point.count as f64, point.cost_us(axis)?))).collect();
    let title = format!("CPU of the engine for each {}", axis.unit());
    (!points.is_empty()).then(|| Chart {
        svg: line(&title, "microseconds", axis.title(), &points),
        file: format!("scale-{}.svg", name_of(axis)),
        title: format!("{title} as {} grow", axis.title()),
    })
}

/// With commas between thousands.
fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let first = whole.len() % 3;
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && index % 3 == first && digit != '-' {
            out.push(',');
        }
        out.push(digit);
    }
    fraction.into_iter().for_each(|fraction| out.extend(['.'].into_iter().chain(fraction.chars())));
    out
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(String::new, |one| {
        format!(
            "{} ({} - {})",
            grouped(one.median, digits),
            grouped(one.min, digits),
            grouped(one.max, digits)
        )
    })
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |one| format!("{:.2}", one.median))
}

/// A reason in a cell of a table: what happened, and the first thing that the program itself said of it. All of it is in the
/// JSON.
fn cell(why: &str) -> String {
    let lines: Vec<&str> = why.lines().take(2).collect();
    lines.join("; ").replace('|', "\\|")
}

/// The whole page.
pub(super) fn whole(report: &Report, charts: &[Chart]) -> String {
    let mut out = format!("# Benchmark report\n\n{}\n\n", made(&report.made, report.seconds));
    out += &goals(&report.goals());
    if !report.drains.is_empty() {
        out += DRAINS;
        report.drains.iter().for_each(|one| out += &drain(one));
    }
    out += &steady(report);
    out += &kills(report);
    out += &outage(report);
    out += &scale(report);
    out += &nodes(report);
    match &report.profile {
        Some(Outcome::Measured(_)) => {
            let _ = write!(out, "## Profile of the engine\n\n![Flame graph]({FLAME})\n\n");
        }
        Some(Outcome::NotRun { not_run_here }) => {
            let _ = write!(out, "## Profile of the engine\n\nnot run here: {not_run_here}\n\n");
        }
        None => {}
    }
    if !charts.is_empty() {
        out += "## Charts\n\n";
        for chart in charts {
            let _ = write!(out, "![{}]({})\n\n", chart.title, chart.file);
        }
    }
    for (part, why) in &report.failures {
        let _ = write!(out, "**The part `{part}` failed:** {why}\n\n");
    }
    out
}

/// What a README shows of it.
pub(super) fn short(report: &Report) -> String {
    let mut out = format!("{}\n\n", made(&report.made, report.seconds));
    out += &goals(&report.goals());
    report.drains.iter().for_each(|one| out += &drain(one));
    out += &steady(report);
    out += &kills(report);
    out += &outage(report);
    out
}

fn made(made: &Made, seconds: f64) -> String {
    format!(
        "Made by `{}` with {}, {}, on {} cores of {} shared by everything, in {:.0} minutes.",
        made.command,
        made.version,
        made.at,
        made.cores,
        made.processor,
        (seconds / 60.0).ceil()
    )
}

fn goals(goals: &[Goal]) -> String {
    let mut out = String::from("| promised | wanted | measured | holds |\n|---|---|---|---|\n");
    for goal in goals {
        let wanted = match goal.wanted {
            Wanted::AtLeast(bound) => format!("at least {bound}"),
            Wanted::AtMost(bound) => format!("at most {bound}"),
        };
        let found = goal.found.map_or_else(|| "not measured".to_owned(), |found| format!("{found:.2}"));
        let holds = match goal.holds() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let _ = writeln!(out, "| {} | {wanted} | {found} | {holds} |", goal.what);
    }
    out + "\n"
}

const DRAINS: &str = "## Draining a full topic

From the first row that the table shows to the last, seen from outside, the same way for all; median (least - most). CPU is
for each row, in microseconds; the engine and the program by hand pay for their start and for what they read ahead of the first
row, peers from that row on.

";

fn drain(one: &Comparison) -> String {
    let mut out =
        format!("**{}, {}**: {} rows\n\n", one.work.title(), one.sinks.title(), grouped(one.rows as f64, 0));
    out += "| program | rows/s | CPU | of the database | of the broker | of Redis | peak RSS, MiB | runs |\n|---|---|---|---|---|---|---|---|\n";
    for (program, outcome) in &one.programs {
        let title = program.title();
        let _ = match outcome {
            Outcome::Measured(figures) => writeln!(
                out,
                "| {title} | {} | {} | {} | {} | {} | {:.0} | {} |",
                spread(Some(figures.rows_per_second), 0),
                spread(Some(figures.cpu_us), 2),
                median(figures.database_us),
                median(figures.broker_us),
                median(figures.cache_us),
                figures.rss_peak_mib.median,
                figures.runs
            ),
            Outcome::NotRun { not_run_here } => {
                writeln!(out, "| {title} | not run here: {} | | | | | | |", cell(not_run_here))
            }
        };
    }
    let limits = &one.limits;
    let _ = write!(
        out,
        "\nLimits: consumer alone {} messages/s at {} us each; COPY alone from memory {} rows/s, over two connections {}; all \
         cores busy with nothing but the servers {} rows/s.\n\n",
        spread(limits.consume_per_second, 0),
        median(limits.consume_us),
        spread(limits.copy_per_second, 0),
        spread(limits.copy_by_two_per_second, 0),
        limits.cpu_bound_per_second.map_or_else(|| "not known:".to_owned(), |limit| grouped(limit, 0)),
    );
    out
}

fn steady(report: &Report) -> String {
    if report.steady.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "**Latency at a steady rate**: from when a tick was due to when a reader saw it in the table, milliseconds\n\n\
         | program | due/s | sent/s | p50 | p99 | p99.9 | most | sampled | unseen | cores used |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (program, rate, outcome) in &report.steady {
        let (title, rate) = (program.title(), grouped(*rate as f64, 0));
        let _ = match outcome {
            Outcome::Measured(one) => writeln!(
                out,
                "| {title} | {rate} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} | {:.2} |",
                grouped(one.sent_per_second, 0),
                one.latency_ms.p50,
                one.latency_ms.p99,
                one.latency_ms.p999,
                one.latency_ms.max,
                one.sampled,
                one.unseen,
                one.cores
            ),
            Outcome::NotRun { not_run_here } => {
                writeln!(out, "| {title} | {rate} | not run here: {} | | | | | | | |", cell(not_run_here))
            }
        };
    }
    out.push('\n');
    for (_, rate, outcome) in &report.steady {
        let Some(own) = outcome.figures().and_then(|one| one.own_histogram.as_ref()) else { continue };
        let mut bounds: Vec<(f64, f64)> =
            own.iter().filter_map(|(bound, share)| Some((bound.parse::<f64>().ok()?, *share))).collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let within = bounds.iter().filter(|(bound, _)| bound.is_finite() && *bound <= 1.0);
        let shares: Vec<String> = within
            .map(|(bound, share)| format!("{:.1} % within {:.0} ms", share * 100.0, bound * 1e3))
            .collect();
        let _ = write!(
            out,
            "`aqueduct_end_to_end_seconds` of the engine at {}/s, its start included: {}.\n\n",
            grouped(*rate as f64, 0),
            shares.join(", ")
        );
    }
    out
}

fn kills(report: &Report) -> String {
    if report.kills.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "**`kill -9` at 40 % of the rows, and a start anew**\n\n\
         | program | rows sent | lost | doubled | seconds until it went on |\n|---|---|---|---|---|\n",
    );
    for (program, outcome) in &report.kills {
        let title = program.title();
        let _ = match outcome {
            Outcome::Measured(one) => writeln!(
                out,
                "| {title} | {} | {} | {} | {:.1} |",
                grouped(one.rows as f64, 0),
                grouped(one.lost as f64, 0),
                grouped(one.doubled as f64, 0),
                one.seconds_to_go_on
            ),
            Outcome::NotRun { not_run_here } => {
                writeln!(out, "| {title} | not run here: {} | | | |", cell(not_run_here))
            }
        };
    }
    out + "\n"
}

fn outage(report: &Report) -> String {
    let told = match &report.outage {
        None => return String::new(),
        Some(Outcome::NotRun { not_run_here }) => format!("not run here: {not_run_here}"),
        Some(Outcome::Measured(one)) => format!(
            "stopped for {:.0} s, the topic full: the engine held at most {:.0} MiB, went on {:.1} s after the database \
             answered, and {} rows were lost, {} doubled",
            one.seconds,
            one.rss_peak_mib,
            one.seconds_to_go_on,
            grouped(one.lost as f64, 0),
            grouped(one.doubled as f64, 0)
        ),
    };
    format!("**The database is stopped:** {told}.\n\n")
}

fn scale(report: &Report) -> String {
    let mut out = String::new();
    for series in &report.scale {
        let axis = series.axis;
        let _ = write!(
            out,
            "**As {} grow**\n\n| {0} | rows/s | CPU for each {}, us | of a start, s | peak RSS, MiB |\n|---|---|---|---|---|\n",
            axis.title(),
            axis.unit()
        );
        for point in &series.points {
            let count = grouped(point.count as f64, 0);
            let _ = match &point.drained {
                Outcome::Measured(one) => writeln!(
                    out,
                    "| {count} | {} | {:.3} | {} | {:.0} |",
                    grouped(one.rows_per_second(), 0),
                    point.cost_us(axis).unwrap_or_default(),
                    point.start_seconds.map_or_else(String::new, |seconds| format!("{seconds:.2}")),
                    one.rss_peak_bytes as f64 / f64::from(1 << 20)
                ),
                Outcome::NotRun { not_run_here } => {
                    writeln!(out, "| {count} | not run here: {} | | | |", cell(not_run_here))
                }
            };
        }
        out.push('\n');
    }
    out
}

fn nodes(report: &Report) -> String {
    if report.nodes.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "**Nodes of one group on one topic**: each row was there once\n\n| nodes | rows/s | CPU of all for each row, us |\n|---|---|---|\n",
    );
    for (nodes, outcome) in &report.nodes {
        let _ = match outcome {
            Outcome::Measured(one) => writeln!(
                out,
                "| {nodes} | {} | {:.2} |",
                grouped(one.drained.rows_per_second(), 0),
                one.drained.program_us
            ),
            Outcome::NotRun { not_run_here } => {
                writeln!(out, "| {nodes} | not run here: {} | |", cell(not_run_here))
            }
        };
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let numbers = [0.0, 12.0, 1234.0, 123_456.0, 1_234_567.8].map(|value| grouped(value, 0));
        assert_eq!(numbers, ["0", "12", "1,234", "123,456", "1,234,568"]);
        assert_eq!(grouped(1234.567, 2), "1,234.57");
    }

    #[test]
    fn a_reason_stays_in_its_cell() {
        assert_eq!(cell("a | b\nits log\nand more"), "a \\| b; its log");
    }
}
