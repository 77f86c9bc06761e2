//! Progress of long work: bars on a terminal, plain lines elsewhere. The caller passes where it goes.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Receives what a long operation has to say; called from several threads.
pub trait Progress: Send + Sync {
    /// A line for the reader, such as what will be downloaded.
    fn note(&self, line: &str);
    /// `task` has done `done` of about `total` steps and is at `step` now.
    fn step(&self, task: &str, done: u64, total: u64, step: &str);
    /// `task` is complete.
    fn finish(&self, task: &str, result: &str);
}

/// Bars if the standard error is a terminal, else plain lines there.
#[must_use]
pub fn on_stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::new(std::io::stderr()))
    }
}

/// Says nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn note(&self, _line: &str) {}
    fn step(&self, _task: &str, _done: u64, _total: u64, _step: &str) {}
    fn finish(&self, _task: &str, _result: &str) {}
}

/// One bar a task, for terminals.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
    by_task: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Progress for Bars {
    fn note(&self, line: &str) {
        // A terminal that has gone away is no reason to stop.
        let _ = self.all.println(line);
    }

    fn step(&self, task: &str, done: u64, total: u64, step: &str) {
        let mut bars = self.by_task.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(task.to_owned()).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{prefix:>22} [{bar:30}] {percent:>3}% {elapsed} {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            self.all.add(
                ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_prefix(task.to_owned()),
            )
        });
        bar.set_length(total);
        bar.set_position(done.min(total));
        bar.set_message(step.to_owned());
    }

    fn finish(&self, task: &str, result: &str) {
        let bar = self.by_task.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.note(&format!("{task}: {result}"));
    }
}

/// So many steps are each worth a line.
const FEW: u64 = 20;

/// Plain lines: notes, results, each step of a task of a few, else one whenever another tenth of it is done.
#[derive(Debug)]
pub struct Lines<W> {
    /// And the last line of each task.
    to: Mutex<(W, BTreeMap<String, String>)>,
}

impl<W: Write + Send> Lines<W> {
    /// Lines written to `writer`.
    pub fn new(writer: W) -> Self {
        Lines { to: Mutex::new((writer, BTreeMap::new())) }
    }

    fn line(&self, line: &str) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed pipe is no reason to stop.
        let _ = writeln!(to.0, "{line}").and_then(|()| to.0.flush());
    }
}

impl<W: Write + Send> Progress for Lines<W> {
    fn note(&self, line: &str) {
        self.line(line);
    }

    fn step(&self, task: &str, done: u64, total: u64, step: &str) {
        let tenth = done.min(total) * 10 / total.max(1);
        let at = format!("{tenth} {}", if total <= FEW { step } else { "" });
        let news = {
            let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
            to.1.insert(task.to_owned(), at.clone()) != Some(at)
        };
        if news {
            self.line(&format!("{task}: {}% {step}", tenth * 10));
        }
    }

    fn finish(&self, task: &str, result: &str) {
        self.line(&format!("{task}: {result}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_repeat_a_task_only_when_a_tenth_has_passed() {
        let lines = Lines::new(Vec::new());
        for done in 0..=100 {
            lines.step("fetch", done, 100, "x");
        }
        let text = String::from_utf8(lines.to.into_inner().unwrap().0).unwrap();
        assert_eq!(text.lines().count(), 11, "{text}");
        assert_eq!(text.lines().last(), Some("fetch: 100% x"));
    }

    #[test]
    fn each_step_of_a_few_has_a_line() {
        let lines = Lines::new(Vec::new());
        for step in ["a starts", "b starts", "b starts", "a is healthy"] {
            lines.step("up", 0, 11, step);
        }
        let text = String::from_utf8(lines.to.into_inner().unwrap().0).unwrap();
        assert_eq!(text, "up: 0% a starts\nup: 0% b starts\nup: 0% a is healthy\n");
    }
}
