//! On recorded trades: what a gate counts is what is wrong with them, rule by rule, planted or as the venue sent it.

use super::super::recorded::{recorded, unzipped};
use super::{BOUND, CACHE, TRADES, Trade, field, gate_of, violations};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PLANTED: &str = r#"
  gate:
    kind: quality_gate
    from: trades
    by: [market, symbol]
    every: 250ms
    policy: required
    window: 2s
    rules:
      stale_after: 1h
      gap: trade_id
      repeat: trade_id
      out_of_order: 100%
      late: { after: 2s, share: 100% }
      price_band: 20%
      crossed: { bid: bid, ask: ask }
      frozen: { field: price, rows: 200 }
      clock_skew: 1260ms
      nulls: { side: 100% }
"#;

/// So many rows of one price in a row are frozen; no recorded price stays for as many.
const FROZEN_ROWS: u64 = 200;

/// The recorded trades, in the order they were received, with the recorder's clock as the record's time; `None` (and a
/// note) where they are absent.
fn recorded_trades() -> Option<Vec<Trade>> {
    let file = recorded("binance_trades_20240808_09.csv.gz")?;
    let mut trades = Vec::new();
    for record in csv::Reader::from_reader(unzipped(&file)).deserialize() {
        let record: BTreeMap<String, String> = record.expect("a line");
        let number = |name: &str| record[name].parse::<i64>().expect("a number");
        trades.push(Trade {
            // One partition has them all, so they stay in the order they were received.
            key: "binance".to_owned(),
            market: record["market"].clone(),
            symbol: record["symbol"].clone(),
            id: number("trade_id"),
            event_ms: number("trade_ms"),
            record_ms: number("recv_ns").div_euclid(1_000_000),
            price: record["price"].parse().expect("a price"),
            crossed: false,
            side: true,
        });
    }
    Some(trades)
}

/// Plants faults of every kind, each so often.
fn spoil(trades: Vec<Trade>) -> Vec<Trade> {
    let mut spoilt = Vec::with_capacity(trades.len());
    let mut stands: Option<f64> = None;
    let mut of_pair = 0;
    for (index, mut trade) in trades.into_iter().enumerate() {
        if trade.pair() == ("cm", "ETHUSD_PERP") {
            of_pair += 1;
            // Its price stands still for a while.
            if (1_000..1_300).contains(&of_pair) {
                trade.price = *stands.get_or_insert(trade.price);
            }
        }
        match index % 1_000 {
            // Left out: the next of its key shows a gap.
            100 => continue,
            300 => trade.price *= 1.5,
            400 => trade.crossed = true,
            500 => trade.side = false,
            // Ten seconds on its way.
            600 => trade.record_ms = trade.event_ms + 10_000,
            // Half a second behind the trade before it; within a pair, no recorded trade is.
            700 => trade.event_ms -= 500,
            // Sent twice.
            200 => spoilt.push(trade.clone()),
            _ => {}
        }
        spoilt.push(trade);
    }
    spoilt
}

/// What each rule has to find, by plain counting.
fn expected(trades: &[Trade]) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut newest: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut same: BTreeMap<(&str, &str), (String, u64)> = BTreeMap::new();
    for trade in trades {
        let mut count = |rule, broken: bool| *counts.entry(rule).or_default() += u64::from(broken);
        if let Some((id, event_ms)) = newest.get(&trade.pair()) {
            count("gap", trade.id > id + 1);
            count("repeat", trade.id <= *id);
            count("out_of_order", trade.event_ms < *event_ms);
        }
        let known = seen.entry(trade.pair()).or_default();
        // No recorded price is a tenth away from those around it, so exactly the planted ones are out of their band.
        count("price_band", *known >= 8 && is_spoilt(trade));
        *known += 1;
        let (price, rows) = same.entry(trade.pair()).or_default();
        *rows = if *price == trade.said_price() { *rows + 1 } else { 1 };
        *price = trade.said_price();
        count("frozen", *rows >= FROZEN_ROWS);
        count("crossed", trade.crossed);
        count("nulls", !trade.side);
        count("late", trade.record_ms - trade.event_ms > 2_000);
        count("clock_skew", trade.event_ms - trade.record_ms >= 1_260);
        let entry = newest.entry(trade.pair()).or_insert((trade.id, trade.event_ms));
        *entry = (entry.0.max(trade.id), entry.1.max(trade.event_ms));
    }
    counts
}

/// The recorded prices lie between 61,000 and 62,000, or between 2,600 and 2,700.
fn is_spoilt(trade: &Trade) -> bool {
    !((61_000.0..62_000.0).contains(&trade.price) || (2_600.0..2_700.0).contains(&trade.price))
}

