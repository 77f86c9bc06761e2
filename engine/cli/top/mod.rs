//! `aqueduct top`: a node in a terminal, with the same facts as its page.
//!
//! [`model`] and [`view`] are pure; [`screen`] owns the terminal and gives it back however this ends; the node is asked
//! from a thread of its own, so that one which does not answer keeps no key waiting.

mod column;
mod facts;
mod model;
mod once;
mod row;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use crate::exit::Exit;
use crate::http::Node;
use anyhow::{Result, bail};
use aqueduct_engine::Clock;
use facts::{Facts, look};
use model::{Model, Turn};
use screen::{News, Screen};
use std::io::IsTerminal;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

/// How soon a key or an answer is seen.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print what there is once, without colours, and end: for pipes.
    #[arg(long)]
    once: bool,
    /// How often the node is asked, such as `500ms`; 200ms at least.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    node: Node,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval =
        aqueduct_topology::duration(text).filter(|interval| *interval >= Duration::from_millis(200));
    interval.ok_or_else(|| format!("`{text}` is no interval; write 200ms or longer, such as 1s"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    if arguments.once {
        return once::run(&arguments.node, arguments.interval);
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        bail!("this is no terminal; `aqueduct top --once` prints into a pipe");
    }
    // An address that is none will not become one by asking again.
    if let Err(error) = arguments.node.get("/livez")
        && !error.is::<crate::exit::NoAnswer>()
    {
        return Err(error);
    }
    let (news, coming) = mpsc::sync_channel(1);
    let node = Node { url: arguments.node.url.clone() };
    let (asking, interval) = (news.clone(), arguments.interval);
    thread::Builder::new().name("node".into()).spawn(move || ask(&node, interval, &asking))?;
    let mut screen = Screen::open(news)?;
    show(&mut screen, &coming, Model::new(arguments.node.shown(), crate::output::colours(), now_us()))
}

/// Until a key, a signal or a terminal that is gone ends it.
fn show(screen: &mut Screen, coming: &Receiver<News>, mut model: Model) -> Result<Exit> {
    loop {
        screen.draw(&model)?;
        if let Some(key) = screen.key(LOOK)?
            && model.strike(key) == Turn::Leave
        {
            return Ok(Exit::Ok);
        }
        while let Ok(news) = coming.try_recv() {
            match news {
                News::Saw(facts) => model.saw(*facts),
                News::Missed(why) => model.missed(why, now_us()),
                News::Signal => return Ok(Exit::Ok),
            }
        }
        model.now_us = now_us();
    }
}

/// Asks the node again and again, until nobody wants to know.
fn ask(node: &Node, interval: Duration, news: &SyncSender<News>) {
    let mut before = Facts::default();
    loop {
        let seen = match look(node, &before, now_us()) {
            Ok(facts) => {
                before = facts.clone();
                News::Saw(Box::new(facts))
            }
            Err(error) => News::Missed(format!("{:#}", error.root_cause())),
        };
        if news.send(seen).is_err() {
            return;
        }
        thread::sleep(interval);
    }
}

fn now_us() -> i64 {
    Clock::system().wall_us()
}
