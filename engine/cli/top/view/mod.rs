//! From what is known to what is on the screen: pure, a frame from a model and nothing else.
//!
//! Nothing is said by colour alone: states are words, the bottleneck has a mark, the selected line is reversed. What comes
//! from the node is made plain before it is drawn.

mod detail;
mod events;
mod header;
mod table;
mod words;

use super::model::Model;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

const KEYS: &str = "q quit  ↑↓ select  ⏎ detail  ←→ sort  r reverse  / filter  e events";
/// Fewer lines than this are no pane.
const PANE_LINES_MIN: u16 = 4;
const DETAIL_LINES_MAX: u16 = 24;
/// What the table keeps beside them, where it has so much.
const TABLE_LINES_MIN: u16 = 8;
const EVENT_LINES: u16 = 8;

/// Draws all of it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let look = Look { colours: model.colours };
    let header = header::lines(model, look, frame.area().width);
    let [head, table, detail, events, foot] = areas(model, frame.area(), header.len() as u16);
    frame.render_widget(Paragraph::new(header), head);
    table::draw(model, look, frame, table);
    if detail.height > 0 {
        detail::draw(model, look, frame, detail);
    }
    if events.height > 0 {
        events::draw(model, look, frame, events);
    }
    frame.render_widget(Paragraph::new(footer(model, look)), foot);
}

/// Where there is little room the table has it, then what is known of one actor, then the events.
fn areas(model: &Model, area: Rect, header: u16) -> [Rect; 5] {
    let header = header.min(area.height);
    let left = area.height.saturating_sub(header + 1);
    let table = (model.shown().len().clamp(1, 1_000) as u16 + 1).min(left);
    let least = table.min(TABLE_LINES_MIN);
    let pane = |wanted: bool, most: u16, left: u16| {
        let lines = most.min(left);
        if wanted && lines >= PANE_LINES_MIN { lines } else { 0 }
    };
    let known = if model.detail { detail::height(model, area.width) } else { 0 };
    let detail = pane(known > 0, known.clamp(PANE_LINES_MIN, DETAIL_LINES_MAX), left.saturating_sub(least));
    let events = pane(model.events, EVENT_LINES, left.saturating_sub(least + detail));
    Layout::vertical([
        Constraint::Length(header),
        Constraint::Min(0),
        Constraint::Length(detail),
        Constraint::Length(events),
        Constraint::Length(1),
    ])
    .areas(area)
}

fn footer(model: &Model, look: Look) -> Line<'static> {
    if model.typing {
        return Line::from(format!("filter: {}▏  ⏎ keep  esc drop", model.filter));
    }
    let filter = if model.filter.is_empty() { String::new() } else { format!("filter: {}  ", model.filter) };
    Line::styled(format!("{filter}{KEYS}"), look.dim())
}

/// How things look, with colours or without.
#[derive(Clone, Copy)]
struct Look {
    colours: bool,
}

impl Look {
    fn coloured(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn dim(self) -> Style {
        self.coloured(Color::DarkGray)
    }

    fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn odd(self) -> Style {
        self.coloured(Color::Yellow)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Of a state's word.
    fn state(self, state: &str, ready: bool) -> Style {
        match state {
            "running" | "finished" => self.good(),
            "starting" | "draining" => self.odd(),
            _ if ready => self.good(),
            _ => self.bad(),
        }
    }
}
