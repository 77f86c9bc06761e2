//! `aqueduct demo`: recorded and synthetic trades through the sample topology, watched live.
//!
//! It runs what `aqueduct run` runs, assembled by the same function. Around it stand a private Kafka, TimescaleDB and
//! Redis ([`on_stack`]), or, with `--in-process` and where those cannot be had, a broker and stores in memory
//! ([`in_process`]); a banner says which. Everything it started is gone when it ends.
//!
//! Only what the machine lacks, known before anything is fetched or started, leads to memory unasked. Where servers of
//! one's own are named, or fetching or starting fails on the way, that is an error: what was asked for is broken.

mod banner;
mod feeding;
mod in_process;
mod on_stack;
mod screen;

use crate::exit::Exit;
use crate::output;
use crate::run;
use crate::settings::Flags;
use anyhow::{Context, Result};
use aqueduct_config::topologies::Example;
use aqueduct_engine::Outcome;
use aqueduct_engine::application::Handle;
use aqueduct_engine::ledger::{Counts, LedgerRow};
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::telemetry::log;
use aqueduct_stack::{Error, Lifetime, Missing, Options, Own, Stack, progress};
use feeding::Feeding;
use screen::{Look, REPAINT, Screen};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The example that the demo runs.
const EXAMPLE: &str = "md-trades";
/// The topic that it reads.
const TOPIC: &str = "md.raw";
/// Partitions of the topic.
const PARTITIONS: u32 = 4;
/// Once nothing has been left to do for so long, a demo of fixed length is over.
const IDLE: Duration = Duration::from_secs(1);
/// A demo of fixed length that has not caught up so long after the feed ended drains as it is, and says what is left.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Synthetic trades a second, after the recorded messages.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// End alone after so many seconds of feeding.
    #[arg(long)]
    seconds: Option<u64>,
    /// Print the ledger as JSON at the end.
    #[arg(long)]
    json: bool,
    /// Need nothing but this binary: a mock broker and stores in memory in place of Kafka, TimescaleDB and Redis.
    #[arg(long)]
    in_process: bool,
    #[command(flatten)]
    flags: Flags,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let mut settings = arguments.flags.settings()?;
    // The display is the demo's voice; the log keeps to what went wrong unless somebody asks for more.
    if !arguments.flags.names_log() {
        settings.log.filter = "error".to_owned();
    }
    log::install(&settings.log)?;
    if !arguments.flags.names_admin() && std::net::TcpListener::bind(settings.admin.listen).is_err() {
        // Somebody else has the usual port; the page is shown with its address anyway.
        settings.admin.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    }
    let outcome = match stage(arguments.in_process)? {
        Stage::Stack(stack) => on_stack::run(arguments, &settings, &stack)?,
        Stage::Memory(lacking) => {
            output::say!("{}", banner::in_process(&lacking));
            in_process::run(arguments, &settings)?
        }
    };
    report(&outcome, arguments.json)?;
    Ok(Exit::Runtime(outcome.exit_code))
}

/// What the topology runs among.
enum Stage {
    Stack(Box<Stack>),
    /// With what the machine lacks for the stack; empty = asked for.
    Memory(Vec<Missing>),
}

fn stage(in_process: bool) -> Result<Stage> {
    if in_process {
        return Ok(Stage::Memory(Vec::new()));
    }
    let up = |options: Options| Stack::up(&options, &*progress::on_stderr());
    match Options::from_env("demo", Lifetime::Private).and_then(up) {
        Ok(stack) => Ok(Stage::Stack(Box::new(stack))),
        // Whoever names servers wants those.
        Err(Error::Missing(lacking)) if Own::from_env() == Own::default() => Ok(Stage::Memory(lacking)),
        Err(error) => Err(error).context("no stack; `aqueduct demo --in-process` needs none"),
    }
}

fn example() -> Result<Example> {
    aqueduct_config::topologies::example(EXAMPLE).context("the example is part of the binary")
}

/// Paints until the time is over, then ends the feed and lets the node drain.
async fn watch(handle: Handle, feeding: Feeding, look: Look, seconds: Option<Duration>) {
    let clock = aqueduct_engine::Clock::system();
    let began = clock.now();
    let mut screen = Screen::new(look);
    while seconds.is_none_or(|seconds| clock.now() - began < seconds) {
        clock.sleep(REPAINT).await;
        feeding.has_been_read(handle.registry().ledger().totals().read);
        screen.paint(&handle, feeding.sent());
    }
    let sent = feeding.finish().unwrap_or_else(|error| {
        tracing::error!(event = event_ids::FEED_FAILED, %error, "the feed failed");
        0
    });
    handle.drain_when_idle(IDLE).await;
    let deadline = clock.now() + CATCH_UP_MAX;
    loop {
        clock.sleep(REPAINT).await;
        screen.paint(&handle, sent);
        if clock.now() > deadline {
            handle.drain().await;
        }
    }
}

fn report(outcome: &Outcome, json: bool) -> Result<()> {
    let format = if json { output::Format::Json } else { output::Format::Text };
    run::report(outcome, format)?;
    if !json {
        let total: Counts = outcome.ledger.iter().map(LedgerRow::counts).sum();
        output::say!("\n{total}");
    }
    Ok(())
}
