//! `aqueduct demo`: recorded and synthetic trades from a real Kafka into a real TimescaleDB and Redis, watched live.
//!
//! It runs what `aqueduct run` runs, assembled by the same function; only the stack, the feed and the display are its
//! own. Everything it started is gone when it ends.

mod feeding;
mod screen;

use crate::environment::variable;
use crate::exit::Exit;
use crate::migrate;
use crate::output;
use crate::settings::Flags;
use crate::{file, node, run};
use anyhow::{Context, Result};
use aqueduct_engine::Outcome;
use aqueduct_engine::application::Handle;
use aqueduct_engine::telemetry::log;
use aqueduct_stack::{Lifetime, Options, Stack, progress};
use aqueduct_topology::model::Topology;
use feeding::Feeding;
use screen::{REPAINT, Screen, Totals};
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
    let stack = Stack::up(&Options::from_env("demo", Lifetime::Private)?, &*progress::on_stderr())?;
    let topology = prepare(&stack)?;
    let feeding = Feeding::start(&stack.kafka_bootstrap(), TOPIC, arguments.rate)?;
    let (hints, seconds) = (hints(&stack), arguments.seconds.map(Duration::from_secs));
    let outcome = node::run(topology, &settings, None, |handle| watch(handle, feeding, hints, seconds))?;
    report(&outcome, arguments.json)?;
    Ok(Exit::Runtime(outcome.exit_code))
}

/// Topic, tables, and the topology with the stack's addresses.
fn prepare(stack: &Stack) -> Result<Topology> {
    let example =
        aqueduct_config::topologies::example(EXAMPLE).context("the example is part of the binary")?;
    // The recorded messages are years old, and retention counts from a record's time.
    if let Err(error) = stack.create_topic(TOPIC, PARTITIONS, &[("retention.ms", "-1")]) {
        crate::output::say!("topic {TOPIC} is used as it is: {error}");
    }
    let addresses = stack.env();
    let environment = |name: &str| {
        let own = addresses.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        own.or_else(|| variable(name))
    };
    let topology =
        file::parse("md-trades/topology.yaml", example.text.as_bytes().to_vec(), &environment).accepted()?;
    migrate::up_example(&topology, &example)?;
    Ok(topology)
}

/// The lines with which to look for oneself.
fn hints(stack: &Stack) -> Vec<String> {
    let psql = stack.psql_command().map(|command| {
        format!("{command} -c 'select venue, symbol, price, qty, side, ts from market.trades order by ts desc limit 10'")
    });
    let redis = stack.redis_cli_command().map(|command| format!("{command} hgetall last:binance:SYN000-USD"));
    [psql, redis].into_iter().flatten().collect()
}

/// Paints until the time is over, then ends the feed and lets the node drain.
async fn watch(handle: Handle, feeding: Feeding, hints: Vec<String>, seconds: Option<Duration>) {
    let clock = aqueduct_engine::Clock::system();
    let began = clock.now();
    let mut screen = Screen::new(hints);
    while seconds.is_none_or(|seconds| clock.now() - began < seconds) {
        clock.sleep(REPAINT).await;
        screen.paint(&handle, feeding.sent());
    }
    let sent = feeding.finish().unwrap_or_else(|error| {
        tracing::error!(%error, "the feed failed");
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
        crate::output::say!("\n{}", screen::ledger_line(Totals::of(&outcome.ledger)));
    }
    Ok(())
}
