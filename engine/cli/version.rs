//! `aqueduct --version`.

use std::sync::LazyLock;

/// The version and the commit.
pub(crate) fn short() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("AQUEDUCT_COMMIT"), ")")
}

/// The same with the versions of what matters for compatibility.
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
        format!("{}\nlibrdkafka {librdkafka}", short())
    });
    &LONG
}

/// The same, each by itself, for metrics.
pub(crate) fn labels() -> Vec<(&'static str, String)> {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("commit", env!("AQUEDUCT_COMMIT").to_owned()),
        ("librdkafka", librdkafka),
    ]
}
