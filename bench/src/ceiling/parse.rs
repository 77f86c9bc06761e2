//! Typed parsing, as one writes it by hand for exactly these messages.

use crate::workload::Work;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::borrow::Cow;

/// One trade. Numbers stay text where the table wants exact decimals.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) ts_us: i64,
    pub(crate) symbol: String,
    pub(crate) venue: &'static str,
    pub(crate) price: String,
    pub(crate) qty: String,
    pub(crate) price_f64: f64,
    pub(crate) qty_f64: f64,
    pub(crate) side: &'static str,
    pub(crate) trade_id: u64,
}

#[derive(Deserialize)]
struct Tick<'a> {
    symbol: &'a str,
    venue: &'a str,
    ts: &'a str,
    price: f64,
    size: f64,
    side: &'a str,
    trade_id: u64,
}

#[derive(Deserialize)]
struct Binance<'a> {
    #[serde(borrow)]
    data: BinanceData<'a>,
}

#[derive(Deserialize)]
#[allow(non_snake_case)]
struct BinanceData<'a> {
    s: &'a str,
    a: u64,
    p: &'a str,
    q: &'a str,
    T: i64,
    m: bool,
}

#[derive(Deserialize)]
struct Okx<'a> {
    #[serde(borrow)]
    data: Vec<OkxTrade<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OkxTrade<'a> {
    inst_id: &'a str,
    trade_id: &'a str,
    px: &'a str,
    sz: &'a str,
    side: &'a str,
    ts: &'a str,
}

#[derive(Deserialize)]
struct Coinbase<'a> {
    trade_id: u64,
    side: &'a str,
    size: &'a str,
    price: &'a str,
    product_id: &'a str,
    time: &'a str,
}

#[derive(Deserialize)]
struct Bybit<'a> {
    #[serde(borrow)]
    data: Vec<BybitTrade<'a>>,
}

#[derive(Deserialize)]
struct BybitTrade<'a> {
    trade_time_ms: i64,
    symbol: &'a str,
    side: &'a str,
    size: serde_json::Number,
    price: serde_json::Number,
    trade_id: &'a str,
}

#[derive(Deserialize)]
struct Bitstamp<'a> {
    #[serde(borrow)]
    data: BitstampData<'a>,
    channel: &'a str,
}

#[derive(Deserialize)]
struct BitstampData<'a> {
    amount_str: &'a str,
    microtimestamp: &'a str,
    id: u64,
    price_str: &'a str,
    r#type: u8,
}

#[derive(Deserialize)]
struct Kraken<'a> {
    product_id: Cow<'a, str>,
    uid: &'a str,
    side: &'a str,
    time: i64,
    qty: serde_json::Number,
    price: serde_json::Number,
}

pub(crate) struct Parser {
    work: Work,
}

impl Parser {
    pub(crate) fn new(work: Work) -> Self {
        Self { work }
    }

    pub(crate) fn rows(&self, payload: &[u8], out: &mut Vec<Row>) -> Result<()> {
        match self.work {
            Work::Ticks => {
                let tick: Tick<'_> = sonic_rs::from_slice(payload)?;
                out.push(Row {
                    ts_us: iso_us(tick.ts)?,
                    symbol: tick.symbol.to_owned(),
                    venue: venue(tick.venue),
                    price: String::new(),
                    qty: String::new(),
                    price_f64: tick.price,
                    qty_f64: tick.size,
                    side: side(tick.side),
                    trade_id: tick.trade_id,
                });
                Ok(())
            }
            Work::Venues => venues(payload, out),
            Work::Conditions => {
                let before = out.len();
                venues(payload, out)?;
                out[before..].iter().try_for_each(hold)
            }
        }
    }
}

/// The formats differ in their first bytes, which is how one would tell them apart by hand.
fn venues(payload: &[u8], out: &mut Vec<Row>) -> Result<()> {
    let row = |ts_us, symbol: &str, venue, price: String, qty: String, side, trade_id| Row {
        ts_us,
        symbol: symbol.to_owned(),
        venue,
        price,
        qty,
        price_f64: 0.0,
        qty_f64: 0.0,
        side,
        trade_id,
    };
    match payload.get(..8).context("a short message")? {
        b"{\"stream" => {
            let d = sonic_rs::from_slice::<Binance<'_>>(payload)?.data;
            let side = if d.m { "sell" } else { "buy" };
            out.push(row(d.T * 1000, d.s, "binance", d.p.into(), d.q.into(), side, d.a));
        }
        b"{\"arg\":{" => {
            for d in sonic_rs::from_slice::<Okx<'_>>(payload)?.data {
                let ts_us = d.ts.parse::<i64>()? * 1000;
                out.push(row(
                    ts_us,
                    d.inst_id,
                    "okx",
                    d.px.into(),
                    d.sz.into(),
                    side(d.side),
                    d.trade_id.parse()?,
                ));
            }
        }
        b"{\"type\":" => {
            let d = sonic_rs::from_slice::<Coinbase<'_>>(payload)?;
            let ts_us = iso_us(d.time)?;
            out.push(row(
                ts_us,
                d.product_id,
                "coinbase",
                d.price.into(),
                d.size.into(),
                side(d.side),
                d.trade_id,
            ));
        }
        b"{\"topic\"" => {
            for d in sonic_rs::from_slice::<Bybit<'_>>(payload)?.data {
                let (price, size) = (d.price.to_string(), d.size.to_string());
                let id = d.trade_id.parse()?;
                out.push(row(d.trade_time_ms * 1000, d.symbol, "bybit", price, size, side(d.side), id));
            }
        }
        b"{\"data\":" => {
            let message = sonic_rs::from_slice::<Bitstamp<'_>>(payload)?;
            let d = message.data;
            let symbol = message.channel.strip_prefix("live_trades_").context("channel")?;
            let side = if d.r#type == 0 { "buy" } else { "sell" };
            let ts_us = d.microtimestamp.parse()?;
            out.push(row(ts_us, symbol, "bitstamp", d.price_str.into(), d.amount_str.into(), side, d.id));
        }
        b"{\"feed\":" => {
            let d = sonic_rs::from_slice::<Kraken<'_>>(payload)?;
            let (price, qty) = (d.price.to_string(), d.qty.to_string());
            let id = d.uid.parse()?;
            out.push(row(d.time * 1000, &d.product_id, "kraken_futures", price, qty, side(d.side), id));
        }
        other => bail!("unknown message {:?}", String::from_utf8_lossy(other)),
    }
    Ok(())
}

/// The five conditions of the topology, by hand.
fn hold(row: &Row) -> Result<()> {
    let (price, qty): (f64, f64) = (row.price.parse()?, row.qty.parse()?);
    let is_known = matches!(row.side, "buy" | "sell");
    let is_synthetic = row.symbol.starts_with("SYN") && row.symbol.ends_with("-USD");
    anyhow::ensure!(price > 0.0 && qty > 0.0 && is_known && is_synthetic && price * qty < 1e9, "{row:?}");
    Ok(())
}

fn iso_us(text: &str) -> Result<i64> {
    Ok(text.parse::<jiff::Timestamp>()?.as_microsecond())
}

fn side(text: &str) -> &'static str {
    if text.eq_ignore_ascii_case("buy") { "buy" } else { "sell" }
}

fn venue(text: &str) -> &'static str {
    match text {
        "XCME" => "XCME",
        "XNAS" => "XNAS",
        "XLON" => "XLON",
        _ => "BINA",
    }
}
