//! Where a collector takes spans: `http://host:port/path`.
//!
//! Deliberately absent: `https`, names and passwords in the address. A node speaks to the collector beside it, and that
//! one keeps what the way beyond asks for.

use std::fmt::{self, Display, Formatter};

/// OTLP's own port over HTTP.
const PORT: u16 = 4318;
/// OTLP's own path.
const PATH: &str = "/v1/traces";
/// More is no address.
const BYTES_MAX: usize = 1024;

/// A collector's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address; one of version 6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// With its slash.
    pub path: String,
}

impl Endpoint {
    /// Reads an address; what is wrong with it otherwise.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err("a node speaks `http` to the collector beside it, not `https`"),
            _ => return Err("it does not begin with `http://`"),
        };
        if text.len() > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it is too long, or holds blanks or letters beyond ASCII");
        }
        if rest.contains(['@', '?', '#']) {
            return Err("it is an address alone, without user, query or fragment");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rfind(':').filter(|colon| !authority[*colon..].contains(']')) {
            Some(colon) => {
                (&authority[..colon], authority[colon + 1..].parse().map_err(|_| "its port is none")?)
            }
            None => (authority, PORT),
        };
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || port == 0 || (host.contains(':') && !is_bracketed) {
            return Err("its host or its port is none");
        }
        let path = if path.trim_end_matches('/').is_empty() { PATH } else { path };
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl Display for Endpoint {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let path = if self.path == PATH { "" } else { &self.path };
        write!(out, "http://{}:{}{path}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_alike() {
        let read =
            |text: &str| Endpoint::parse(text).map(|endpoint| (endpoint.path.clone(), endpoint.to_string()));
        let plain = Ok((PATH.to_owned(), "http://127.0.0.1:4318".to_owned()));
        assert_eq!(read("http://127.0.0.1:4318"), plain);
        assert_eq!(read("http://127.0.0.1"), plain);
        assert_eq!(read("http://127.0.0.1:4318/"), plain);
        assert_eq!(read("http://127.0.0.1:4318/v1/traces"), plain);
        let other = "http://[::1]:9/otlp/v1/traces";
        assert_eq!(read(other), Ok(("/otlp/v1/traces".to_owned(), other.to_owned())));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let wrong = [
            "",
            "127.0.0.1:4318",
            "grpc://a:1",
            "https://a:1",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:70000",
            "http://a:b",
            "http://::1",
            "http://u:p@a:1",
            "http://a:1/x?y",
            "http://a:1/x\r\nhost: b",
            "http://a b",
        ];
        for text in wrong {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
