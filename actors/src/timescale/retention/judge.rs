//! What is declared against what is there. Pure.

use super::live::{Chunk, Live, LiveTable};
use super::report::{Declared, Finding, FindingKind, Forecast, Past, Report, TableReport};
use aqueduct_topology::model::{Beat, Kind, TimescaleWriter, Topology, Work};
use std::time::Duration;

const DAY_US: i64 = 86_400_000_000;
/// Growth is measured by chunks of so long.
const GROWTH_WINDOW_US: i64 = 7 * DAY_US;
/// A run may take so long before what it should have dropped counts as late.
const RUN_LASTS_MAX: Duration = Duration::from_secs(3600);

/// Compares the tables of `topology` with what is there at `now_us`.
pub fn audit(topology: &Topology, live: Live, now_us: i64) -> Report {
    let grace = grace_us(topology, now_us);
    let mut findings = Vec::new();
    let writers = topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::TimescaleWriter(writer) => Some((actor.name.value.as_str(), writer)),
        _ => None,
    });
    let mut tables: Vec<TableReport> = Vec::new();
    for (actor, writer) in writers {
        let name = &writer.table.value;
        if tables.iter().any(|table| table.table == *name) {
            continue;
        }
        let found = live.tables.iter().find(|table| table.table == *name);
        let judged = Judged { declared: Some(declared(actor, writer)), live: found, now_us, grace, name };
        tables.push(judged.table(&live, &mut findings));
    }
    for other in live.tables.iter().filter(|table| table.is_hypertable) {
        if !tables.iter().any(|table| table.table == other.table) {
            let judged = Judged { declared: None, live: Some(other), now_us, grace, name: &other.table };
            tables.push(judged.table(&live, &mut findings));
        }
    }
    findings.sort_by(|one, other| {
        (!one.breach, one.kind, &one.table).cmp(&(!other.breach, other.kind, &other.table))
    });
    Report {
        topology: topology.name.value.clone(),
        at_us: now_us,
        edition: live.edition,
        breach: findings.iter().any(|finding| finding.breach),
        findings,
        tables,
        holds: live.holds,
        drops: live.drops,
    }
}

/// How long after its time a chunk may still be there, as nobody drops continuously; none = nobody drops at all.
fn grace_us(topology: &Topology, now_us: i64) -> Option<i64> {
    let gap = |beat: &Beat| {
        let next = beat.next_after(now_us);
        match beat {
            Beat::Every(_) => next - now_us,
            // Between two of its minutes lies at most what lies between the next two, or until the next.
            Beat::Cron(_) => (beat.next_after(next) - next).max(next - now_us),
        }
    };
    let gaps = topology.schedules(Work::Retention).map(|(_, schedule)| gap(&schedule.every.value));
    Some(gaps.min()?.saturating_add(RUN_LASTS_MAX.as_micros() as i64))
}

fn declared(actor: &str, writer: &TimescaleWriter) -> Declared {
    let policy = &writer.policy;
    Declared {
        actor: actor.to_owned(),
        retention_seconds: policy.retention.as_ref().map(|said| said.value.as_secs()),
        compress_after_seconds: policy.compress_after.as_ref().map(|said| said.value.as_secs()),
        chunk_interval_seconds: policy.chunk_interval.as_ref().map(|said| said.value.as_secs()),
        growth_bytes_per_day: policy.growth.as_ref().map(|said| said.value.bytes_per_day),
    }
}

struct Judged<'a> {
    name: &'a str,
    declared: Option<Declared>,
    live: Option<&'a LiveTable>,
    now_us: i64,
    grace: Option<i64>,
}

