//! Who the node is, whether it is ready and why not, how much flows, and whether it answers at all.

use super::super::facts::Facts;
use super::super::model::Model;
use super::Look;
use super::words::{count, cut, lasting, plain, since, time_of_day};
use ratatui::text::{Line, Span};

/// Those who are not ready, named before the rest is counted.
const NOT_READY_MAX: usize = 3;

pub(super) fn lines(model: &Model, look: Look, width: u16) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    match &model.facts {
        Some(facts) => about(model, facts, look, &mut lines),
        None => lines.push(Line::from(format!("aqueduct top: {}", model.url))),
    }
    if let Some(away) = &model.away {
        let text = format!(
            "AWAY since {} ({}): {}; asking again",
            time_of_day(away.since_us),
            since(away.since_us, model.now_us),
            plain(&away.why)
        );
        lines.push(Line::styled(cut(&text, width.into()), look.bad()));
        if model.facts.is_some() {
            lines.push(Line::styled("what follows is what it said last", look.odd()));
        }
    }
    lines
}

fn about(model: &Model, facts: &Facts, look: Look, lines: &mut Vec<Line<'static>>) {
    let node = &facts.node;
    let state = if facts.ready.ready { ("ready", look.good()) } else { ("NOT READY", look.bad()) };
    lines.push(Line::from(vec![
        Span::styled(plain(&node.topology), look.head()),
        Span::raw(format!(" on {}  {}  ", plain(&node.node), plain(&node.phase))),
        Span::styled(state.0, state.1),
        Span::raw(format!("  generation {}  v{}", node.generation, plain(&node.version))),
        Span::raw(format!("  up {}", since(node.started_us, model.now_us))),
    ]));
    lines.push(Line::from(flow(model, facts)));
    let unready = &facts.ready.not_ready;
    for one in unready.iter().take(NOT_READY_MAX) {
        let lasting = since(one.since_us, model.now_us);
        let text =
            format!("  {} is {} for {lasting}: {}", plain(&one.actor), plain(&one.state), plain(&one.reason));
        lines.push(Line::styled(text, look.bad()));
    }
    if unready.len() > NOT_READY_MAX {
        lines.push(Line::styled(format!("  and {} others", unready.len() - NOT_READY_MAX), look.bad()));
    }
    if !facts.ready.ready && unready.is_empty() {
        lines.push(Line::styled(format!("  {}", plain(&facts.ready.phase_reason)), look.odd()));
    }
    let unaccounted: i64 = facts.ledger.iter().map(|line| line.unaccounted.abs()).sum();
    if unaccounted > 0 {
        lines.push(Line::styled(
            format!("  {unaccounted} records are unaccounted for: that is a bug"),
            look.bad(),
        ));
    }
}

fn flow(model: &Model, facts: &Facts) -> String {
    let rate = |value: f64| format!("{}/s", count(value));
    let (read, written) = match model.totals {
        Some((read, written)) => (rate(read), rate(written)),
        None => ("..".to_owned(), "..".to_owned()),
    };
    let lag: i64 = facts.actors.iter().flat_map(|actor| &actor.lag).map(|lag| lag.records).sum();
    let age = facts.actors.iter().flat_map(|actor| &actor.lag).map(|lag| lag.seconds).fold(0.0, f64::max);
    let dead: u64 = facts.ledger.iter().map(|line| line.dead_lettered).sum();
    let in_flight: u64 = facts.ledger.iter().map(|line| line.in_flight).sum();
    let bottleneck = model.rows().iter().find(|row| row.bottleneck).map_or("none", |row| &row.name);
    format!(
        "read {read}  written {written}  in flight {}  lag {} ({})  dead letters {}  bottleneck {}",
        count(in_flight as f64),
        count(lag as f64),
        lasting(age),
        count(dead as f64),
        plain(bottleneck)
    )
}
