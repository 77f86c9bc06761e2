//! The work that is measured: a topic full of trades, and an empty hypertable for them.

use anyhow::{Context, Result};
use aqueduct_stack::feed::Feed;
use aqueduct_stack::market::{Market, Shape};
use tokio_postgres::{Client, NoTls};

/// Partitions of the topic.
pub const PARTITIONS: i32 = 4;
/// Symbols traded: keys in the cache.
const SYMBOLS: usize = 200;
/// The first trade: 2026-11-23T06:00Z, microseconds since 1970.
const START_US: i64 = 1_795_413_600_000_000;
/// Trades are a millisecond apart.
const STEP_US: i64 = 1_000;

/// Which work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// Flat ticks.
    Ticks,
    /// Six venues' formats.
    Venues,
}

impl Work {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Work::Ticks => "ticks",
            Work::Venues => "venues",
        }
    }

    /// The table its rows go to.
    pub fn table(self) -> &'static str {
        match self {
            Work::Ticks => "bench.ticks",
            Work::Venues => "bench.trades",
        }
    }

    fn shape(self) -> Shape {
        match self {
            Work::Ticks => Shape::Flat,
            Work::Venues => Shape::Venues,
        }
    }

    fn create_table(self) -> &'static str {
        match self {
            Work::Ticks => {
                "DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;
                 CREATE TABLE bench.ticks (ts timestamptz NOT NULL, symbol text NOT NULL, venue text NOT NULL,
                   price double precision NOT NULL, size double precision NOT NULL, side text NOT NULL,
                   trade_id bigint NOT NULL);
                 SELECT create_hypertable('bench.ticks', by_range('ts', INTERVAL '1 hour'));"
            }
            Work::Venues => {
                "DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench;
                 CREATE TABLE bench.trades (venue text NOT NULL, ts timestamptz NOT NULL, symbol text NOT NULL,
                   price numeric(38,18) NOT NULL, qty numeric(38,18) NOT NULL, side text NOT NULL,
                   trade_id text NOT NULL);
                 SELECT create_hypertable('bench.trades', by_range('ts', INTERVAL '1 hour'));"
            }
        }
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Kafka records.
    pub messages: u64,
    /// Trades in them: rows expected.
    pub rows: u64,
}

/// Fills `topic` until it holds at least `rows` trades.
pub fn fill(work: Work, bootstrap: &str, topic: &str, rows: u64) -> Result<Sent> {
    let feed = Feed::new(bootstrap, topic)?;
    let mut market = Market::new(work.shape(), 7, SYMBOLS, START_US, STEP_US);
    let mut messages = 0;
    while market.trades() < rows {
        let chunk = (rows - market.trades()).clamp(1, 10_000).div_ceil(2);
        feed.send_market(&mut market, chunk)?;
        messages += chunk;
    }
    feed.flush()?;
    Ok(Sent { messages, rows: market.trades() })
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

/// An empty hypertable for `work`.
pub async fn empty_table(client: &Client, work: Work) -> Result<()> {
    client.batch_execute(work.create_table()).await.context("create the table")?;
    Ok(())
}

/// How many rows the table holds.
pub async fn count_rows(client: &Client, work: Work) -> Result<u64> {
    let query = match work {
        Work::Ticks => "SELECT count(*), count(DISTINCT trade_id) FROM bench.ticks",
        Work::Venues => "SELECT count(*), count(DISTINCT trade_id) FROM bench.trades",
    };
    let row = client.query_one(query, &[]).await?;
    let (rows, distinct): (i64, i64) = (row.get(0), row.get(1));
    anyhow::ensure!(rows == distinct, "{} rows but {} distinct trades", rows, distinct);
    Ok(rows as u64)
}
