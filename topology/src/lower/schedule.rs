//! `schedule`.

use super::{Context, Keys, job, quantity};
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Beat, Cron, Kind, Schedule};
use crate::syntax::{Node, shortened};
use std::time::Duration;

/// More often no work is done in time.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// What stands in for a beat that is missing or wrong.
const REFUSED: Beat = Beat::Every(Duration::from_secs(3600));
pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Kind {
    let every = keys.get("every").and_then(|node| beat(cx, node));
    let run = keys.get("run").and_then(|node| {
        let work = cx.word(node, "work of a schedule");
        Some(Spanned::new(work?, node.span))
    });
    let (rollup, export) = job::lower(cx, keys, run.as_ref());
    Kind::Schedule(Box::new(Schedule {
        every: every.unwrap_or_else(|| Spanned::new(REFUSED, Default::default())),
        run: run.unwrap_or_default(),
        rollup,
        export,
    }))
}

fn beat(cx: &Context<'_>, node: &Node) -> Option<Spanned<Beat>> {
    let text = cx.nonempty(node)?;
    let spanned = |beat| Some(Spanned::new(beat, node.span));
    match quantity::duration(&text.value) {
        Ok(every) if every >= EVERY_MIN => return spanned(Beat::Every(every)),
        Ok(_) => {
            cx.out_of_range(node, "a schedule runs every second at most");
            return None;
        }
        Err(_) => {}
    }
    let why = match Cron::parse(&text.value) {
        Ok(cron) => return spanned(Beat::Cron(cron)),
        Err(why) => why,
    };
    let interpolated = node.scalar().is_some_and(|scalar| scalar.interpolated);
    let (message, help) = match interpolated {
        true => ("the value is neither a duration nor a line of cron".to_owned(), String::new()),
        false => {
            let shown = shortened(&text.value);
            let why =
                if text.value.contains(' ') { format!("as a line of cron, {why}; ") } else { String::new() };
            (format!("`{shown}` is neither a duration nor a line of cron"), why)
        }
    };
    let help = help + "write `1h`, or `minute hour day month weekday` such as `0 3 * * *`";
    cx.report(Diagnostic::error(Code::NotABeat, node.span, message).help(help));
    None
}
