//! `schedule`.

use super::{Context, Keys, quantity};
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Beat, Cron, Kind, Schedule};
use crate::syntax::{Node, shortened};
use std::time::Duration;

/// More often no work is done in time.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// What stands in for a beat that is missing or wrong.
const REFUSED: Beat = Beat::Every(Duration::from_secs(3600));
/// Work that is planned, and how it is done meanwhile.
const PLANNED: [(&str, &str); 2] = [
    ("rollup", "fill the roll-up table by a job of your own; `retention` waits for nobody"),
    ("export", "run `aqueduct export` by cron, by a systemd timer or by a Kubernetes CronJob"),
];

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>) -> Kind {
    let every = keys.get("every").and_then(|node| beat(cx, node));
    let run = keys.get("run").and_then(|node| {
        let work = if planned(cx, node) { None } else { cx.word(node, "work of a schedule") };
        Some(Spanned::new(work?, node.span))
    });
    Kind::Schedule(Schedule {
        every: every.unwrap_or_else(|| Spanned::new(REFUSED, Default::default())),
        run: run.unwrap_or_default(),
    })
}

fn planned(cx: &Context<'_>, node: &Node) -> bool {
    let word = node.scalar().and_then(|scalar| PLANNED.iter().find(|(word, _)| *word == scalar.text));
    if let Some((word, help)) = word {
        let message = format!("this version's schedules have no `{word}` yet");
        cx.report(Diagnostic::error(Code::NotInThisVersion, node.span, message).help(*help));
    }
    word.is_some()
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
