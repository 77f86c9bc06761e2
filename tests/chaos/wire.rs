//! A wire between a node and one of its servers: it can be held, slowed, cut, led elsewhere, and made to stop at a chosen point of
//! the writer's transaction.
//!
//! Invariant: who is held at a point has sent the server exactly what comes before it, until the wire is cut.
//! Deliberately absent: loss and change of bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A point of the writer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Half of the rows have been sent.
    InCopy,
    /// All rows have been sent, nothing of the offsets.
    BeforeOffsets,
    /// The server has got COMMIT; its answer is kept back.
    InCommit,
    /// The answer to COMMIT has been passed on.
    AfterCommit,
}

impl Point {
    pub const ALL: [Self; 4] = [Self::InCopy, Self::BeforeOffsets, Self::InCommit, Self::AfterCommit];

    pub fn name(self) -> &'static str {
        match self {
            Self::InCopy => "in COPY",
            Self::BeforeOffsets => "between COPY and the offsets",
            Self::InCommit => "in COMMIT",
            Self::AfterCommit => "between COMMIT and Redis",
        }
    }
}

#[derive(Default)]
struct Knobs {
    target: String,
    /// Nothing passes, in either direction.
    held: bool,
    /// Each message to the server waits for so long.
    delay: Duration,
    /// Who comes to this point next stops there.
    armed: Option<Point>,
    /// Somebody has stopped there.
    hit: bool,
    connections: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    knobs: Mutex<Knobs>,
    changed: Condvar,
}

impl Shared {
    fn knobs(&self) -> MutexGuard<'_, Knobs> {
        self.knobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.knobs());
        self.changed.notify_all();
    }

    /// Waits while the wire is held.
    fn pass(&self) {
        let knobs = self.knobs();
        drop(self.changed.wait_while(knobs, |knobs| knobs.held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Stops whoever comes here if this is the armed point; all else stops with him.
    fn reach(&self, point: Point) {
        self.change(|knobs| {
            if knobs.armed == Some(point) {
                (knobs.armed, knobs.hit, knobs.held) = (None, true, true);
            }
        });
    }

    fn is_armed(&self, point: Point) -> bool {
        self.knobs().armed == Some(point)
    }
}

/// See the module.
pub struct Wire {
    address: SocketAddr,
    server: String,
    shared: Arc<Shared>,
}

impl Wire {
    /// To the server of `url`.
    pub fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = server_of(url);
        let shared = Arc::new(Shared::default());
        shared.change(|knobs| knobs.target.clone_from(&server));
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = accepting.knobs().target.clone();
                // A server that is away shows as a connection that ends at once.
                if let Ok(server) = TcpStream::connect(target) {
                    join(&accepting, client, server);
                }
            }
        });
        Self { address, server, shared }
    }

    /// `url` through this wire.
    pub fn url(&self, url: &str) -> String {
        url.replace(&self.server, &self.address.to_string())
    }

    /// Nothing passes until the wire is cut; connections stay.
    pub fn hold(&self) {
        self.shared.change(|knobs| knobs.held = true);
    }

    /// Each message to the server waits for so long from now on.
    pub fn delay(&self, delay: Duration) {
        self.shared.change(|knobs| knobs.delay = delay);
    }

    /// New connections go to the server of `url`; those that are there stay where they are.
    pub fn lead_to(&self, url: &str) {
        self.shared.change(|knobs| knobs.target = server_of(url));
    }

    /// Who comes to `point` next is held there.
    pub fn arm(&self, point: Point) {
        self.shared.change(|knobs| (knobs.armed, knobs.hit) = (Some(point), false));
    }

    /// Waits until somebody is held at the armed point; whether that happened.
    pub fn is_hit_within(&self, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        let mut knobs = self.shared.knobs();
        while !knobs.hit {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                knobs.armed = None;
                return false;
            }
            let waited = self.shared.changed.wait_timeout(knobs, left);
            knobs = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Ends every connection with what the server has got so far, and lets new ones pass.
    pub fn cut(&self) {
        self.shared.change(|knobs| {
            for connection in knobs.connections.drain(..) {
                // It may have ended by itself.
                let _ = connection.shutdown(Shutdown::Both);
            }
            knobs.held = false;
        });
    }
}

/// `host:port` of a url.
fn server_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.split(['/', '?']).next().expect("a host");
    place.rsplit('@').next().expect("a host").to_owned()
}

