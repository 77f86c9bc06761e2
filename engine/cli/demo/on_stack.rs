//! The demo among real servers: a private Kafka, TimescaleDB and Redis, or those that the environment names.

use super::feeding::{Ahead, Feeding};
use super::screen::Look;
use super::{Arguments, PARTITIONS, TOPIC, example, watch};
use crate::environment::variable;
use crate::settings::Settings;
use crate::{file, migrate, node, output};
use anyhow::Result;
use aqueduct_engine::Outcome;
use aqueduct_stack::Stack;
use aqueduct_topology::model::Topology;
use std::time::Duration;

pub(super) fn run(arguments: &Arguments, settings: &Settings, stack: &Stack) -> Result<Outcome> {
    let topology = prepare(stack)?;
    let feeding = Feeding::start(&stack.kafka_bootstrap(), TOPIC, arguments.rate, Ahead::AsFarAsItGets)?;
    let look = Look { title: "look for yourself:", lines: look_up(stack) };
    let seconds = arguments.seconds.map(Duration::from_secs);
    node::run(topology, settings, None, |handle| watch(handle, feeding, look, seconds))
}

/// Topic, tables, and the topology with the stack's addresses.
fn prepare(stack: &Stack) -> Result<Topology> {
    let example = example()?;
    // The recorded messages are years old, and retention counts from a record's time.
    if let Err(error) = stack.create_topic(TOPIC, PARTITIONS, &[("retention.ms", "-1")]) {
        output::say!("topic {TOPIC} is used as it is: {error}");
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
fn look_up(stack: &Stack) -> Box<dyn Fn() -> Vec<String>> {
    let psql = stack.psql_command().map(|command| {
        format!("{command} -c 'select venue, symbol, price, qty, side, ts from market.trades order by ts desc limit 10'")
    });
    let redis = stack.redis_cli_command().map(|command| format!("{command} hgetall last:binance:SYN000-USD"));
    let lines: Vec<String> = [psql, redis].into_iter().flatten().collect();
    Box::new(move || lines.clone())
}