impl Judged<'_> {
    fn table(self, live: &Live, findings: &mut Vec<Finding>) -> TableReport {
        let none = LiveTable::default();
        let table = self.live.unwrap_or(&none);
        let says = |of: fn(&Declared) -> Option<u64>| self.declared.as_ref().and_then(of);
        let retention = says(|declared| declared.retention_seconds);
        let past = retention.map(|seconds| past(table, seconds, self.now_us, self.grace)).unwrap_or_default();
        let growth = growth(&table.chunks);
        let dropped_by = match (retention, &table.drops_after) {
            (_, Some(_)) => "server",
            (Some(_), None) if self.grace.is_some() => "schedule",
            _ => "nobody",
        };
        let report = TableReport {
            table: self.name.to_owned(),
            kind: match self.live {
                None => "missing",
                Some(table) if table.is_hypertable => "hypertable",
                Some(_) => "plain",
            },
            chunk_interval_seconds: table.chunk_interval_us.map(|us| us as f64 / 1e6),
            chunks: table.chunks.len(),
            bytes: table.bytes,
            oldest_us: table.chunks.first().map(|chunk| chunk.from_us),
            newest_us: table.chunks.iter().map(|chunk| chunk.to_us).max(),
            past,
            growth_bytes_per_day: growth,
            forecast: growth.map(|growth| {
                let kept = retention.filter(|_| dropped_by == "schedule");
                forecast(table.bytes.max(0) as u64, growth, kept, table.chunk_interval_us)
            }),
            dropped_by,
            compressed_by: if table.compresses_after.is_some() { "server" } else { "nobody" },
            declared: self.declared.clone(),
        };
        self.find(&report, table, live, findings);
        report
    }

    fn find(&self, report: &TableReport, table: &LiveTable, live: &Live, findings: &mut Vec<Finding>) {
        let name = self.name;
        let mut find = |kind, breach, message: String, help: String| {
            findings.push(Finding { kind, breach, table: name.to_owned(), message, help });
        };
        if let Some(after) = &table.drops_after {
            let message = format!(
                "a policy of the server drops chunks after {after}: past legal holds, without evidence"
            );
            let help = format!("`SELECT remove_retention_policy('{name}')`, and leave it to a schedule");
            find(FindingKind::ServerDrops, true, message, help);
        }
        let Some(declared) = &self.declared else {
            let message =
                "a hypertable that no writer of this topology writes: no policy is known".to_owned();
            let help = "audit it with the file that writes it, or drop it".to_owned();
            return find(FindingKind::NoPolicy, false, message, help);
        };
        if report.kind != "hypertable" {
            let breach = declared.retention_seconds.is_some();
            let what = if report.kind == "missing" {
                "the table does not exist"
            } else {
                "the table is no hypertable"
            };
            let message = format!("{what}, so nothing of it can be dropped by age");
            let help = "`aqueduct migrate new FILE` and `aqueduct migrate up FILE`".to_owned();
            find(FindingKind::NotAHypertable, breach, message, help);
            return;
        }
        let retention = declared.retention_seconds.map(|seconds| said(Duration::from_secs(seconds)));
        match (&retention, self.grace) {
            (None, _) => {
                let message = "rows are kept for ever: no `retention` is declared".to_owned();
                let help = format!("say `retention` at the writer `{}`, or keep it so", declared.actor);
                find(FindingKind::NoPolicy, false, message, help);
            }
            (Some(kept), None) => {
                let message =
                    format!("rows are to be kept {kept}, and no schedule of this file drops older ones");
                let help = "add `keeper: { kind: schedule, every: 1h, run: retention }`".to_owned();
                find(FindingKind::NobodyDrops, true, message, help);
            }
            (Some(_), Some(_)) => {}
        }
        if let (Some(kept), true) = (&retention, report.past.late > 0) {
            let chunks = if report.past.late == 1 {
                "1 chunk is".to_owned()
            } else {
                format!("{} chunks are", report.past.late)
            };
            let message = format!("{chunks} past the retention of {kept} and still there");
            let help =
                "see the schedule's last run in `/api/actors`, and the runbook on retention".to_owned();
            find(FindingKind::PastRetention, true, message, help);
        }
        if let (Some(wanted), Some(is)) = (declared.chunk_interval_seconds, table.chunk_interval_us)
            && i128::from(wanted) * 1_000_000 != i128::from(is)
        {
            let is = said(Duration::from_micros(is.max(0) as u64));
            let message =
                format!("new chunks span {is}, and {} is declared", said(Duration::from_secs(wanted)));
            let interval = super::interval(Duration::from_secs(wanted));
            let help = format!(
                "in a new migration: `SELECT set_chunk_time_interval('{name}', INTERVAL '{interval}')`"
            );
            find(FindingKind::ChunkInterval, true, message, help);
        }
        if let (Some(after), "nobody") = (declared.compress_after_seconds, report.compressed_by) {
            let message = format!(
                "chunks are to be compressed after {}, and nobody does: the server runs the {} edition",
                said(Duration::from_secs(after)),
                live.edition.word()
            );
            let help = match live.edition.compresses() {
                true => "`add_compression_policy`, in a new migration".to_owned(),
                false => "use the edition that compresses, or leave `compress_after` out".to_owned(),
            };
            find(FindingKind::NobodyCompresses, live.edition.compresses(), message, help);
        }
        if let (Some(most), Some(is)) = (declared.growth_bytes_per_day, report.growth_bytes_per_day)
            && is > most
        {
            let message = format!("it grows by {is} bytes a day, and {most} are declared");
            let help = "plan for the room, or say what is expected now".to_owned();
            find(FindingKind::Growth, false, message, help);
        }
    }
}

