//! What happened lately, newest last.

use super::super::model::Model;
use super::Look;
use super::words::{cut, plain, time_of_day};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::TOP).title(" events ").border_style(look.dim());
    let events = model.facts.as_ref().map(|facts| facts.events.as_slice()).unwrap_or_default();
    let room = usize::from(area.height).saturating_sub(1);
    let latest = &events[events.len().saturating_sub(room)..];
    let lines: Vec<Line<'static>> = latest
        .iter()
        .map(|event| {
            let (subject, what, detail) = (plain(&event.subject), plain(&event.what), plain(&event.detail));
            let text = format!("{}  {subject}  {what}  {detail}", time_of_day(event.at_us));
            Line::from(cut(text.trim_end(), area.width.into()))
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
