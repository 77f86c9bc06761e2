//! A conversation with the admin endpoint of a node whose token nobody here knows.

use aqueduct_engine::admin::AdminSettings;
use aqueduct_engine::{Actor, Context, Error, RuntimeApplication, Settings};
use aqueduct_topology::{Source, load_unconnected};
use futures::future::LocalBoxFuture;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

const TOPOLOGY: &str = include_str!("../../config/topologies/minimal/topology.yaml");
/// How long whoever asks says nothing before it says that nothing more comes; an unfinished request then ends.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an answer from memory may take on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What the endpoint says when it was asked more often than it answers.
const TOO_OFTEN: &str = "HTTP/1.1 429";

/// Does nothing until it is stopped.
struct Idle;

impl Actor for Idle {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            cx.status.stopped().await;
            Ok(())
        })
    }
}

/// The node's address; it lives as long as the process.
fn node() -> SocketAddr {
    static NODE: OnceLock<SocketAddr> = OnceLock::new();
    *NODE.get_or_init(|| {
        let (bound, address) = mpsc::channel();
        std::thread::spawn(move || run(&bound));
        address.recv().expect("the node listens")
    })
}

fn run(bound: &mpsc::Sender<SocketAddr>) {
    let (loaded, diagnostics) = load_unconnected(&Source::new("minimal.yaml", TOPOLOGY), &|_| None);
    let (topology, _) = loaded.unwrap_or_else(|| panic!("{diagnostics:#?}"));
    let token = Some("nobody-says-these-words-0123456789".to_owned().into());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let admin =
        Some(AdminSettings { listen, token, settings: serde_json::json!({}), redaction: Default::default() });
    let application = RuntimeApplication::builder(Arc::new(topology))
        .settings(Settings { admin, ..Settings::default() })
        .catalog(Box::new(|_| Ok(Arc::new(|| Box::new(Idle)))))
        .build()
        .expect("an application");
    let handle = application.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let told = async {
        // Whoever asked may have gone.
        let _ = bound.send(handle.admin_bound().await);
    };
    let both = async { tokio::join!(application.run(), told) };
    tokio::task::LocalSet::new().block_on(&runtime, both);
}

fn connect(silence_max: Duration) -> TcpStream {
    let stream = TcpStream::connect(node()).expect("the endpoint takes connections");
    stream.set_read_timeout(Some(silence_max)).expect("a socket");
    stream
}

/// What comes on `stream` until it ends, or nothing has come for as long as it waits.
fn hear(mut stream: &TcpStream, answer: &mut Vec<u8>) {
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..length]);
    }
}

/// Says `bytes` on a connection of its own; the answer as far as it comes.
fn say(bytes: &[u8]) -> String {
    let (mut stream, mut answer) = (connect(PAUSE), Vec::new());
    // It may hang up in the middle of nonsense.
    let _ = stream.write_all(bytes);
    hear(&stream, &mut answer);
    let _ = stream.shutdown(Shutdown::Write);
    hear(&stream, &mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the node still says that it lives.
fn lives() -> bool {
    let (mut stream, mut answer) = (connect(ANSWER_MAX), Vec::new());
    let sent = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    hear(&stream, &mut answer);
    sent.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

/// Promise: what is answered is HTTP and no failure of ours; nothing is ordered without the token; the node still answers.
pub fn admin(bytes: &[u8]) {
    let mut answer = say(bytes);
    while answer.starts_with(TOO_OFTEN) {
        std::thread::sleep(Duration::from_millis(20));
        answer = say(bytes);
    }
    assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer}");
    for failure in ["HTTP/1.1 500", "HTTP/1.1 202", "HTTP/1.0 500", "HTTP/1.0 202"] {
        assert!(!answer.contains(failure), "{answer}");
    }
    assert!(lives(), "after {answer:?}");
}
