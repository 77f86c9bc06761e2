//! A wire to the database that knows the protocol: it can be reset or fall silent at a chosen moment of a session.
//!
//! It runs on a thread of its own, so that tests with and without a runtime use it alike, and ends when dropped: until
//! then a session that fell silent keeps its sockets open on both sides, as a network does that loses every packet.
//! Deliberately absent: TLS (the test servers have none), and any change to what passes.

mod message;

pub use message::Moment;

use message::Reader;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// On which side of the moment's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The server never gets it.
    Before,
    /// The server got it and, where it answers at all, has answered; the client does not get that.
    After,
}

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Both ends are reset.
    Reset,
    /// Nothing passes any more in either direction, and no socket is closed.
    Silence,
}

/// A fault to come.
#[derive(Clone, Copy, Debug)]
struct Strike {
    moment: Moment,
    when: When,
    how: How,
    /// How many sessions it will meet.
    left: u32,
}

/// What befalls sessions wherever they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weather {
    /// Nothing passes, for those that are there or come.
    silent: bool,
    /// How often all that were there have been reset.
    resets: u64,
}

#[derive(Debug)]
struct State {
    strikes: Vec<Strike>,
    struck: u32,
}

#[derive(Debug)]
struct Shared {
    server: String,
    state: Mutex<State>,
    weather: watch::Sender<Weather>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that meets a session which has come to `moment`.
    fn strike(&self, moment: Moment) -> Option<(When, How)> {
        let mut state = self.state();
        let strike = state.strikes.iter_mut().find(|strike| strike.moment == moment && strike.left > 0)?;
        strike.left = strike.left.saturating_sub(1);
        let fault = (strike.when, strike.how);
        state.struck += 1;
        Some(fault)
    }
}

/// The wire.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// To the server of `url`.
    pub fn to(url: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener for a runtime");
        let address = listener.local_addr().expect("an address");
        let state = State { strikes: Vec::new(), struck: 0 };
        let shared = Arc::new(Shared {
            server: server_of(url),
            state: Mutex::new(state),
            weather: watch::Sender::new(Weather::default()),
        });
        let (end, ended) = oneshot::channel();
        let inside = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = accept(listener, inside) => {}
                }
            });
        });
        Self { address, shared, end: Some(end), thread: Some(thread) }
    }

    /// `url`, through this wire.
    pub fn url(&self, url: &str) -> String {
        url.replace(&server_of(url), &self.address.to_string())
    }

    /// The next session that comes to `moment` meets this.
    pub fn strike(&self, moment: Moment, when: When, how: How) {
        self.strike_each(moment, when, how, 1);
    }

    /// So many sessions meet it.
    pub fn strike_each(&self, moment: Moment, when: When, how: How, sessions: u32) {
        self.shared.state().strikes.push(Strike { moment, when, how, left: sessions });
    }

    /// How often a fault has met a session.
    pub fn struck(&self) -> u32 {
        self.shared.state().struck
    }

    /// Every session falls silent, and every one to come until [`Proxy::clear`].
    pub fn silence(&self) {
        self.shared.weather.send_modify(|weather| weather.silent = true);
    }

    /// Every session there is, is reset.
    pub fn reset(&self) {
        self.shared.weather.send_modify(|weather| weather.resets += 1);
    }

    /// Sessions to come pass without harm. Those that fell silent stay so.
    pub fn clear(&self) {
        self.shared.state().strikes.clear();
        self.shared.weather.send_modify(|weather| weather.silent = false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has shown already.
            let _ = thread.join();
        }
    }
}

/// `host:port` of a url.
pub fn server_of(url: &str) -> String {
    let rest = url.split_once("://").expect("a url").1;
    let place = rest.split('/').next().expect("a host");
    place.rsplit('@').next().expect("a host").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "sessions of a test's wire have no supervisor")]
async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(session(client, shared.clone()));
    }
}

async fn session(client: TcpStream, shared: Arc<Shared>) {
    let mut weather = shared.weather.subscribe();
    let here = *weather.borrow_and_update();
    let struck = || shared.strike(Moment::Connect).map(|(_, how)| how);
    if let Some(how) = if here.silent { Some(How::Silence) } else { struck() } {
        return befall(how, client, None).await;
    }
    let Ok(server) = TcpStream::connect(&shared.server).await else {
        return befall(How::Reset, client, None).await;
    };
    let (mut client, mut server) = (client, server);
    let how = tokio::select! {
        how = pass(&mut client, &mut server, &shared) => how,
        how = storm(&mut weather, here) => Some(how),
    };
    if let Some(how) = how {
        befall(how, client, Some(server)).await;
    }
}

async fn storm(weather: &mut watch::Receiver<Weather>, here: Weather) -> How {
    while weather.changed().await.is_ok() {
        let now = *weather.borrow_and_update();
        if now.resets > here.resets {
            return How::Reset;
        }
        if now.silent {
            return How::Silence;
        }
    }
    std::future::pending().await
}

async fn befall(how: How, client: TcpStream, server: Option<TcpStream>) {
    match how {
        How::Reset => {
            for socket in [Some(client), server].into_iter().flatten() {
                // Without it the other side would see an orderly end.
                let _ = socket.set_zero_linger();
            }
        }
        How::Silence => std::future::pending().await,
    }
}

/// Passes what is said until an end closes (`None`) or a fault comes.
async fn pass(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared) -> Option<How> {
    let (mut sent, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut reader = Reader::default();
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return None };
                reader.take(&sent[..length]);
                while let Some((message, moment)) = reader.next() {
                    let fault = moment.and_then(|moment| shared.strike(moment));
                    if let Some((When::Before, how)) = fault {
                        return Some(how);
                    }
                    server.write_all(&message).await.ok()?;
                    if let Some((When::After, how)) = fault {
                        // The rest of a statement stands behind its first message.
                        server.write_all(reader.rest()).await.ok()?;
                        if moment.is_some_and(Moment::is_answered) {
                            await_answer(client, server).await?;
                        } else if how == How::Reset {
                            // It could overtake what was sent.
                            let _ = server.shutdown().await;
                        }
                        return Some(how);
                    }
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return None };
                client.write_all(&answered[..length]).await.ok()?;
            }
        }
    }
}

/// Passes what belongs to the message until the server has answered it: then it has happened.
async fn await_answer(client: &mut TcpStream, server: &mut TcpStream) -> Option<()> {
    let (mut sent, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return None };
                server.write_all(&sent[..length]).await.ok()?;
            }
            read = server.read(&mut answered) => {
                return matches!(read, Ok(1..)).then_some(());
            }
        }
    }
}
