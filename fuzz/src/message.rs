//! A message of a topic, to every normalizer of the library of topologies.

use aqueduct_actors::normalizer::Decoder;
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_topology::model::Kind;
use aqueduct_topology::{Source, load_unconnected};
use std::cell::RefCell;

/// Topologies that between them have every way to read a field.
const LIBRARY: [&str; 9] = [
    include_str!("../../config/topologies/audit-log/topology.yaml"),
    include_str!("../../config/topologies/books/topology.yaml"),
    include_str!("../../config/topologies/fills/topology.yaml"),
    include_str!("../../config/topologies/kraken/topology.yaml"),
    include_str!("../../config/topologies/md-trades/topology.yaml"),
    include_str!("../../config/topologies/minimal/topology.yaml"),
    include_str!("../../config/topologies/phemex/topology.yaml"),
    include_str!("../../config/topologies/plant/topology.yaml"),
    include_str!("../../config/topologies/quotes/topology.yaml"),
];

fn decoders() -> Vec<Decoder> {
    let actors = LIBRARY.iter().flat_map(|text| {
        let (loaded, diagnostics) = load_unconnected(&Source::new("library.yaml", *text), &|_| None);
        let (topology, _) = loaded.unwrap_or_else(|| panic!("{diagnostics:#?}"));
        topology.actors
    });
    let normalizers = actors.filter_map(|actor| match actor.kind {
        Kind::Normalizer(normalizer) => Some(normalizer),
        _ => None,
    });
    normalizers
        .map(|normalizer| Decoder::new(&normalizer).unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

/// Promise: the message is rejected, filtered or gives rows, and the messages beside it fare as if it were not there.
pub fn message(bytes: &[u8]) {
    thread_local! {
        static DECODERS: RefCell<Vec<Decoder>> = RefCell::new(decoders());
    }
    const NEIGHBOUR: &str = "{}";
    DECODERS.with_borrow_mut(|decoders| {
        for decoder in decoders {
            let mut decode = |messages: &[&[u8]]| {
                let records = messages
                    .iter()
                    .fold(RecordsBuilder::new(0, 0), |records, message| records.value(message));
                let decoded = decoder.decode(&records.build());
                (decoded.rows.num_rows(), decoded.rejects.len(), decoded.filtered)
            };
            let alone = decode(&[bytes]);
            let (rows, rejects, filtered) = alone;
            assert_eq!(
                filtered == 1,
                rows + rejects == 0,
                "one fate at least, and none beside being filtered: {alone:?}"
            );
            let other = decode(&[NEIGHBOUR.as_bytes()]);
            let both = decode(&[bytes, NEIGHBOUR.as_bytes()]);
            assert_eq!(
                both,
                (rows + other.0, rejects + other.1, filtered + other.2),
                "neighbours do not matter"
            );
        }
    });
}
