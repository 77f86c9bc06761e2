//! Just enough HTTP for the administration of Toxiproxy and Prometheus: one request a connection, JSON in, JSON out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends one request and returns the body of the answer; an answer that is no success is an error with its text.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
    patience: Duration,
) -> Result<String, String> {
    let place: SocketAddr = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&place, patience).map_err(failed)?;
    stream.set_read_timeout(Some(patience)).map_err(failed)?;
    stream.set_write_timeout(Some(patience)).map_err(failed)?;
    // Of version 1.0: the answer then ends with the connection, and is never sent in chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it hung up in the middle of its answer")?;
    match head.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(body.to_owned()),
        Some(status) => Err(format!("{method} {path} answered {status}: {}", body.trim())),
        None => Err(format!("`{head}` is not an answer of HTTP")),
    }
}
