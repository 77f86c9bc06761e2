//! The library of topologies loads without a word, and means what it says.

use super::clean;
use crate::model::{FieldSource, FieldType, Kind, Normalizer, Policy, Strategy, TimeUnit, Topology};

pub(super) const MD_TRADES: &str = include_str!("../../../config/topologies/md-trades/topology.yaml");
const KRAKEN: &str = include_str!("../../../config/topologies/kraken/topology.yaml");
pub(super) const BOOKS: &str = include_str!("../../../config/topologies/books/topology.yaml");
const PLANT: &str = include_str!("../../../config/topologies/plant/topology.yaml");
const AUDIT_LOG: &str = include_str!("../../../config/topologies/audit-log/topology.yaml");
const MINIMAL: &str = include_str!("../../../config/topologies/minimal/topology.yaml");
const PHEMEX: &str = include_str!("../../../config/topologies/phemex/topology.yaml");
const MARKET_DATA: &str = include_str!("../../tests/library/market-data.yaml");
const QUOTES: &str = include_str!("../../../config/topologies/quotes/topology.yaml");

const RISK_GATE: &str = include_str!("../../../config/topologies/risk-gate/topology.yaml");
const FILLS: &str = include_str!("../../../config/topologies/fills/topology.yaml");
const ORDERS: &str = include_str!("../../../config/topologies/orders/topology.yaml");
const EXECUTIONS: &str = include_str!("../../../config/topologies/executions/topology.yaml");
const STAGING: &str = include_str!("../../../config/topologies/staging/topology.yaml");

/// What `aqueduct new` writes.
pub(super) const NEW: &str = include_str!("../../../config/new.yaml");

/// Every file of the library.
pub(crate) const ALL: &[&str] = &[
    MD_TRADES,
    MARKET_DATA,
    KRAKEN,
    BOOKS,
    PLANT,
    QUOTES,
    AUDIT_LOG,
    MINIMAL,
    PHEMEX,
    RISK_GATE,
    STAGING,
    FILLS,
    ORDERS,
    EXECUTIONS,
];

fn normalizer<'a>(topology: &'a Topology, name: &str) -> &'a Normalizer {
    match &topology.actor(name).expect("the actor").kind {
        Kind::Normalizer(normalizer) => normalizer,
        other => panic!("{name} is a {}", other.name()),
    }
}

#[test]
fn every_topology_loads() {
    for text in ALL {
        clean(text);
    }
}

#[test]
fn no_topology_of_the_library_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/topologies");
    let entries = std::fs::read_dir(folder).expect("the library").flatten();
    for file in entries.map(|entry| entry.path().join("topology.yaml")).filter(|file| file.exists()) {
        let text = std::fs::read_to_string(&file).expect("readable");
        assert!(ALL.contains(&text.as_str()), "{} is not in ALL", file.display());
    }
}

#[test]
fn the_minimal_topology_is_minimal() {
    assert!(MINIMAL.lines().count() <= 20);
    assert!(!clean(MINIMAL).actors.is_empty());
}

#[test]
fn cases_are_merged_over_the_row() {
    let topology = clean(MD_TRADES);
    let trades = normalizer(&topology, "trades");
    assert_eq!(trades.cases.len(), 35);
    let binance = &trades.cases[0];
    assert_eq!(binance.fields.len(), trades.columns.len());
    let side = binance.fields.iter().find(|field| field.name.value == "side").expect("side");
    assert_eq!(side.map, [("true".to_owned(), "sell".to_owned()), ("false".to_owned(), "buy".to_owned())]);
    let iso = trades.cases.iter().find(|case| case.name.value == "bitmex").expect("bitmex");
    assert_eq!(iso.fields[1].unit, Some(TimeUnit::Iso));
    assert_eq!(iso.fields[5].map.len(), 10, "the row's map holds where the case has none");
    let absent = trades.cases.iter().find(|case| case.name.value == "zb_swap").expect("zb_swap");
    assert!(matches!(&absent.fields[6].source, FieldSource::Expr(expr) if expr.text == "null"));
    let message = trades.cases.iter().find(|case| case.name.value == "zbg_batch").expect("zbg_batch");
    assert_eq!(message.explode.as_ref().map(|pointer| pointer.tokens.len()), Some(0));
    assert_eq!(trades.columns[3].kind, FieldType::Decimal { precision: 38, scale: 18 });
    assert_eq!(trades.event_time.as_ref().map(|time| time.field.value.as_str()), Some("ts"));
}

#[test]
fn a_whole_file_says_what_its_comments_say() {
    let topology = clean(MARKET_DATA);
    assert_eq!(topology.name.value, "market-data");
    let kafka = topology.connections.kafka.as_ref().expect("kafka");
    assert_eq!(kafka.bootstrap.value, "127.0.0.1:19092");
    let tree: Vec<(&str, Vec<&str>)> = topology
        .supervisors
        .iter()
        .map(|one| (one.name.value.as_str(), one.children.iter().map(|child| child.value.as_str()).collect()))
        .collect();
    assert_eq!(
        tree,
        [
            ("root", vec!["dead_letter", "ingest", "cache", "gate", "gate_cache"]),
            ("ingest", vec!["ticks", "trades", "history"])
        ]
    );
    assert_eq!(topology.supervisors[1].strategy, Strategy::RestForOne);
    let trades = normalizer(&topology, "trades");
    assert_eq!(trades.cases.len(), 1);
    assert_eq!(trades.cases[0].require.len(), 2);
    assert_eq!(trades.cases[0].fields[1].max_bytes, Some(32));
    let Kind::TimescaleWriter(history) = &topology.actor("history").expect("history").kind else {
        panic!("a writer")
    };
    assert_eq!((history.flush.rows, history.flush.bytes), (10_000, 8 << 20));
    assert_eq!(topology.actor("cache").map(|cache| cache.policy), Some(Policy::BestEffort));
    assert_eq!(topology.input_columns("cache").len(), 6);
    assert_eq!(topology.source_of("cache").map(|source| source.name.value.as_str()), Some("ticks"));
    let sinks: Vec<&str> = topology.sinks_of("ticks").iter().map(|sink| sink.name.value.as_str()).collect();
    assert_eq!(sinks, ["history", "cache"]);
    let order: Vec<&str> =
        topology.topological_order().iter().map(|actor| actor.name.value.as_str()).collect();
    assert_eq!(order, ["ticks", "dead_letter", "trades", "history", "cache", "gate", "gate_cache"]);
}

#[test]
fn what_new_writes_loads_without_a_word_where_nothing_is_set() {
    let (topology, diagnostics) =
        crate::load(&crate::Source::new("mine.yaml", NEW.replacen("NAME", "mine", 1)), &|_| None);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(topology.map(|topology| topology.name.value).as_deref(), Some("mine"));
}
