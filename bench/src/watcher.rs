//! Somebody who watches a node as its users do: a scrape every second, and the page's stream of events held open.
//!
//! On threads of its own, so that what it costs is the program's and not the node's. It ends when dropped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often `/metrics` is read, as Prometheus does where somebody is in a hurry.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);
/// How soon a watcher notices that it is dropped, and tries again where nobody listens yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The page's stream; a node without it has the one of events.
const STREAMS: [&str; 2] = ["/api/live", "/api/events"];

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    over: Arc<AtomicBool>,
    scrapes: Arc<AtomicU64>,
    streamed_bytes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

/// A loopback address nobody listens on.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Watcher {
    /// Watches whoever listens there.
    pub fn new(node: SocketAddr) -> Self {
        let (over, scrapes, streamed_bytes) = (Arc::default(), Arc::default(), Arc::default());
        let scraping = {
            let (over, scrapes): (Arc<AtomicBool>, Arc<AtomicU64>) =
                (Arc::clone(&over), Arc::clone(&scrapes));
            std::thread::spawn(move || {
                while !over.load(Ordering::Acquire) {
                    if metrics(node).is_ok() {
                        scrapes.fetch_add(1, Ordering::Relaxed);
                        pause(SCRAPE_EVERY, &over);
                    }
                    pause(LOOK_EVERY, &over);
                }
            })
        };
        let streaming = {
            let (over, bytes): (Arc<AtomicBool>, Arc<AtomicU64>) =
                (Arc::clone(&over), Arc::clone(&streamed_bytes));
            std::thread::spawn(move || {
                while !over.load(Ordering::Acquire) {
                    // A node that ends takes the stream with it.
                    STREAMS.iter().any(|path| stream(node, path, &over, &bytes).unwrap_or(true));
                    pause(LOOK_EVERY, &over);
                }
            })
        };
        Self { over, scrapes, streamed_bytes, threads: vec![scraping, streaming] }
    }

    /// How often the page was read.
    pub fn scrapes(&self) -> u64 {
        self.scrapes.load(Ordering::Relaxed)
    }

    /// What came over the stream.
    pub fn streamed_bytes(&self) -> u64 {
        self.streamed_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn pause(wait: Duration, over: &AtomicBool) {
    let mut left = wait;
    while !left.is_zero() && !over.load(Ordering::Acquire) {
        let step = left.min(LOOK_EVERY);
        std::thread::sleep(step);
        left -= step;
    }
}

fn ask(node: SocketAddr, path: &str, wait: Duration) -> std::io::Result<TcpStream> {
    let mut connection = TcpStream::connect_timeout(&node, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(wait))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {node}\r\nConnection: close\r\n\r\n")?;
    Ok(connection)
}

/// What a node says of itself at this moment.
pub fn metrics(node: SocketAddr) -> std::io::Result<String> {
    let mut answer = String::new();
    ask(node, "/metrics", Duration::from_secs(5))?.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(answer) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

/// Reads the stream until its end or ours; `false` = there is no such stream.
fn stream(node: SocketAddr, path: &str, over: &AtomicBool, bytes: &AtomicU64) -> std::io::Result<bool> {
    let mut connection = ask(node, path, LOOK_EVERY)?;
    let (mut buffer, mut began) = ([0; 16 * 1024], false);
    while !over.load(Ordering::Acquire) {
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) if !began && !buffer[..read].starts_with(b"HTTP/1.1 200") => return Ok(false),
            Ok(read) => {
                began = true;
                bytes.fetch_add(read as u64, Ordering::Relaxed);
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    Ok(true)
}
