//! The actors, a line each.

use super::super::column::{Column, fitting};
use super::super::model::Model;
use super::super::row::Row;
use super::Look;
use super::words::{count, cut, lasting, plain, since};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// What marks the one that the others wait for.
const BOTTLENECK: &str = "*";

pub(super) fn draw(model: &Model, look: Look, frame: &mut Frame<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let columns = fitting(area.width, model.rows());
    let mut lines = vec![heads(model, look, &columns)];
    let (shown, chosen) = (model.shown(), model.position());
    // The chosen one stays in view.
    let room = usize::from(area.height).saturating_sub(1);
    let first = (chosen + 1).saturating_sub(room.max(1));
    for (place, row) in shown.iter().enumerate().skip(first).take(room) {
        let line = line(model, row, look, &columns);
        lines.push(if place == chosen { line.patch_style(look.chosen()) } else { line });
    }
    if shown.is_empty() && model.facts.is_some() {
        lines.push(Line::styled(format!("no actor matches `{}`", model.filter), look.dim()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn heads(model: &Model, look: Look, columns: &[(Column, u16)]) -> Line<'static> {
    let head = |(column, width): &(Column, u16)| {
        let arrow = if model.reversed { "▴" } else { "▾" };
        let sorted = model.sorted_by == Some(*column);
        let text = if sorted { format!("{}{arrow}", column.head()) } else { column.head().to_owned() };
        Span::raw(placed(&text, *column, *width))
    };
    Line::from(columns.iter().map(head).collect::<Vec<_>>()).style(look.head())
}

fn line(model: &Model, row: &Row, look: Look, columns: &[(Column, u16)]) -> Line<'static> {
    let cell = |(column, width): &(Column, u16)| {
        let (text, style) = cell(model, row, *column, look);
        Span::styled(placed(&text, *column, *width), style)
    };
    Line::from(columns.iter().map(cell).collect::<Vec<_>>())
}

/// As wide as its column, and a space to the next.
fn placed(text: &str, column: Column, width: u16) -> String {
    let width = usize::from(width);
    let text = cut(text, width);
    if column.is_text() { format!("{text:<width$} ") } else { format!("{text:>width$} ") }
}

fn cell(model: &Model, row: &Row, column: Column, look: Look) -> (String, Style) {
    let usual = Style::new();
    let share = |value: f64| format!("{:.0}%", value * 100.0);
    let known = |value: Option<f64>| value.map_or_else(String::new, count);
    let odd = |odd: bool| if odd { look.odd() } else { usual };
    match column {
        Column::Actor if row.bottleneck => (format!("{BOTTLENECK} {}", plain(&row.name)), look.odd()),
        Column::Actor => (format!("  {}", plain(&row.name)), usual),
        Column::Kind => (plain(&row.kind), look.dim()),
        Column::State => (plain(&row.state), look.state(&row.state, row.ready)),
        Column::Since => (since(row.since_us, model.now_us), usual),
        Column::Restarts => (row.restarts.to_string(), odd(row.restarts > 0)),
        Column::Read => (known(row.read), usual),
        Column::Written => (known(row.written), usual),
        Column::Fill => (row.fill.map_or_else(String::new, share), odd(row.fill >= Some(0.75))),
        Column::Blocked => (share(row.blocked), odd(row.blocked >= 0.5)),
        Column::Lag => (row.lag.map_or_else(String::new, |lag| count(lag as f64)), usual),
        Column::LagAge => (row.lag.map_or_else(String::new, |_| lasting(row.lag_seconds)), usual),
        Column::DeadLetters => (count(row.dead_letters as f64), odd(row.dead_letters > 0)),
        Column::Why => (plain(&row.reason), look.odd()),
    }
}