/// `90d`, as the language has it, in days where it can.
fn said(value: Duration) -> String {
    super::interval(value)
}

fn past(table: &LiveTable, retention_seconds: u64, now_us: i64, grace: Option<i64>) -> Past {
    let kept_us = i64::try_from(retention_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let until = now_us.saturating_sub(kept_us);
    let mut past = Past::default();
    for chunk in table.chunks.iter().filter(|chunk| chunk.to_us <= until) {
        past.chunks += 1;
        past.bytes += chunk.bytes;
        past.held += usize::from(chunk.held);
        let late = chunk.to_us.saturating_add(grace.unwrap_or(0)) <= until;
        past.late += usize::from(!chunk.held && late);
    }
    past
}

/// Bytes a day by the newest chunks but the last, which still fills; by that one where it is the only one.
fn growth(chunks: &[Chunk]) -> Option<u64> {
    let newest = chunks.iter().map(|chunk| chunk.to_us).max()?;
    let closed = || chunks.iter().filter(|chunk| chunk.to_us < newest);
    let since = closed().map(|chunk| chunk.to_us).max().unwrap_or(newest).saturating_sub(GROWTH_WINDOW_US);
    let mut measured: Vec<&Chunk> = closed().filter(|chunk| chunk.to_us > since).collect();
    if measured.is_empty() {
        measured.extend(chunks);
    }
    let bytes: i128 = measured.iter().map(|chunk| i128::from(chunk.bytes)).sum();
    let (from, to) =
        (measured.iter().map(|chunk| chunk.from_us).min()?, measured.iter().map(|chunk| chunk.to_us).max()?);
    let span = i128::from(to.saturating_sub(from)).max(1);
    u64::try_from(bytes * i128::from(DAY_US) / span).ok()
}

/// With a retention the table grows until it holds that much time, and a chunk beyond it.
fn forecast(bytes: u64, growth: u64, retention_seconds: Option<u64>, chunk_us: Option<i64>) -> Forecast {
    let per_day =
        |seconds: u64| u64::try_from(u128::from(growth) * u128::from(seconds) / 86_400).unwrap_or(u64::MAX);
    let chunk_seconds = chunk_us.unwrap_or(0).max(0) as u64 / 1_000_000;
    let steady = retention_seconds.map(|kept| per_day(kept.saturating_add(chunk_seconds)));
    let after = |days: u64| {
        let grown = bytes.saturating_add(growth.saturating_mul(days));
        // What is more than steady now is dropped meanwhile; what is less grows up to it.
        steady.map_or(grown, |steady| grown.min(steady))
    };
    Forecast { bytes_30d: after(30), bytes_90d: after(90), bytes_steady: steady }
}

#[cfg(test)]
mod tests;