#[test]
fn on_recorded_trades_every_rule_counts_exactly_what_is_planted() {
    let Some(trades) = recorded_trades() else { return };
    let trades = spoil(trades);
    let counts = expected(&trades);
    assert!(counts.values().all(|count| *count > 5), "{counts:?}");
    let world = World::shared();
    let file = world.write_topology(&format!("{TRADES}{PLANTED}{CACHE}"));
    world.migrate(&file);
    let sent = trades.len() as i64;
    world.send(trades.iter().map(Trade::record));
    let node = Node::start(&world, &file, "gated", &[]);
    let sql = world.sql();
    wait::until("every trade in the database", BOUND, || {
        (sql.integer("SELECT count(*) FROM market.trades") == sent).then_some(())
    });
    let gate = wait::until("the figures of the gate", BOUND, || {
        let gate = gate_of(&node, "gate");
        counts.iter().all(|(rule, count)| violations(&gate, rule) >= *count).then_some(gate)
    });
    for (rule, count) in &counts {
        assert_eq!(violations(&gate, rule), *count, "{rule} of {gate:#}");
    }
    assert_eq!(gate["keys_total"], 6);
    assert_eq!(gate["records_missed"], 0);
    assert_eq!(node.metric("aqueduct_quality_violations_total"), Some(counts.values().sum::<u64>() as f64));
    let evidence = gate["keys"][0]["evidence"].as_array().expect("rows").len();
    assert!((1..=5).contains(&evidence), "{evidence} rows of evidence");
    let all_in_ledger = node.json("/api/ledger");
    let own = all_in_ledger.as_array().expect("lines").iter().any(|line| line["source"] == "gate");
    assert!(own, "what the gate gives has lines of its own: {all_in_ledger}");
    assert_eq!(node.ledger("unaccounted"), 0);
    let shown = world.run(&["offsets", "show", file.to_str().expect("a plain path")]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("verdicts of a gate"));
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0, "a gate holds up no drain");
}

/// How much faster than recorded.
const SPEED: u32 = 16;
const STALE_AFTER: Duration = Duration::from_secs(3);

/// As the venue sent it: its trades by market and symbol, and all of them together.
const AS_SENT: &str = r#"
  gate:
    kind: quality_gate
    from: trades
    by: [market, symbol]
    every: 250ms
    policy: required
    window: 3s
    rules: { stale_after: 3s, gap: trade_id, repeat: trade_id, out_of_order: 100%, rate_collapse: 10% }
  venue:
    kind: quality_gate
    from: trades
    by: [venue]
    every: 250ms
    policy: required
    rules: { stale_after: 1h, out_of_order: 100%, clock_skew: 1200ms }
"#;

#[test]
fn a_market_that_falls_silent_trades_out_of_order_and_a_wrong_clock_are_found_as_they_were_recorded() {
    let Some(trades) = recorded_trades() else { return };
    let begun_ms = trades[0].record_ms;
    let last_of_usdm = trades.iter().rposition(|trade| trade.market == "usdm").expect("a trade");
    let world = World::shared();
    let file = world.write_topology(&format!("{TRADES}{AS_SENT}{CACHE}"));
    world.migrate(&file);
    let node = Node::start(&world, &file, "as-sent", &[]);
    node.await_ready(200, BOUND);
    let mut redis = world.redis();
    let (feed, started) = (world.feed(), Instant::now());
    let mut sent = 0;
    let mut fell_silent: Option<Instant> = None;
    let mut halted: Option<Duration> = None;
    let mut in_silence = None;
    while sent < trades.len() {
        let at_ms = begun_ms + (started.elapsed() * SPEED).as_millis() as i64;
        while let Some(trade) = trades.get(sent).filter(|trade| trade.record_ms <= at_ms) {
            let (key, value, time) = trade.record();
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
            if sent == last_of_usdm {
                fell_silent = Some(Instant::now());
            }
            sent += 1;
        }
        feed.flush().expect("flush");
        if let Some(fell_silent) = fell_silent {
            let mut verdict = |market: &str, symbol: &str| {
                field(&mut redis, &format!("{}{market}:{symbol}", world.prefix), "verdict")
            };
            let silent = ["BTCUSDT", "ETHUSDT"].map(|symbol| verdict("usdm", symbol));
            let halts = silent.iter().all(|verdict| verdict.as_deref() == Some("halt"));
            if halts && halted.is_none() {
                halted = Some(fell_silent.elapsed());
                let going_on =
                    [("spot", "BTCUSDT"), ("spot", "ETHUSDT"), ("cm", "BTCUSD_PERP"), ("cm", "ETHUSD_PERP")]
                        .map(|(market, symbol)| verdict(market, symbol));
                assert!(going_on.iter().all(|verdict| verdict.as_deref() != Some("halt")), "{going_on:?}");
            }
            if in_silence.is_none() && fell_silent.elapsed() > STALE_AFTER * 2 {
                in_silence = Some(gate_of(&node, "gate"));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let halted = halted.expect("usdm to halt");
    assert!(halted <= STALE_AFTER + Duration::from_secs(1), "{halted:?} from the last trade to halt");
    let in_silence = in_silence.expect("a look while usdm is silent");
    for (rule, count) in
        [("stale_after", 2), ("rate_collapse", 2), ("gap", 0), ("repeat", 0), ("out_of_order", 0)]
    {
        assert_eq!(violations(&in_silence, rule), count, "{rule} of {in_silence:#}");
    }
    // Pair by pair nothing is out of order; of the venue as a whole every fourth trade is.
    let of_venue = wait::until("every trade judged", BOUND, || {
        let venue = gate_of(&node, "venue");
        (venue["records_missed"] == 0 && violations(&venue, "clock_skew") >= 76_557).then_some(venue)
    });
    assert_eq!(violations(&of_venue, "out_of_order"), 19_643, "{of_venue:#}");
    assert_eq!(violations(&of_venue, "clock_skew"), 76_557, "{of_venue:#}");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}
