//! What a setting is set to.

use super::Endpoint;
use crate::plan::write;
use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::time::Duration;

/// A value that was read and found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A name, a path, a word.
    Text(String),
    /// An address to listen on.
    Address(SocketAddr),
    /// So many of something.
    Count(u32),
    /// So many bytes.
    Bytes(u64),
    /// So long.
    Lasting(Duration),
    /// Where a collector is.
    Endpoint(Endpoint),
    /// A share, in parts of a million.
    Share(u32),
}

/// As `engine.yaml` would write it; equal values are written alike.
impl Display for Value {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Address(address) => address.fmt(out),
            Self::Count(count) => count.fmt(out),
            Self::Bytes(bytes) => out.write_str(&write::bytes(*bytes)),
            Self::Lasting(duration) => out.write_str(&write::duration(*duration)),
            Self::Endpoint(endpoint) => endpoint.fmt(out),
            Self::Share(millionths) => (f64::from(*millionths) / 1e6).fmt(out),
        }
    }
}
