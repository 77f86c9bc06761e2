//! What a backfill says at its end, or would.

use super::judge::Judgement;
use super::prepare::Prepared;
use super::work::Done;
use crate::exit::Exit;
use crate::output::{Format, counted, say, time};
use anyhow::Result;
use aqueduct_actors::backfill::{Mode, Part};
use serde_json::{Value, json};
use std::io::Write;

/// What would be done.
pub(super) fn dry_run(prepared: &Prepared<'_>, judged: &Judgement, format: Format) -> Result<Exit> {
    let Prepared { wish, parts, rows_there, begun, chunks, .. } = prepared;
    let records: i64 = parts.iter().map(Part::offsets).sum();
    let goes_on = begun.as_ref().map(|entry| entry.id);
    let refused = wish.mode == Mode::IntoEmpty && *rows_there > 0 && begun.is_none();
    let deletes = if wish.mode == Mode::Replace && begun.is_none() { *rows_there } else { 0 };
    let (from, to) = (time(wish.range.from_us), time(wish.range.to_us));
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let part = |part: &Part| json!({ "source": part.source, "topic": part.topic, "partition": part.partition, "start": part.start, "end": part.end });
            let letter = |((actor, reason), count): (&(String, String), &u64)| json!({ "actor": actor, "reason": reason, "letters": count });
            let json: Value = json!({
                "table": wish.way.table(), "from": from, "to": to, "origin": wish.origin, "mode": wish.mode.as_str(),
                "key": wish.key, "records": records, "chunks": chunks, "rows_there": rows_there, "rows_deleted": deletes,
                "resumes": goes_on, "would_be_refused": refused, "parts": parts.iter().map(part).collect::<Value>(),
                "judged": {
                    "read": judged.read, "written": judged.written, "filtered": judged.filtered,
                    "dead_lettered": judged.dead_lettered, "rows_added": judged.added, "rows_there": judged.there,
                    "letters": judged.letters.iter().map(letter).collect::<Value>(),
                },
            });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => {
            writeln!(
                out,
                "would fill {} from {from} to {to}: {} of {} to read, {chunks} chunk(s)",
                wish.way.table(),
                counted(records as usize, "record"),
                wish.origin
            )?;
            for part in parts {
                writeln!(out, "  {}/{}: offsets {} to {}", part.topic, part.partition, part.start, part.end)?;
            }
            writeln!(
                out,
                "  {} in the range now{}",
                counted(*rows_there as usize, "row"),
                what_becomes(wish.mode)
            )?;
            writeln!(
                out,
                "  {} would be added, {} are there or come twice",
                counted(judged.added as usize, "row"),
                judged.there
            )?;
            writeln!(
                out,
                "  of {}: {} written, {} filtered or of another time, {} rejected",
                counted(judged.read as usize, "record"),
                judged.written,
                judged.filtered,
                judged.dead_lettered
            )?;
            for ((actor, reason), count) in &judged.letters {
                writeln!(out, "  {} by {actor}: {reason}", counted(*count as usize, "dead letter"))?;
            }
        }
    }
    out.flush()?;
    if let Some(id) = goes_on {
        say!("it would go on with backfill {id}, which was begun before");
    }
    if refused {
        say!("it would be refused: rows are there and have no key; say --key COLUMN,.. or --replace");
    }
    say!("nothing was changed; what only the table itself refuses (a constraint, a trigger) is not seen");
    Ok(Exit::Ok)
}

fn what_becomes(mode: Mode) -> &'static str {
    match mode {
        Mode::IntoEmpty => "; the table has no key, so it must be none",
        Mode::Replace => ", which would be deleted first",
        Mode::Unique | Mode::LookedUp => ", which would stay; what is missing would be added",
    }
}

/// What was done.
pub(super) fn done(done: &Done, resumed: bool, format: Format) -> Result<Exit> {
    let Done {
        entry,
        table,
        read,
        written,
        filtered,
        dead_lettered,
        left,
        after,
        letters,
        paused,
        took,
        cut,
    } = done;
    let (from, to) = (time(entry.range.from_us), time(entry.range.to_us));
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let letter = |(actor, reason, count): &(String, String, i64)| json!({ "actor": actor, "reason": reason, "letters": count });
            let json: Value = json!({
                "id": entry.id, "table": table, "from": from, "to": to, "origin": entry.origin, "mode": entry.mode.as_str(),
                "resumed": resumed, "finished": cut.is_none(), "left": left, "attempts": entry.attempts,
                "records": { "read": read, "written": written, "filtered": filtered, "dead_lettered": dead_lettered },
                "rows": { "before": entry.before, "deleted": entry.deleted, "added": entry.added, "there": entry.there, "after": after },
                "paused": { "times": paused.times, "seconds": paused.lasted.as_secs_f64() },
                "seconds": took.as_secs_f64(), "letters": letters.iter().map(letter).collect::<Value>(),
            });
            writeln!(out, "{json:#}")?;
        }
        Format::Text => {
            writeln!(
                out,
                "backfill {} of {table} from {from} to {to}: {} added, {} there already, {} deleted before; {after} in the range",
                entry.id,
                counted(entry.added as usize, "row"),
                entry.there,
                entry.deleted
            )?;
            writeln!(
                out,
                "  this run read {}: {written} written, {filtered} filtered or of another time, {dead_lettered} rejected",
                counted(*read as usize, "record")
            )?;
            for (actor, reason, count) in letters {
                writeln!(out, "  {} by {actor}: {reason}", counted(*count as usize, "dead letter"))?;
            }
            if paused.times > 0 {
                writeln!(
                    out,
                    "  paused {} for the live topology, {:.1} s",
                    counted(paused.times as usize, "time"),
                    paused.lasted.as_secs_f64()
                )?;
            }
        }
    }
    out.flush()?;
    if let Some((exit, why)) = cut {
        say!("ended early: {why}; what is done is recorded: run it again, and it goes on from there");
        return Ok(*exit);
    }
    Ok(Exit::Ok)
}
