//! The work that is measured: a topic full of trades, and an empty hypertable for them.

use anyhow::{Context, Result};
use aqueduct_stack::feed::Feed;
use aqueduct_stack::market::{Market, Shape};
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};
use tokio_postgres::{Client, NoTls};

/// Partitions of the topic, unless they are what is varied.
pub const PARTITIONS: u32 = 4;
/// Symbols traded, unless they are what is varied: keys in the cache.
pub const SYMBOLS: usize = 200;
/// The first trade: 2026-11-23T06:00Z, microseconds since 1970.
const START_US: i64 = 1_795_413_600_000_000;
/// Trades are a millisecond apart, so that no two have one time.
const STEP_US: i64 = 1_000;
/// Last trades of how many symbols are looked for to know that all is there.
const LAST_MAX: usize = 256;

/// Which work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Flat ticks.
    Ticks,
    /// Six venues' formats, nested.
    Venues,
    /// The same, each row held to five conditions.
    Conditions,
}

impl Work {
    /// All.
    pub const ALL: [Work; 3] = [Work::Ticks, Work::Venues, Work::Conditions];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Work::Ticks => "ticks",
            Work::Venues => "venues",
            Work::Conditions => "conditions",
        }
    }

    /// Its name in reports.
    pub fn title(self) -> &'static str {
        match self {
            Work::Ticks => "flat ticks",
            Work::Venues => "six venues, nested",
            Work::Conditions => "six venues, nested, five conditions",
        }
    }

    /// The topology that does it, with both sinks.
    pub fn topology(self) -> &'static str {
        match self {
            Work::Ticks => include_str!("../topologies/ticks.yaml"),
            Work::Venues => include_str!("../topologies/venues.yaml"),
            Work::Conditions => include_str!("../topologies/conditions.yaml"),
        }
    }

    pub(crate) fn shape(self) -> Shape {
        match self {
            Work::Ticks => Shape::Flat,
            Work::Venues | Work::Conditions => Shape::Venues,
        }
    }

    fn create_table(self) -> &'static str {
        match self {
            Work::Ticks => {
                "DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;
                 CREATE TABLE bench.trades (ts timestamptz NOT NULL, symbol text NOT NULL, venue text NOT NULL,
                   price double precision NOT NULL, size double precision NOT NULL, side text NOT NULL,
                   trade_id bigint NOT NULL);
                 SELECT create_hypertable('bench.trades', by_range('ts', INTERVAL '1 hour'));"
            }
            Work::Venues | Work::Conditions => {
                "DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;
                 CREATE TABLE bench.trades (venue text NOT NULL, ts timestamptz NOT NULL, symbol text NOT NULL,
                   price numeric(38,18) NOT NULL, qty numeric(38,18) NOT NULL, side text NOT NULL,
                   trade_id text NOT NULL);
                 SELECT create_hypertable('bench.trades', by_range('ts', INTERVAL '1 hour'));"
            }
        }
    }
}

/// Where the rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sinks {
    /// TimescaleDB alone.
    History,
    /// TimescaleDB, and the last value of each key in Redis.
    Both,
}

impl Sinks {
    /// Its name in reports.
    pub fn title(self) -> &'static str {
        match self {
            Sinks::History => "TimescaleDB alone",
            Sinks::Both => "TimescaleDB and Redis",
        }
    }
}

/// What a topic holds.
#[derive(Clone, Debug)]
pub struct Load {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// Whose messages they are.
    pub work: Work,
    /// Kafka records.
    pub messages: u64,
    /// Trades in them: rows expected, each with a time of its own.
    pub rows: u64,
    /// Times of the last trades of symbols. A symbol's trades keep their order on every path, so once all of these are
    /// there, at most a retry is missing.
    pub last: Vec<SystemTime>,
}

/// When the `index`-th trade happened.
pub fn time_of(index: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros((START_US + index as i64 * STEP_US) as u64)
}

/// A market for `work`, whose first trade is the `skipped`-th.
pub fn market(work: Work, symbols: usize, skipped: u64) -> Market {
    Market::new(work.shape(), 7, symbols, START_US + skipped as i64 * STEP_US, STEP_US)
}

/// Sends `market` to `topic`, which is empty, until that holds at least `rows` trades.
pub fn fill(
    bootstrap: &str,
    topic: String,
    partitions: u32,
    work: Work,
    rows: u64,
    mut market: Market,
) -> Result<Load> {
    let feed = Feed::new(bootstrap, &topic)?;
    let mut last: HashMap<String, SystemTime> = HashMap::new();
    let mut messages = 0;
    while market.trades() < rows {
        let Some(message) = market.next() else { break };
        feed.send(Some(message.key.as_bytes()), Some(message.value.as_bytes()), Some(message.time_ms))?;
        messages += 1;
        last.insert(
            message.key,
            SystemTime::UNIX_EPOCH + Duration::from_micros(market.last_us().unsigned_abs()),
        );
    }
    feed.flush()?;
    let mut last: Vec<SystemTime> = last.into_values().collect();
    last.sort_unstable();
    let last = last.split_off(last.len().saturating_sub(LAST_MAX));
    Ok(Load { topic, partitions, work, messages, rows: market.trades(), last })
}

/// A connection whose driver runs on the caller's runtime.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect to TimescaleDB")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark's own connection; there is no supervisor here"
    )]
    tokio::task::spawn_local(async move {
        // An error here shows as an error of the next query.
        let _ = connection.await;
    });
    Ok(client)
}

/// An empty hypertable for `work`. What earlier runs left to be written is written first, so that nobody pays for another.
pub async fn empty_table(client: &Client, work: Work) -> Result<()> {
    client.batch_execute(work.create_table()).await.context("create the table")?;
    // Not every user of a server of one's own may ask for it.
    let _ = client.batch_execute("CHECKPOINT").await;
    Ok(())
}

/// What the table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Rows.
    pub rows: u64,
    /// Different trades among them.
    pub distinct: u64,
}

/// Counts the table.
pub async fn count(client: &Client) -> Result<Found> {
    let row = client.query_one("SELECT count(*), count(DISTINCT ts) FROM bench.trades", &[]).await?;
    let (rows, distinct): (i64, i64) = (row.get(0), row.get(1));
    Ok(Found { rows: rows as u64, distinct: distinct as u64 })
}
