//! One frame as plain text: two looks, so that there are rates, and every line there is.

use super::facts::{Facts, look};
use super::model::Model;
use super::{now_us, view};
use crate::exit::Exit;
use crate::http::Node;
use anyhow::Result;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use std::io::Write;
use std::thread;
use std::time::Duration;

/// Wide enough for every column, and a reason.
const WIDTH: u16 = 160;
/// Lines beside those of the actors.
const LINES_MAX: u16 = 20;

/// Prints it.
pub(super) fn run(node: &Node, interval: Duration) -> Result<Exit> {
    let mut model = Model::new(node.shown(), false, now_us());
    let first = look(node, &Facts::default(), now_us())?;
    model.saw(first.clone());
    thread::sleep(interval);
    model.saw(look(node, &first, now_us())?);
    std::io::stdout().write_all(text(&model).as_bytes())?;
    Ok(Exit::Ok)
}

/// The frame without what nobody can strike a key on.
pub(super) fn text(model: &Model) -> String {
    let height = (model.rows().len() as u16).saturating_add(LINES_MAX);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(WIDTH, height));
    let Ok(frame) = terminal.draw(|frame| view::draw(model, frame));
    let mut lines = lines(frame.buffer);
    // The last line names keys.
    lines.pop();
    let last = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines.truncate(last);
    // Between the table and what follows it there is room for more actors than there are.
    lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What is on each line, without what ends it.
pub(super) fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let line = |y| {
        let text: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        text.trim_end().to_owned()
    };
    (0..area.height).map(line).collect()
}
