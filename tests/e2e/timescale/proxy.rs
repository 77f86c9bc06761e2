//! A wire to the database that can be cut at a chosen moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// When the wire is cut.
#[derive(Clone, Copy)]
pub(super) enum Cut {
    /// The server has answered COMMIT; its answer is kept from the client.
    AfterCommit,
    /// The client has sent rows; the server gets them, and nothing after.
    WithinCopy,
}

/// Cuts one connection, the first that comes to that moment; later ones pass.
pub(super) struct Proxy {
    address: SocketAddr,
    pub(super) was_cut: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) async fn to(server: String, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let was_cut = Arc::new(AtomicBool::new(false));
        let shared = was_cut.clone();
        tokio::task::spawn_local(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the database answers");
                tokio::task::spawn_local(pass(client, server, cut, shared.clone()));
            }
        });
        Self { address, was_cut }
    }

    /// `url`, through this wire.
    pub(super) fn url(&self, url: &str) -> String {
        url.replace(&server_of(url), &self.address.to_string())
    }
}

/// `host:port` of a url.
pub(super) fn server_of(url: &str) -> String {
    let rest = url.split_once("://").expect("a url").1;
    let place = rest.split('/').next().expect("a host");
    place.rsplit('@').next().expect("a host").to_owned()
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Cut, was_cut: Arc<AtomicBool>) {
    let (mut sent, mut answered) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return };
                if server.write_all(&sent[..length]).await.is_err() { return; }
                let has = |mark: &[u8]| sent[..length].windows(mark.len()).any(|window| window == mark);
                let now = match cut {
                    Cut::AfterCommit => has(b"COMMIT\0"),
                    Cut::WithinCopy => has(b"PGCOPY\n"),
                };
                if now && !was_cut.swap(true, Ordering::SeqCst) {
                    if let Cut::AfterCommit = cut {
                        // Its answer means that the commit has happened.
                        let length = server.read(&mut answered).await.expect("the server answers");
                        assert!(length > 0, "the server answers");
                    }
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() { return; }
            }
        }
    }
}
