//! What the demo shows while it runs: repainted on a terminal, one line now and then elsewhere.

use aqueduct_engine::application::Handle;
use aqueduct_engine::ledger::Counts;
use aqueduct_engine::registry::ActorView;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

/// How often a terminal is repainted.
pub(super) const REPAINT: Duration = Duration::from_millis(500);
/// How many repaints of a terminal one plain line stands for.
const PLAIN_EVERY: u32 = 4;

/// What stands below the figures.
pub(super) struct Look {
    pub(super) title: &'static str,
    /// Asked at every repaint.
    pub(super) lines: Box<dyn Fn() -> Vec<String>>,
}

/// The display; gone when dropped.
pub(super) struct Screen {
    terminal: Option<(MultiProgress, ProgressBar)>,
    look: Look,
    /// Whether a plain display has said where the page is.
    named_page: bool,
    before: Counts,
    paints: u32,
}

impl Screen {
    /// Nothing painted yet.
    pub(super) fn new(look: Look) -> Self {
        let terminal = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(ProgressStyle::with_template("{msg}").expect("invariant: a fixed template"));
            (all, bar)
        });
        Self { terminal, look, named_page: false, before: Counts::default(), paints: 0 }
    }

    /// Shows how things stand.
    pub(super) fn paint(&mut self, handle: &Handle, sent: u64) {
        let registry = handle.registry();
        let totals = registry.ledger().totals();
        let actors = registry.actors();
        let lines = (self.look.lines)();
        self.paints += 1;
        if let Some((_, bar)) = &self.terminal {
            let rate = rate(totals.written, self.before.written, 1);
            self.before = totals;
            let figures = figures(&actors, totals, sent, rate, handle);
            bar.set_message(format!("{figures}\n  {}\n    {}\n", self.look.title, lines.join("\n    ")));
        } else if let Some(address) = handle.admin_address().filter(|_| !self.named_page) {
            self.named_page = true;
            let _ = writeln!(std::io::stderr(), "page http://{address}/");
        } else if self.paints.is_multiple_of(PLAIN_EVERY) {
            let rate = rate(totals.written, self.before.written, PLAIN_EVERY);
            self.before = totals;
            let lag: i64 = actors.iter().flat_map(|actor| &actor.lag).map(|lag| lag.records).sum();
            // Nobody may be reading any more; the demo goes on.
            let _ = writeln!(std::io::stderr(), "{totals}  {rate} records/s written, lag {lag}");
        }
    }
}

/// Actors, ledger and rate.
fn figures(actors: &[ActorView], totals: Counts, sent: u64, rate: u64, handle: &Handle) -> String {
    let mut out = String::new();
    let page = handle.admin_address().map(|address| format!("http://{address}/")).unwrap_or_default();
    let _ = writeln!(out, "\naqueduct demo   {page}   Ctrl-C drains\n");
    for actor in actors {
        let _ = writeln!(out, "  {:<12} {:<17} {:<9} {}", actor.name, actor.kind, actor.state, about(actor));
    }
    let _ = writeln!(out, "\n  sent {sent}   {totals}");
    let _ = writeln!(out, "  {rate} records/s written");
    out
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some((_, bar)) = &self.terminal {
            bar.finish();
        }
    }
}

/// Records per second between two paints that lie `repaints` apart.
fn rate(now: u64, before: u64, repaints: u32) -> u64 {
    let seconds = (REPAINT * repaints).as_secs_f64();
    (now.saturating_sub(before) as f64 / seconds) as u64
}

fn about(actor: &ActorView) -> String {
    let mut parts = Vec::new();
    if !actor.lag.is_empty() {
        let records: i64 = actor.lag.iter().map(|lag| lag.records).sum();
        let seconds = actor.lag.iter().map(|lag| lag.seconds).fold(0.0, f64::max);
        parts.push(format!("lag {records} records, {seconds:.1} s"));
    }
    if actor.restarts > 0 {
        parts.push(format!("{} restarts", actor.restarts));
    }
    parts.extend(actor.reason.clone());
    parts.join("; ")
}
