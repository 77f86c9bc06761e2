//! One request of HTTP/1.1, on a connection of its own.
//!
//! Invariant: no more of an answer is read than its status line needs. Deliberately absent: keeping connections, TLS,
//! redirects; see ADR 0021.

use super::TraceSettings;
use crate::limits::TRACE_ANSWER_BYTES_MAX;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Posts `body` to the collector and gives the status of its answer.
pub(super) async fn post(to: &TraceSettings, body: &[u8]) -> io::Result<u16> {
    let bare = to.host.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((bare, to.port)).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}:{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         user-agent: aqueduct/{}\r\nconnection: close\r\n\r\n",
        to.path,
        to.host,
        to.port,
        body.len(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await?;
    // No further than the first line: some keep the connection although they are asked to close it.
    let mut answer = Vec::new();
    while !answer.contains(&b'\r') && answer.len() < TRACE_ANSWER_BYTES_MAX {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    status(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"))
}

/// `HTTP/1.1 200 OK`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok().filter(|status| (100..1000).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_whatever_comes() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for odd in [
            &b""[..],
            b"\r\n",
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1",
            b"HTTP/1.1 -1 x",
            b"HTTP/1.1 99999\r\n",
            &[0xff; 64],
        ] {
            assert_eq!(status(odd), None, "{odd:?}");
        }
    }
}
