//! The little HTTP that is needed to ask a node something: one request, one answer, bounded in time and size.
//!
//! Deliberately absent: TLS, redirects, connections that are kept. A node speaks plain HTTP on loopback; a proxy that
//! speaks TLS in front of it has clients of its own.

use crate::environment::variable;
use crate::exit::NoAnswer;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long connecting, and each silence while an answer comes, may take.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Which node a command speaks to.
#[derive(clap::Args)]
pub(crate) struct Node {
    /// The node's admin endpoint.
    #[arg(
        long = "node",
        value_name = "URL",
        env = "AQUEDUCT_NODE_URL",
        default_value = "http://127.0.0.1:9464"
    )]
    pub(crate) url: String,
}

/// What a node answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Node {
    /// `GET path`, with the token of `AQUEDUCT_ADMIN_TOKEN` if there is one.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, SILENCE_MAX)
    }

    /// `POST path`, without a body; the answer may take `wait_max`.
    pub(crate) fn post(&self, path: &str, wait_max: Duration) -> Result<Answer> {
        self.ask("POST", path, wait_max)
    }

    fn ask(&self, method: &str, path: &str, silence_max: Duration) -> Result<Answer> {
        let Some((host, prefix)) = place(&self.url) else {
            // Somebody may have written a password into it.
            let place = self.url.rsplit_once('@').map_or(&*self.url, |(_, place)| place);
            bail!("`{place}` is no node's address; write http://host:port");
        };
        let token = variable("AQUEDUCT_ADMIN_TOKEN");
        let answer = exchange(host, &request(method, host, prefix, path, token.as_deref()), silence_max);
        answer.with_context(|| NoAnswer(self.url.clone()))
    }
}

/// The host with its port, and the path before ours, of `http://host:port/prefix`.
fn place(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?.trim_end_matches('/');
    let (host, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    // Nothing that would end the line of a request.
    let plain = !url.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    (plain && !host.is_empty() && !host.contains('@')).then_some((host, prefix))
}

fn request(method: &str, host: &str, prefix: &str, path: &str, token: Option<&str>) -> String {
    let token = token.map_or(String::new(), |token| format!("authorization: Bearer {}\r\n", token.trim()));
    // HTTP/1.0 has no chunks: the answer ends with the connection.
    format!("{method} {prefix}{path} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\n{token}\r\n")
}

fn exchange(host: &str, request: &str, silence_max: Duration) -> Result<Answer> {
    let with_port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut stream = connect(&with_port)?;
    stream.set_read_timeout(Some(silence_max))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    (&mut stream).take(ANSWER_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ANSWER_BYTES_MAX {
        bail!("its answer is longer than {} MiB", ANSWER_BYTES_MAX >> 20);
    }
    parse(&bytes).context("what answers there is no Aqueduct node")
}

fn connect(host: &str) -> Result<TcpStream> {
    let mut last = None;
    for address in host.to_socket_addrs().with_context(|| format!("cannot find `{host}`"))? {
        match TcpStream::connect_timeout(&address, SILENCE_MAX) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => bail!("`{host}` has no address"),
    }
}

/// Status and body; an answer that was cut short is none.
fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").context("no HTTP answer")?;
    let head = std::str::from_utf8(&bytes[..end]).context("no HTTP answer")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().filter(|line| line.starts_with("HTTP/1.")).context("no HTTP answer")?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP answer")?;
    let body = &bytes[end + 4..];
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        bail!("its answer was cut short");
    }
    Ok(Answer { status, body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_http_and_cannot_smuggle_a_line() {
        assert_eq!(place("http://127.0.0.1:9464"), Some(("127.0.0.1:9464", "")));
        assert_eq!(place("http://[::1]:9464/"), Some(("[::1]:9464", "")));
        assert_eq!(place("http://proxy/node-1/"), Some(("proxy", "/node-1")));
        for url in
            ["https://h:1", "h:1", "http://", "http:///x", "http://u@h", "http://h\r\nx: y", "http://h /"]
        {
            assert_eq!(place(url), None, "{url:?}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let answer = parse(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}").expect("whole");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
        assert!(parse(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}").is_err(), "cut short");
        for bytes in [&b""[..], b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\xff\xff\r\n\r\n"] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
