//! A schema registry that gives recorded answers: exchanges of Confluent's REST API, as its documentation has them.
//!
//! Also a module of the actors' own tests.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Schemas of Avro, one with a reference.
pub(crate) const AVRO: &str = include_str!("exchanges/avro.json");
/// Schemas of Protobuf, one with a reference.
pub(crate) const PROTOBUF: &str = include_str!("exchanges/protobuf.json");
/// A login that is refused.
pub(crate) const UNAUTHORIZED: &str = include_str!("exchanges/unauthorized.json");
/// A registry whose own store is away.
pub(crate) const FAILING: &str = include_str!("exchanges/failing.json");
/// One that leads to another host; `OTHER` stands for its address.
pub(crate) const MOVED: &str = include_str!("exchanges/moved.json");

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `GET /schemas/ids/1`
    pub(crate) line: String,
    /// The header of that name.
    pub(crate) authorization: Option<String>,
}

/// At work until it is dropped.
pub(crate) struct RegistryServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RegistryServer {
    /// One that knows `exchanges`, at a port of its own. What it does not know is an id that is not there.
    pub(crate) fn start(exchanges: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", exchanges)
    }

    /// The same at that address.
    pub(crate) fn start_at(address: &str, exchanges: &[&str]) -> Self {
        Self::serve(address, None, exchanges)
    }

    /// The same, encrypted.
    pub(crate) fn start_encrypted(tls: ServerConfig, exchanges: &[&str]) -> Self {
        Self::serve("127.0.0.1:0", Some(Arc::new(tls)), exchanges)
    }

    fn serve(address: &str, tls: Option<Arc<ServerConfig>>, exchanges: &[&str]) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let parsed = |text: &&str| serde_json::from_str::<Vec<Value>>(text).expect("recorded exchanges");
        let exchanges: Vec<Value> = exchanges.iter().flat_map(parsed).collect();
        let (asked, ending) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (asked, ending) = (asked.clone(), ending.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if ending.load(Ordering::SeqCst) {
                        break;
                    }
                    // Who goes away in the middle is no matter of the registry's.
                    let _ = match &tls {
                        None => answer(&mut &stream, &exchanges, &asked),
                        Some(tls) => ServerConnection::new(tls.clone())
                            .map_err(std::io::Error::other)
                            .and_then(|tls| answer(&mut StreamOwned::new(tls, &stream), &exchanges, &asked)),
                    };
                    let _ = stream.shutdown(Shutdown::Both);
                }
            })
        };
        Self { address, asked, ending, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the one who waits for the next request.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(
    stream: &mut (impl Read + Write),
    exchanges: &[Value],
    asked: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut *stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let line = first.trim_end_matches(" HTTP/1.1").to_owned();
    let mut authorization = None;
    for header in lines.by_ref() {
        let header = header?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ").unwrap_or((&header, ""));
        if name.eq_ignore_ascii_case("authorization") {
            authorization = Some(value.to_owned());
        }
    }
    let missing = serde_json::json!({
        "status": 404, "body": { "error_code": 40403, "message": "Schema not found" },
    });
    let found =
        exchanges.iter().find(|exchange| exchange["request"] == line.as_str() || exchange["request"] == "*");
    let found = found.unwrap_or(&missing);
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { line, authorization });
    let body = match &found["body"] {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let location = found["location"].as_str().map_or(String::new(), |to| format!("location: {to}\r\n"));
    write!(
        stream,
        "HTTP/1.1 {} Recorded\r\ncontent-type: application/vnd.schemaregistry.v1+json\r\n{location}content-length: {}\r\n\r\n{body}",
        found["status"],
        body.len(),
    )?;
    stream.flush()
}
