//! The terminal: taken over, and given back as it was, on a key, an error, a panic or a signal.

use super::facts::Facts;
use super::model::Model;
use super::view;
use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What comes from elsewhere than the keyboard.
pub(super) enum News {
    Saw(Box<Facts>),
    Missed(String),
    /// Somebody wants this to end.
    Signal,
}

/// See the module's page. Ctrl-C is a key here, as the terminal hands over every key.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal over. A panic gives it back before it is told.
    pub(super) fn open(news: SyncSender<News>) -> Result<Self> {
        thread::Builder::new().name("signals".into()).spawn(move || {
            if signalled().is_ok() {
                let _ = news.send(News::Signal);
            }
        })?;
        Ok(Self { terminal: ratatui::try_init().context("the terminal cannot be taken over")? })
    }

    pub(super) fn draw(&mut self, model: &Model) -> Result<()> {
        self.terminal.draw(|frame| view::draw(model, frame))?;
        Ok(())
    }

    /// The next key within `wait`.
    pub(super) fn key(&mut self, wait: Duration) -> Result<Option<KeyEvent>> {
        if !event::poll(wait)? {
            return Ok(None);
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => Ok(Some(key)),
            _ => Ok(None),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Returns once the process is told to end.
fn signalled() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
