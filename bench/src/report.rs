//! Figures side by side, for people and for programs.

use crate::ceiling::Measured;
use serde::Serialize;

/// One work, both programs, medians.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Which work.
    pub work: &'static str,
    /// The hand-written program.
    pub ceiling: Figures,
    /// The engine.
    pub engine: Figures,
    /// Engine rows/s divided by the ceiling's: at least 0.9 wanted.
    pub rows_ratio: f64,
    /// Engine CPU per row divided by the ceiling's: at most 1.3 wanted.
    pub cpu_ratio: f64,
}

/// What one program reached.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Rows per second.
    pub rows_per_second: f64,
    /// CPU per row, microseconds.
    pub cpu_us_per_row: f64,
    /// Peak memory, MiB.
    pub rss_peak_mib: f64,
    /// Runs the medians are of.
    pub runs: usize,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Figures {
    /// Medians of `runs`, which must not be empty.
    pub fn of(runs: &[Measured]) -> Self {
        let pick = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
        Self {
            rows_per_second: pick(|run| run.rows as f64 / run.seconds),
            cpu_us_per_row: pick(|run| run.cpu_seconds * 1e6 / run.rows as f64),
            rss_peak_mib: pick(|run| run.rss_peak_bytes as f64 / f64::from(1 << 20)),
            runs: runs.len(),
        }
    }
}

impl Comparison {
    /// Both sides of one work.
    pub fn new(work: &'static str, ceiling: &[Measured], engine: &[Measured]) -> Self {
        let (ceiling, engine) = (Figures::of(ceiling), Figures::of(engine));
        Self {
            work,
            ceiling,
            engine,
            rows_ratio: engine.rows_per_second / ceiling.rows_per_second,
            cpu_ratio: engine.cpu_us_per_row / ceiling.cpu_us_per_row,
        }
    }
}

/// A Markdown table.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut out = String::from(
        "| work | program | rows/s | CPU us/row | peak RSS MiB | rows/s ratio | CPU ratio |\n|---|---|---|---|---|---|---|\n",
    );
    for c in comparisons {
        let line = |program: &str, f: &Figures, ratios: String| {
            format!(
                "| {} | {program} | {:.0} | {:.2} | {:.0} | {ratios} |\n",
                c.work, f.rows_per_second, f.cpu_us_per_row, f.rss_peak_mib
            )
        };
        out += &line("ceiling", &c.ceiling, "1 | 1".into());
        out += &line("engine", &c.engine, format!("{:.2} | {:.2}", c.rows_ratio, c.cpu_ratio));
    }
    out
}
