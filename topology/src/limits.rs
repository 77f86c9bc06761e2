//! Every bound of the front end in one place, so that no file can make it slow or large.

/// Longest file, in bytes.
pub const SOURCE_BYTES_MAX: usize = 8 << 20;
/// Deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 64;
/// Nodes of the tree, those that aliases repeat included.
pub const NODES_MAX: usize = 1 << 20;
/// Nodes that aliases may add.
pub const ALIAS_NODES_MAX: usize = 1 << 16;
/// Longest key or name that is looked up or suggested.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest identifier of SQL; PostgreSQL cuts longer ones without a word.
pub const IDENTIFIER_BYTES_MAX: usize = 63;
/// Most operators, dots and brackets of an expression. Each may nest the tree by one, and whoever walks a tree stands on a
/// stack of two megabytes.
pub const EXPRESSION_STEPS_MAX: usize = 500;
/// Longest expression.
pub const EXPRESSION_BYTES_MAX: usize = 16 << 10;
/// Most diagnostics of one run; further ones would not be read.
pub const DIAGNOSTICS_MAX: usize = 500;
/// More bytes than this on all links together are worth a warning.
pub const LINKS_BYTES_USUAL: u64 = 1 << 30;
/// Most transactions that one writer has in flight.
pub const TRANSACTIONS_MAX: i64 = 8;
/// Most clones of one actor.
pub const PARALLELISM_MAX: i64 = 64;
/// The most that a clone can be said to need of a core, in per cent.
pub const LOAD_MAX: i64 = 1000;

const _: () = assert!(ALIAS_NODES_MAX < NODES_MAX, "aliases alone cannot exhaust the tree");
