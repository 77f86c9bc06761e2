//! All that is known of the selected actor.

use super::super::facts::{Actor, Figure};
use super::super::model::Model;
use super::Look;
use super::words::{bytes, count, lasting, plain, since};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

/// Lines of one kind, before the rest is counted.
const PER_PART_MAX: usize = 6;

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let Some((_, actor)) = model.chosen() else { return };
    let title = format!(" {} ", plain(&actor.name));
    let block = Block::new().borders(Borders::TOP).title(title).border_style(look.dim());
    let lines: Vec<Line<'static>> = lines(model, actor).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

/// How many lines it takes; 0 = there is nobody to tell of.
pub(super) fn height(model: &Model, width: u16) -> u16 {
    let Some((_, actor)) = model.chosen() else { return 0 };
    let wrapped = |line: &String| line.chars().count().div_ceil(usize::from(width.max(1))).max(1);
    let lines: usize = lines(model, actor).iter().map(wrapped).sum();
    lines.min(100) as u16 + 1
}

fn lines(model: &Model, actor: &Actor) -> Vec<String> {
    let ago =
        |us: Option<i64>| us.map_or("never".to_owned(), |us| format!("{} ago", since(us, model.now_us)));
    let mut lines = vec![format!(
        "{} ({}) under {}: {} for {}, {} restarts",
        plain(&actor.kind),
        plain(&actor.role),
        plain(&actor.supervisor),
        plain(&actor.state),
        since(actor.since_us, model.now_us),
        actor.restarts
    )];
    lines.extend(actor.reason.iter().map(|reason| format!("why: {}", plain(reason))));
    lines.extend(actor.last_exit.iter().map(|exit| format!("last exit: {}", plain(exit))));
    lines.push(format!(
        "{} batches  blocked {} in all  last contact {}  last write {}",
        count(actor.progress as f64),
        lasting(actor.blocked_seconds),
        ago(actor.last_contact_us),
        ago(actor.last_write_us)
    ));
    let inputs = actor.inputs.iter().map(|input| {
        let (from, share) = (plain(&input.from), input.ratio * 100.0);
        format!("from {from}: {share:.0}% full, {} batches, {}", input.batches, bytes(input.bytes))
    });
    part(inputs, "inputs", &mut lines);
    let mut lags: Vec<_> = actor.lag.iter().collect();
    lags.sort_by_key(|lag| -lag.records);
    let lags = lags.iter().map(|lag| {
        let (topic, records) = (plain(&lag.topic), count(lag.records as f64));
        format!("lag of {topic}/{}: {records}, {}", lag.partition, lasting(lag.seconds))
    });
    part(lags, "partitions", &mut lines);
    let letters = actor.dead_letters.iter();
    part(
        letters.map(|(reason, count)| format!("dead letters, {}: {count}", plain(reason))),
        "reasons",
        &mut lines,
    );
    part(actor.figures.iter().map(figure), "figures", &mut lines);
    lines
}

fn part(all: impl ExactSizeIterator<Item = String>, noun: &str, lines: &mut Vec<String>) {
    let more = all.len().saturating_sub(PER_PART_MAX);
    lines.extend(all.take(PER_PART_MAX));
    if more > 0 {
        lines.push(format!("and {more} {noun} more"));
    }
}

fn figure(figure: &Figure) -> String {
    let labels: Vec<String> = figure
        .labels
        .iter()
        .map(|(name, value)| {
            format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect();
    let name = figure.name.strip_prefix("aqueduct_").unwrap_or(&figure.name);
    plain(&format!(
        "{name} {}{}",
        figure.value,
        if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) }
    ))
}
