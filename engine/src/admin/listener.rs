//! Connections with bounds: so many at once, each cut when its question does not come in time, or when nothing moves
//! on it for a while.
//!
//! Invariant: who says a byte now and then holds a place no longer than who says nothing.

use crate::Clock;
use crate::clock::Instant;
use crate::limits::{
    ADMIN_ANSWER_MAX, ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_MAX, ADMIN_IDLE_MAX, ADMIN_SEND_BUFFER_BYTES,
};
use crate::telemetry::event_ids;
use axum::serve::Listener;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep_until};

/// How long to wait for a file when none is left for a connection.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Accepts while fewer than the bound are open.
pub(super) struct BoundedListener {
    inner: TcpListener,
    permits: Arc<Semaphore>,
    /// A file held for the moment when there is none left for a connection: then it gives way, so that probes are answered
    /// one after the other, whatever else has taken all the others.
    spare: Option<File>,
}

impl BoundedListener {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        // Those it accepts inherit it.
        socket.set_send_buffer_size(ADMIN_SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        let inner = socket.listen(ADMIN_CONNECTIONS_MAX as u32)?;
        Ok(Self { inner, permits: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)), spare: None })
    }

    /// What is left of its places.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        self.permits.clone()
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let permit = self.permits.clone().acquire_owned().await.expect("invariant: nobody closes it");
        loop {
            let spare = self.spare.take().or_else(spare);
            match self.inner.accept().await {
                Ok((inner, address)) => {
                    self.spare = spare;
                    return (BoundedStream::new(inner, Some(permit)), address);
                }
                Err(error) if is_the_clients(&error) => self.spare = spare,
                Err(error) if spare.is_some() => {
                    tracing::warn!(event = event_ids::FILES_EXHAUSTED, %error, "the admin endpoint takes its last file; raise the limit of open files");
                    drop(spare);
                    if let Ok((inner, address)) = self.inner.accept().await {
                        return (BoundedStream::new(inner, Some(permit)), address);
                    }
                }
                // Somebody else was faster.
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN_AFTER).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address()
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whoever wanted to connect is gone again.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// The head of a request comes, of whose end so many bytes were seen.
    Head(usize),
    /// A whole head came; an answer is owed.
    Asked,
    /// The answer goes out, or went.
    Answered,
}

impl Talk {
    /// After these bytes were read.
    fn heard(self, bytes: &[u8]) -> Self {
        const END: &[u8] = b"\r\n\r\n";
        let mut seen = match self {
            Talk::Asked => return self,
            Talk::Head(seen) => seen,
            Talk::Answered => 0,
        };
        for &byte in bytes {
            seen = match byte {
                byte if byte == END[seen] => seen + 1,
                b'\r' => 1,
                _ => 0,
            };
            if seen == END.len() {
                return Talk::Asked;
            }
        }
        Talk::Head(seen)
    }
}

/// A connection with a deadline.
pub(super) struct BoundedStream<S> {
    inner: S,
    talk: Talk,
    deadline: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> BoundedStream<S> {
    fn new(inner: S, permit: Option<OwnedSemaphorePermit>) -> Self {
        let deadline = Box::pin(sleep_until(now() + ADMIN_HEAD_MAX));
        Self { inner, talk: Talk::Head(0), deadline, _permit: permit }
    }

    fn moved_to(&mut self, talk: Talk) {
        let before = std::mem::replace(&mut self.talk, talk);
        let wait_max = match (before, talk) {
            // However many bytes come of it.
            (Talk::Head(_), Talk::Head(_)) => return,
            (_, Talk::Head(_)) => ADMIN_HEAD_MAX,
            (_, Talk::Asked) => ADMIN_ANSWER_MAX,
            (_, Talk::Answered) => ADMIN_IDLE_MAX,
        };
        self.deadline.as_mut().reset(now() + wait_max);
    }

    /// Nothing moved: an error if that has gone on for too long.
    fn waited<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn now() -> Instant {
    Clock::system().now()
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.talk, Talk::Head(_)) && self.deadline.is_elapsed() {
            return self.waited(cx);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Ready(outcome) => {
                let talk = self.talk.heard(&buffer.filled()[before..]);
                self.moved_to(talk);
                Poll::Ready(outcome)
            }
            Poll::Pending => self.waited(cx),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, bytes) {
            Poll::Ready(outcome) => {
                self.moved_to(Talk::Answered);
                Poll::Ready(outcome)
            }
            Poll::Pending => self.waited(cx),
        }
    }

    /// Or each connection would hold a copy of what is one for all who look.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write_vectored(cx, buffers) {
            Poll::Ready(outcome) => {
                self.moved_to(Talk::Answered);
                Poll::Ready(outcome)
            }
            Poll::Pending => self.waited(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[test]
    fn a_head_ends_with_an_empty_line_wherever_it_is_cut() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..head.len() {
            let talk = Talk::Head(0).heard(&head[..cut]);
            assert!(matches!(talk, Talk::Head(_)), "{cut}: {talk:?}");
            assert_eq!(talk.heard(&head[cut..]), Talk::Asked);
        }
        assert_eq!(Talk::Head(0).heard(b"a\r\r\n\r\n"), Talk::Asked);
        assert_eq!(Talk::Answered.heard(b"\r\n\n\r\n"), Talk::Head(2));
    }

    /// Reads until the stream ends or fails; says after how long and with what.
    async fn read_out(stream: &mut BoundedStream<tokio::io::DuplexStream>) -> (Duration, io::Result<usize>) {
        let (begin, mut all) = (now(), Vec::new());
        let outcome = stream.read_to_end(&mut all).await;
        (now() - begin, outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_cut_like_one_that_does_not_come() {
        let (mut client, server) = duplex(1024);
        let mut server = BoundedStream::new(server, None);
        let dripping = async {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let (after, outcome) = tokio::select! {
            cut = read_out(&mut server) => cut,
            () = dripping => unreachable!("the other end is open"),
        };
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(after <= ADMIN_HEAD_MAX + Duration::from_secs(1), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_its_time_is_waited_for_and_a_slow_reader_is_not_for_ever() {
        let (mut client, server) = duplex(64);
        let mut server = BoundedStream::new(server, None);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut head = [0; 18];
        server.read_exact(&mut head).await.unwrap();
        let patient = tokio::time::timeout(ADMIN_IDLE_MAX * 2, server.read_u8()).await;
        assert!(patient.is_err(), "still open: {patient:?}");
        let begin = now();
        let refused = server.write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(now() - begin >= ADMIN_IDLE_MAX);
    }
}
