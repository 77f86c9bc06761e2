//! `aqueduct --version`.

/// The version and the commit.
pub fn short() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("AQUEDUCT_COMMIT"), ")")
}

/// The same with the versions of what matters for compatibility.
pub fn long() -> String {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    format!("{}\nlibrdkafka {librdkafka}", short())
}
