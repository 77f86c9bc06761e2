//! A synthetic market: trades of several venues in the venues' own formats, for demonstrations, tests and benchmarks.
//!
//! It is labelled so that nobody takes it for data: every symbol begins with `SYN`. The same seed gives the same
//! messages. Trade ids count from 1 without a gap, so loss and duplication show as a difference of two counts.
//!
//! Deliberately absent: a clock. The caller says when the first trade happens and how far apart they are.

/// A message for Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The record's key: the symbol, so that a symbol's trades keep their order.
    pub key: String,
    /// The record's value.
    pub value: String,
    /// The record's time, milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// How many trades it reports.
    pub trades: u32,
}

/// Whose format a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Our own flat ticks: one trade a message, 140 bytes, numbers as JSON numbers, ISO time.
    Flat,
    /// One of six venues', in turn: nested objects, arrays, several trades a message, times in four notations.
    Venues,
}

/// An endless, reproducible stream of trades.
#[derive(Clone, Debug)]
pub struct Market {
    shape: Shape,
    random: fastrand::Rng,
    symbols: Vec<String>,
    prices: Vec<f64>,
    trades: u64,
    messages: u64,
    start_us: i64,
    step_us: i64,
}

struct Trade {
    id: u64,
    price: f64,
    qty: f64,
    buy: bool,
    time_us: i64,
}

impl Market {
    /// A market of `symbols` symbols whose first trade happens at `start_us` (microseconds since 1970 UTC) and whose
    /// trades are `step_us` apart.
    pub fn new(shape: Shape, seed: u64, symbols: usize, start_us: i64, step_us: i64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let prices = (0..symbols).map(|_| 1.0 + random.f64() * 69_999.0).collect();
        let symbols = (0..symbols).map(|index| format!("SYN{index:03}-USD")).collect();
        Self { shape, random, symbols, prices, trades: 0, messages: 0, start_us, step_us }
    }

    /// Trades given so far; the last trade's id.
    pub fn trades(&self) -> u64 {
        self.trades
    }

    /// When the last trade happened, microseconds since 1970 UTC; before the first one, a step before that.
    pub fn last_us(&self) -> i64 {
        self.start_us + (self.trades as i64 - 1) * self.step_us
    }

    fn trade(&mut self, symbol: usize) -> Trade {
        let price = &mut self.prices[symbol];
        *price = (*price * (1.0 + (self.random.f64() - 0.5) * 2e-4)).max(0.01);
        let price = *price;
        let time_us = self.start_us + self.trades as i64 * self.step_us;
        self.trades += 1;
        Trade {
            id: self.trades,
            price,
            qty: 0.001 + self.random.f64() * 4.999,
            buy: self.random.bool(),
            time_us,
        }
    }

    fn render(&mut self, symbol: usize) -> (String, i64) {
        let name = self.symbols[symbol].clone();
        let venue = if self.shape == Shape::Flat { None } else { Some(self.messages % 6) };
        let trade = self.trade(symbol);
        let Trade { id, price, qty, buy, time_us } = trade;
        let side = if buy { "buy" } else { "sell" };
        let (time_ms, iso) = (time_us / 1000, iso(time_us));
        let value = match venue {
            None => format!(
                r#"{{"symbol":"{name}","venue":"{}","ts":"{iso}","price":{price:.2},"size":{qty:.4},"side":"{side}","trade_id":{id}}}"#,
                ["XCME", "XNAS", "XLON", "BINA"][(id % 4) as usize]
            ),
            Some(0) => format!(
                r#"{{"stream":"{name}@aggTrade","data":{{"e":"aggTrade","E":{time_ms},"s":"{name}","a":{id},"p":"{price:.8}","q":"{qty:.8}","f":{id},"l":{id},"T":{time_ms},"m":{},"M":true}}}}"#,
                !buy
            ),
            Some(1) => {
                let second = self.trade(symbol);
                let entry = |trade: &Trade| {
                    format!(
                        r#"{{"instId":"{name}","tradeId":"{}","px":"{:.6}","sz":"{:.6}","side":"{}","ts":"{}"}}"#,
                        trade.id,
                        trade.price,
                        trade.qty,
                        if trade.buy { "buy" } else { "sell" },
                        trade.time_us / 1000
                    )
                };
                let first = Trade { id, price, qty, buy, time_us };
                format!(
                    r#"{{"arg":{{"channel":"trades","instId":"{name}"}},"data":[{},{}]}}"#,
                    entry(&first),
                    entry(&second)
                )
            }
            Some(2) => format!(
                r#"{{"type":"match","trade_id":{id},"maker_order_id":"{id:032x}","side":"{side}","size":"{qty:.8}","price":"{price:.2}","product_id":"{name}","sequence":{id},"time":"{iso}"}}"#
            ),
            Some(3) => format!(
                r#"{{"topic":"trade.{name}","data":[{{"trade_time_ms":{time_ms},"timestamp":"{iso}","symbol":"{name}","side":"{}","size":{qty:.4},"price":{price:.2},"tick_direction":"PlusTick","trade_id":"{id}","cross_seq":{id}}}]}}"#,
                if buy { "Buy" } else { "Sell" }
            ),
            Some(4) => format!(
                r#"{{"data":{{"buy_order_id":{id},"amount_str":"{qty:.8}","timestamp":"{}","microtimestamp":"{time_us}","id":{id},"amount":{qty:.8},"sell_order_id":{id},"price_str":"{price:.2}","type":{},"price":{price:.2}}},"channel":"live_trades_{name}","event":"trade"}}"#,
                time_us / 1_000_000,
                u8::from(!buy)
            ),
            Some(_) => format!(
                r#"{{"feed":"trade","product_id":"{name}","uid":"{id}","side":"{side}","type":"fill","seq":{id},"time":{time_ms},"qty":{qty:.4},"price":{price:.2}}}"#
            ),
        };
        self.messages += 1;
        (value, time_ms)
    }
}

impl Iterator for Market {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let symbol = self.random.usize(..self.symbols.len());
        let before = self.trades;
        let (value, time_ms) = self.render(symbol);
        let key = self.symbols[symbol].clone();
        Some(Message { key, value, time_ms, trades: (self.trades - before) as u32 })
    }
}

/// A time as RFC 3339 with six digits.
fn iso(time_us: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(time_us).expect("invariant: a market's time is a date");
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_US: i64 = 1_795_413_600_000_000;

    #[test]
    fn same_seed_gives_the_same_messages() {
        let market =
            |seed| Market::new(Shape::Venues, seed, 20, START_US, 1000).take(500).collect::<Vec<_>>();
        assert_eq!(market(7), market(7));
        assert_ne!(market(7), market(8));
    }

    #[test]
    fn every_message_is_json_and_names_its_symbol() {
        for shape in [Shape::Flat, Shape::Venues] {
            for message in Market::new(shape, 1, 5, START_US, 10).take(60) {
                let value: serde_json::Value = serde_json::from_str(&message.value).expect("valid JSON");
                assert!(value.is_object());
                assert!(message.key.starts_with("SYN") && message.value.contains(&message.key));
            }
        }
    }

    #[test]
    fn trade_ids_have_no_gap() {
        let mut market = Market::new(Shape::Venues, 3, 5, START_US, 10);
        let trades: u64 = market.by_ref().take(600).map(|message| u64::from(message.trades)).sum();
        assert_eq!(trades, market.trades());
        assert_eq!(trades, 700, "one message in six reports two trades");
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(iso(START_US + 1), "2026-11-23T06:00:00.000001Z");
    }
}
