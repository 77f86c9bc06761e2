//! Files of the product, embedded: node settings, migrations, topologies, samples, monitoring, programs for Spark.

pub mod migrations;
pub mod monitoring;
pub mod spark;
pub mod topologies;

/// What `aqueduct new` writes; the first `NAME` stands for the topology's name.
pub const NEW: &str = include_str!("../new.yaml");

/// A node's settings, each with its default: what `aqueduct new --engine` writes.
pub const ENGINE: &str = include_str!("../engine.yaml");

/// 503 recorded messages of 21 venues, a line each: `{"venue", "case", "msg"}`. Its licence lies beside it.
pub const SAMPLE: &str = include_str!("../samples/crypto_msg_parser_2.9.2.jsonl");

/// What is claimed of the product and by what each claim is shown: `[{"topic", "claim", "by"}]`. `aqueduct drill all` fills it.
pub const EVIDENCE: &str = include_str!("../evidence.json");
