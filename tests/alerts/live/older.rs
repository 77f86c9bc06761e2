//! A node of another version, as far as Prometheus can tell: the page of one of ours, with another version in it. There is
//! but one build to be had.

use crate::harness::node;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const BUILD: &str = "aqueduct_build_info{";
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Older {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Older {
    /// Shows the page of the node at `admin`.
    pub fn of(admin: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever asked may be gone.
                let _ = client.and_then(|client| answer(client, admin));
            }
        });
        Self { address, over, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // What it panicked with was printed.
            let _ = thread.join();
        }
    }
}

fn answer(mut client: TcpStream, admin: SocketAddr) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let Some((200, page)) = node::get(admin, "/metrics") else { return Ok(()) };
    let page: String = page.lines().map(aged).collect();
    let length = page.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    )
}

fn aged(line: &str) -> String {
    let aged = line
        .strip_prefix(BUILD)
        .and_then(|labels| labels.split_once("version=\""))
        .and_then(|(before, rest)| Some((before, rest.split_once('"')?.1)))
        .map(|(before, after)| format!("{BUILD}{before}version=\"0.0.0\"{after}"));
    format!("{}\n", aged.as_deref().unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::aged;

    #[test]
    fn another_version_is_all_that_changes() {
        let line = r#"aqueduct_build_info{version="1.2.3",commit="c",librdkafka="2.12.1"} 1"#;
        assert_eq!(aged(line), line.replace("1.2.3", "0.0.0") + "\n");
        assert_eq!(aged("# TYPE aqueduct_build_info gauge"), "# TYPE aqueduct_build_info gauge\n");
    }
}
