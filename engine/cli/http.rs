//! The little HTTP that is needed to ask a node something: one request, one answer, bounded in time and size; or one
//! request and a stream of events, bounded in the size of each.
//!
//! Deliberately absent: TLS, redirects, connections that are kept. A node speaks plain HTTP on loopback; a proxy that
//! speaks TLS in front of it has clients of its own.

use crate::environment::variable;
use crate::exit::NoAnswer;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long connecting, and each silence while an answer comes, may take.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a stream may say nothing: three times what a node needs to say that it is there.
const STREAM_SILENCE_MAX: Duration = Duration::from_secs(30);
/// The longest line of a stream.
const LINE_BYTES_MAX: u64 = 4 << 20;
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
    /// `GET path`, with the token of `AQUEDUCT_ADMIN_TOKEN`, or of the file that `AQUEDUCT_ADMIN_TOKEN_FILE` names, if there
    /// is one.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, SILENCE_MAX)
    }

    /// `POST path`, without a body; the answer may take `wait_max`.
    pub(crate) fn post(&self, path: &str, wait_max: Duration) -> Result<Answer> {
        self.ask("POST", path, wait_max)
    }

    /// The same with another token.
    pub(crate) fn post_as(&self, token: &str, path: &str, wait_max: Duration) -> Result<Answer> {
        self.ask_as(Some(token), "POST", path, wait_max)
    }

    fn ask(&self, method: &str, path: &str, silence_max: Duration) -> Result<Answer> {
        self.ask_as(token()?.as_deref(), method, path, silence_max)
    }

    fn ask_as(&self, token: Option<&str>, method: &str, path: &str, silence_max: Duration) -> Result<Answer> {
        let Some((host, prefix)) = place(&self.url) else {
            bail!("`{}` is no node's address; write http://host:port", self.shown());
        };
        let answer = exchange(host, &request(method, host, prefix, path, token), silence_max);
        answer.with_context(|| NoAnswer(self.url.clone()))
    }

    /// `GET path` as a stream of events; the answer, if it is none.
    pub(crate) fn stream(&self, path: &str) -> Result<Streamed> {
        let Some((host, prefix)) = place(&self.url) else {
            bail!("`{}` is no node's address; write http://host:port", self.shown());
        };
        let token = token()?;
        let request = request("GET", host, prefix, path, token.as_deref());
        begin(host, &request).with_context(|| NoAnswer(self.url.clone()))
    }

    /// Its address without what somebody may have written into it as a password.
    pub(crate) fn shown(&self) -> &str {
        self.url.rsplit_once('@').map_or(&*self.url, |(_, place)| place)
    }
}

/// What orders are given with; a node reads the same two variables.
fn token() -> Result<Option<String>> {
    if let Some(token) = variable("AQUEDUCT_ADMIN_TOKEN") {
        return Ok(Some(token));
    }
    let Some(file) = variable("AQUEDUCT_ADMIN_TOKEN_FILE") else { return Ok(None) };
    let read = std::fs::read_to_string(&file);
    read.map(Some).with_context(|| format!("cannot read the admin token `{file}`"))
}

/// What came of asking for a stream.
pub(crate) enum Streamed {
    /// It.
    Events(Events),
    /// Something else.
    Answer(Answer),
}

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Events as they come.
pub(crate) struct Events<R = BufReader<TcpStream>> {
    lines: R,
}

impl<R: BufRead> Events<R> {
    /// The next; `None` at the end of the stream. What only says that the node is there is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        let mut event = Event::default();
        loop {
            let Some(line) = line(&mut self.lines)? else { return Ok(None) };
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("event", name) => event.name = name.to_owned(),
                ("data", data) if event.data.is_empty() => event.data = data.to_owned(),
                ("data", data) => event.data = format!("{}\n{data}", event.data),
                _ if line.is_empty() && !event.data.is_empty() => return Ok(Some(event)),
                _ => {}
            }
        }
    }
}

/// One line without its end; `None` where there is no whole one any more.
fn line(from: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return if bytes.len() as u64 + 1 < LINE_BYTES_MAX { Ok(None) } else { bail!("a line is too long") };
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8(bytes).context("no HTTP answer")?))
}

fn begin(host: &str, request: &str) -> Result<Streamed> {
    let mut stream = connect(&with_port(host))?;
    stream.set_read_timeout(Some(STREAM_SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    stream.write_all(request.as_bytes())?;
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while let Some(line) = line(&mut lines)?.filter(|line| !line.is_empty()) {
        head.push_str(&line);
        head.push_str("\r\n");
    }
    let streams = head.starts_with("HTTP/1.")
        && head.get(9..12) == Some("200")
        && head.to_ascii_lowercase().contains("content-type: text/event-stream");
    if streams {
        return Ok(Streamed::Events(Events { lines }));
    }
    let mut bytes = format!("{head}\r\n").into_bytes();
    lines.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Streamed::Answer(parse(&bytes).context("what answers there is no Aqueduct node")?))
}

/// `text` as a part of a path or a question.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn with_port(host: &str) -> String {
    let has_one = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_one { host.to_owned() } else { format!("{host}:80") }
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
    let mut stream = connect(&with_port(host))?;
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
    fn events_are_read_one_by_one_and_a_cut_one_is_none() {
        let text = "event: record\r\ndata: {}\r\n\r\n:\n\nevent: note\ndata: a\ndata: b\n\nevent: record\ndata: {\"cut";
        let mut events = Events { lines: text.as_bytes() };
        let event = |name: &str, data: &str| Some(Event { name: name.to_owned(), data: data.to_owned() });
        let mut next = || events.next().expect("readable");
        assert_eq!([next(), next(), next()], [event("record", "{}"), event("note", "a\nb"), None]);
    }

    #[test]
    fn what_is_put_into_a_path_stays_there() {
        assert_eq!(encoded("a b/../?x=1&y#2é"), "a%20b%2F..%2F%3Fx%3D1%26y%232%C3%A9");
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
