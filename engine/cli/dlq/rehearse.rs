//! `dlq replay --dry-run`: the same letters on the same ways, among stand-ins, in virtual time.
//!
//! What only a database or broker can refuse is not seen here; the answer says so.

use super::replay::{Work, total};
use super::show::message;
use crate::exit::Exit;
use crate::output::{Format, counted, say};
use crate::rehearsal::{Rehearsal, Stage};
use crate::stores;
use anyhow::Result;
use aqueduct_actors::dlq::{self, Group, Lane, Page, Payload, ROWS, Taken};
use aqueduct_actors::stand_in::{CALM, Content, StandIns};
use aqueduct_engine::Clock;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

/// Letters of one rehearsal.
const PAGE: usize = 2000;

/// What would become of letters.
#[derive(Debug, Default, Serialize)]
struct Verdicts {
    taken: u64,
    written: u64,
    filtered: u64,
    failed_again: u64,
    /// By sink.
    rows: BTreeMap<String, u64>,
    /// Why they would fail again: by actor and reason.
    reasons: BTreeMap<String, u64>,
}

pub(super) fn run(work: &Work, format: Format) -> Result<Exit> {
    let mut verdicts = Verdicts::default();
    let has_sinks = |lane: &Lane| lane.topology.actors.iter().any(|actor| actor.kind.is_sink());
    for (group, lane) in work.ways.iter().filter(|(_, lane)| has_sinks(lane)) {
        let mut after = 0;
        loop {
            let (letters, payloads) = page(work, (group, lane), &mut after)?;
            if payloads.is_empty() {
                break;
            }
            if let Some(exit) = rehearse(lane, &letters, payloads, &mut verdicts)? {
                return Ok(exit);
            }
        }
    }
    print(work, &verdicts, format)?;
    Ok(Exit::Ok)
}

/// The next letters, with their bytes.
fn page(
    work: &Work,
    (group, lane): (&Group, &Lane),
    after: &mut i64,
) -> Result<(BTreeMap<i64, Taken>, Vec<Payload>)> {
    let name = &work.topology.name.value;
    stores::block_on(async {
        let connection = stores::database(&work.topology, super::WHAT).await?;
        let taking = dlq::take(&connection, &work.topology, work.choice(), (group, lane), *after).await;
        let letters = stores::answered(taking)?;
        let ids: Vec<i64> = letters.keys().copied().take(PAGE).collect();
        if ids.is_empty() {
            return Ok((letters, Vec::new()));
        }
        let filter = dlq::Filter { ids, ..dlq::Filter::default() };
        let page = Page { after: *after, limit: PAGE as i64 };
        let payloads = stores::answered(dlq::payloads(&connection, name, &filter, page).await)?;
        if let Some(last) = payloads.last() {
            *after = last.letter.id;
        }
        Ok((letters, payloads))
    })
}

/// Runs one page; the exit, if the topology itself failed.
fn rehearse(
    lane: &Lane,
    letters: &BTreeMap<i64, Taken>,
    payloads: Vec<Payload>,
    verdicts: &mut Verdicts,
) -> Result<Option<Exit>> {
    let ids: Vec<i64> = payloads.iter().map(|payload| payload.letter.id).collect();
    let mut messages: Vec<_> = payloads.iter().map(message).collect();
    let earliest_ms = messages.iter().filter_map(|message| message.time_ms).min();
    let starts_ms = earliest_ms.unwrap_or_else(|| Clock::system().wall_us().div_euclid(1000));
    messages.iter_mut().for_each(|message| message.partition = Some(0));
    let source = lane.source.to_string();
    let rehearsal = Rehearsal {
        topology: lane.topology.clone(),
        starts_us: starts_ms.saturating_mul(1000),
        partitions: [(source.clone(), BTreeSet::from([0]))].into(),
        seed: CALM,
        has_other: false,
    };
    let (outcome, around) = rehearsal.run(async |Stage { handle, around, .. }| {
        let feed = around.feed(&source).expect("invariant: a source has a feed").clone();
        messages.into_iter().for_each(|message| {
            feed.send(message);
        });
        handle.drain_when_idle(Duration::ZERO).await;
        around
    })?;
    if outcome.exit_code != 0 {
        outcome.reasons.iter().for_each(|reason| say!("error: {reason}"));
        return Ok(Some(Exit::Runtime(outcome.exit_code)));
    }
    let taken: Vec<Taken> = ids.iter().map(|id| letters[id]).collect();
    judge(&around, taken, verdicts);
    Ok(None)
}

/// Counts; the feed's offset is the place of the letter in the page.
fn judge(around: &StandIns, taken: Vec<Taken>, verdicts: &mut Verdicts) {
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    for letter in around.letters().iter().filter(|letter| &*letter.actor != ROWS) {
        let place = letter.offset as usize;
        if taken[place].concerns(letter.row, letter.extent) && failed.insert(place) {
            *verdicts.reasons.entry(format!("{}: {}", letter.actor, letter.reason)).or_default() += 1;
        }
    }
    let mut written: BTreeSet<usize> = BTreeSet::new();
    let mut only_hashes = true;
    for (sink, content) in around.contents() {
        let Content::Rows(rows) = content else { continue };
        only_hashes = false;
        for row in rows {
            let letter = row.place.offset as usize;
            if !failed.contains(&letter) && taken[letter].covers(row.place.row) {
                written.insert(letter);
                *verdicts.rows.entry(sink.clone()).or_default() += 1;
            }
        }
    }
    let failed = failed.len() as u64;
    // A cache keeps one value of many: which of them gave one is not told.
    let passed = if only_hashes { taken.len() as u64 - failed } else { written.len() as u64 };
    verdicts.taken += taken.len() as u64;
    verdicts.failed_again += failed;
    verdicts.written += passed;
    verdicts.filtered += taken.len() as u64 - failed - passed;
}

fn print(work: &Work, verdicts: &Verdicts, format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(verdicts)?)?;
        return Ok(());
    }
    let Verdicts { taken, written, filtered, failed_again, .. } = verdicts;
    writeln!(
        out,
        "would replay {}: {written} written, {filtered} filtered, {failed_again} failed again",
        counted(*taken as usize, "letter")
    )?;
    for (sink, rows) in &verdicts.rows {
        writeln!(out, "  {} into {sink}", counted(*rows as usize, "row"))?;
    }
    for (reason, letters) in &verdicts.reasons {
        writeln!(out, "  {} again by {reason}", counted(*letters as usize, "letter"))?;
    }
    out.flush()?;
    if total(work) > 0 {
        say!(
            "nothing was changed; what only the database can refuse (constraints, triggers) is not seen here"
        );
    }
    Ok(())
}
