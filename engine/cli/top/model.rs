//! What is shown and how: pure, so that every key and every answer is a line in a test.
//!
//! Deliberately absent: terminals, sockets and clocks. The caller hands over keys, answers and the time.

use super::column::{self, Column};
use super::facts::{Actor, Facts};
use super::row::{self, Row};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks of the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Stay,
    Leave,
}

/// The last look that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) since_us: i64,
    pub(super) why: String,
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) url: String,
    /// Microseconds since 1970 UTC, as it is here.
    pub(super) now_us: i64,
    pub(super) facts: Option<Facts>,
    pub(super) away: Option<Away>,
    /// Records a second, read and durable.
    pub(super) totals: Option<(f64, f64)>,
    rows: Vec<Row>,
    /// `None` = the node's order.
    pub(super) sorted_by: Option<Column>,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// The filter is being typed.
    pub(super) typing: bool,
    /// By name, so that it stays on its actor when the order changes.
    selected: Option<String>,
    pub(super) detail: bool,
    pub(super) events: bool,
    pub(super) colours: bool,
}

impl Model {
    pub(super) fn new(url: &str, colours: bool, now_us: i64) -> Self {
        Self { url: url.to_owned(), colours, now_us, events: true, ..Self::default() }
    }

    /// The node answered.
    pub(super) fn saw(&mut self, facts: Facts) {
        let before = self.facts.as_ref();
        self.rows = row::rows(before, &facts);
        self.totals = row::totals(before, &facts);
        (self.now_us, self.away) = (facts.at_us, None);
        self.facts = Some(facts);
    }

    /// It did not. What it last said stays in view, and is marked as what it is.
    pub(super) fn missed(&mut self, why: String, now_us: i64) {
        self.now_us = now_us;
        let since_us = self.away.as_ref().map_or(now_us, |away| away.since_us);
        self.away = Some(Away { since_us, why });
    }

    /// The actors as they are to be shown.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let mut rows: Vec<&Row> =
            self.rows.iter().filter(|row| has(&row.name) || has(&row.kind) || has(&row.state)).collect();
        if let Some(column) = self.sorted_by {
            rows.sort_by(|a, b| column.compare(a, b));
        }
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    /// All of them, whatever the filter: so that columns do not jump while it is typed.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The place of the selected one among those shown.
    pub(super) fn position(&self) -> usize {
        let shown = self.shown();
        let at = self.selected.as_ref().and_then(|name| shown.iter().position(|row| row.name == *name));
        at.unwrap_or(0)
    }

    /// The selected one, as its line and as the node tells of it.
    pub(super) fn chosen(&self) -> Option<(&Row, &Actor)> {
        let row = *self.shown().get(self.position())?;
        let actor = self.facts.as_ref()?.actors.iter().find(|actor| actor.name == row.name)?;
        Some((row, actor))
    }

    /// A key was struck.
    pub(super) fn strike(&mut self, key: KeyEvent) -> Turn {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Turn::Leave;
        }
        if self.typing {
            self.type_filter(key.code);
            return Turn::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Turn::Leave,
            KeyCode::Esc if self.detail => self.detail = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Enter => self.detail = !self.detail,
            KeyCode::Char('e') => self.events = !self.events,
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('s' | '>') | KeyCode::Right => self.sort_by(1),
            KeyCode::Char('S' | '<') | KeyCode::Left => self.sort_by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::PageDown => self.select(10),
            KeyCode::PageUp => self.select(-10),
            KeyCode::Home => self.select(isize::MIN),
            KeyCode::End => self.select(isize::MAX),
            _ => {}
        }
        Turn::Stay
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(letter) if self.filter.len() < 64 => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.typing = false;
            }
            _ => {}
        }
    }

    /// One column on; beyond the last is the node's own order.
    fn sort_by(&mut self, step: isize) {
        let places = column::ALL.len() as isize + 1;
        let at = self.sorted_by.and_then(|by| column::ALL.iter().position(|column| *column == by));
        let next = (at.map_or(0, |at| at as isize + 1) + step).rem_euclid(places);
        self.sorted_by = (next > 0).then(|| column::ALL[next as usize - 1]);
    }

    fn select(&mut self, step: isize) {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1) as isize;
        let next = (self.position() as isize).saturating_add(step).clamp(0, last);
        self.selected = shown.get(next as usize).map(|row| row.name.clone());
    }
}
