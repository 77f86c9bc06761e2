//! The demo in this process alone: librdkafka's mock broker, and stores in memory.
//!
//! It may run for days, so everything is bounded: the broker keeps the newest 5 MiB of a partition (librdkafka's own
//! bound), tables the newest [`ROWS_MAX`] rows, and the market has so many symbols and no more. The feed waits before the
//! broker would have to forget what was not read.

use super::feeding::{Ahead, Feeding};
use super::screen::Look;
use super::{Arguments, EXAMPLE, PARTITIONS, TOPIC, example, watch};
use crate::settings::Settings;
use crate::{file, node, output};
use anyhow::{Context, Result};
use aqueduct_actors::stand_in::{Content, Hash, Live};
use aqueduct_engine::{Clock, Outcome};
use aqueduct_topology::model::Topology;
use rdkafka::mocking::MockCluster;
use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

/// Rows that a table keeps.
const ROWS_MAX: usize = 1_000;
/// How often they forget what is beyond that.
const TRIM_EVERY: Duration = Duration::from_millis(250);
/// Rows of a table, and hashes of a cache, that are shown.
const SHOWN: usize = 3;
/// Characters of a line.
const LINE_MAX: usize = 110;
/// Most messages that wait in the broker: some 250 bytes each, less once compressed, four partitions of 5 MiB.
const AHEAD_MAX: u64 = 30_000;

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<Outcome> {
    let cluster = MockCluster::new(1).context("start the mock broker")?;
    cluster.create_topic(TOPIC, PARTITIONS as i32, 1).context("create the topic")?;
    let topology = prepare(&cluster.bootstrap_servers())?;
    let feeding =
        Feeding::start(&cluster.bootstrap_servers(), TOPIC, arguments.rate, Ahead::AtMost(AHEAD_MAX))?;
    let seconds = arguments.seconds.map(Duration::from_secs);
    let stores = Rc::new(OnceCell::new());
    let (shown, bounded) = (stores.clone(), stores.clone());
    let look = Look {
        title: "newest in memory:",
        lines: Box::new(move || shown.get().map(newest).unwrap_or_default()),
    };
    let outcome = node::run_among(
        topology,
        settings,
        |topology, node| {
            let live = Live::new(topology, node.name.clone(), node.clock.clone(), node.claims.clone());
            let (kinds, offsets) = (live.clone(), live.offsets());
            // Set once: this is the only assembly.
            let _ = stores.set(live);
            Ok(node::Surroundings::among(Box::new(move |actor| kinds.factory(actor)), offsets))
        },
        |handle| async move {
            futures::join!(watch(handle, feeding, look, seconds), keep_bounded(bounded));
        },
    )?;
    if let Some(stores) = stores.get().filter(|_| !arguments.json) {
        output::say!("newest in memory:\n  {}\n", newest(stores).join("\n  "));
    }
    Ok(outcome)
}

/// Lets the tables forget, as long as it is not dropped.
async fn keep_bounded(stores: Rc<OnceCell<Live>>) {
    let clock = Clock::system();
    loop {
        clock.sleep(TRIM_EVERY).await;
        if let Some(stores) = stores.get() {
            stores.trim(ROWS_MAX);
        }
    }
}

/// The topology with the broker's address. The other addresses are never opened: they name what stands there instead.
fn prepare(bootstrap: &str) -> Result<Topology> {
    let environment = |name: &str| match name {
        "KAFKA_BOOTSTRAP" => Some(bootstrap.to_owned()),
        "TIMESCALE_URL" => Some("postgres://in-process@memory/demo".to_owned()),
        "REDIS_URL" => Some("redis://memory/0".to_owned()),
        _ => None,
    };
    let name = format!("{EXAMPLE}/topology.yaml");
    file::parse(&name, example()?.text.as_bytes().to_vec(), &environment).accepted()
}

/// The newest rows of each table, and the newest entries of each cache.
fn newest(stores: &Live) -> Vec<String> {
    let shown = |(store, content): (String, Content)| -> Vec<String> {
        match content {
            Content::Rows(rows) => rows
                .iter()
                .rev()
                .take(SHOWN)
                .map(|row| cut(format!("{store:<12} {}", values(&row.json))))
                .collect(),
            Content::Hashes(hashes) => {
                let mut hashes: Vec<(String, Hash)> = hashes.into_iter().collect();
                hashes.sort_by(|(_, a), (_, b)| b.order.cmp(&a.order));
                let line = |(key, hash): &(String, Hash)| {
                    let fields = hash.fields.iter().map(|(_, value)| plain(value));
                    cut(format!("{store:<12} {key}: {}", fields.collect::<Vec<_>>().join("  ")))
                };
                hashes.iter().take(SHOWN).map(line).collect()
            }
        }
    };
    stores.contents().into_iter().flat_map(shown).collect()
}

/// The values of a row, without their names.
fn values(row: &str) -> String {
    let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(row).unwrap_or_default();
    let value = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), plain);
    row.values().filter(|value| !value.is_null()).map(value).collect::<Vec<_>>().join("  ")
}

/// A decimal without the zeros that only fill its scale.
fn plain(value: &str) -> String {
    let is_decimal =
        value.contains('.') && value.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    let short = if is_decimal { value.trim_end_matches('0').trim_end_matches('.') } else { value };
    short.to_owned()
}

/// A line that fits.
fn cut(line: String) -> String {
    line.chars().take(LINE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_by_its_values() {
        let row = r#"{"venue":"okx","price":"10.500000","qty":"100.00","id":7,"at":"2026-11-24T00:00:00.100000Z","x":null}"#;
        assert_eq!(values(row), "okx  10.5  100  7  2026-11-24T00:00:00.100000Z");
    }
}