fn join(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    let twin = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a socket");
    }
    let kept = [twin(&client), twin(&server)];
    shared.change(|knobs| knobs.connections.extend(kept));
    let commits = Arc::new(Mutex::new(false));
    let (up, down) = ((twin(&client), twin(&server)), (server, client));
    let (above, sent) = (shared.clone(), commits.clone());
    std::thread::spawn(move || {
        let _ = ask(&above, &up, &sent);
        end(&up);
    });
    let below = shared.clone();
    std::thread::spawn(move || {
        let _ = answer(&below, &down, &commits);
        end(&down);
    });
}

fn end((from, to): &(TcpStream, TcpStream)) {
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// From the client to the server, message by message where it is PostgreSQL's protocol.
fn ask(shared: &Shared, (from, to): &(TcpStream, TcpStream), commits: &Mutex<bool>) -> std::io::Result<()> {
    let (mut from, mut to) = (from, to);
    let mut messages = Messages::default();
    let mut copied = false;
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        shared.pass();
        messages.add(&bytes[..length]);
        while let Some(message) = messages.next() {
            std::thread::sleep(shared.knobs().delay);
            match message.first() {
                Some(b'd') => {
                    let (half, rest) = message.split_at(message.len() / 2);
                    to.write_all(half)?;
                    shared.reach(Point::InCopy);
                    shared.pass();
                    to.write_all(rest)?;
                    continue;
                }
                Some(b'c') => copied = true,
                Some(b'B') if copied => {
                    copied = false;
                    shared.reach(Point::BeforeOffsets);
                }
                Some(b'Q') if message.get(5..).is_some_and(|text| text.starts_with(b"COMMIT")) => {
                    if shared.is_armed(Point::InCommit) {
                        to.write_all(&message)?;
                        shared.reach(Point::InCommit);
                        shared.pass();
                        continue;
                    }
                    *commits.lock().unwrap_or_else(PoisonError::into_inner) = true;
                }
                _ => {}
            }
            shared.pass();
            to.write_all(&message)?;
        }
    }
}

/// From the server to the client.
fn answer(
    shared: &Shared,
    (from, to): &(TcpStream, TcpStream),
    commits: &Mutex<bool>,
) -> std::io::Result<()> {
    let (mut from, mut to) = (from, to);
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        shared.pass();
        to.write_all(&bytes[..length])?;
        let committed = std::mem::take(&mut *commits.lock().unwrap_or_else(PoisonError::into_inner));
        if committed {
            shared.reach(Point::AfterCommit);
        }
    }
}

/// Cuts what a client of PostgreSQL sends into its messages. Anything else comes out as it went in.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
    protocol: Protocol,
}

#[derive(Default, PartialEq, Eq)]
enum Protocol {
    #[default]
    Unknown,
    Postgres,
    Other,
}

impl Messages {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        const VERSION_3: [u8; 4] = [0, 3, 0, 0];
        let number = |at: usize| {
            let bytes = self.bytes.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize)
        };
        // The first message of PostgreSQL's has no type before its length, but a version after it.
        let length = match self.protocol {
            Protocol::Postgres => 1 + number(1)?,
            Protocol::Unknown if self.bytes.len() < 8 => return None,
            Protocol::Unknown if self.bytes[4..8] == VERSION_3 => number(0)?,
            Protocol::Unknown | Protocol::Other => {
                self.protocol = Protocol::Other;
                self.bytes.len()
            }
        };
        if self.bytes.len() < length || length == 0 {
            return None;
        }
        if self.protocol == Protocol::Unknown {
            self.protocol = Protocol::Postgres;
        }
        Some(self.bytes.drain(..length).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let startup = [0, 0, 0, 9, 0, 3, 0, 0, 0];
        let query = *b"Q\0\0\0\x0bCOMMIT\0";
        let whole = [&startup[..], &query, b"c\0\0\0\x04"].concat();
        for piece in [8, 10, 64] {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for part in whole.chunks(piece) {
                messages.add(part);
                found.extend(std::iter::from_fn(|| messages.next()));
            }
            let firsts: Vec<u8> = found.iter().map(|message| message[0]).collect();
            assert_eq!(firsts, [0, b'Q', b'c'], "in pieces of {piece}");
            assert_eq!(found.concat(), whole);
        }
    }

    #[test]
    fn what_is_not_postgres_passes_as_it_is() {
        let mut messages = Messages::default();
        messages.add(b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(messages.next().as_deref(), Some(&b"*1\r\n$4\r\nPING\r\n"[..]));
        assert_eq!(messages.next(), None);
    }
}
