//! The pool for everything but writers: claims, letters, probes.
//!
//! Deliberately absent: trust in a PING. A connection is lent only after its server said that it takes writes.

use super::connect::{Connection, Connector};
use super::limits;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::TimescaleConnection;
use bb8::{ErrorSink, ManageConnection, Pool, PooledConnection, RunError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Opens and checks the pool's connections.
#[derive(Clone, Debug)]
pub struct Opener {
    connector: Arc<Connector>,
}

impl ManageConnection for Opener {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        self.connector.connect_pooled().await
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.ping().await
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken()
    }
}

/// Keeps why the last connection could not be opened: bb8 itself only says that it waited.
#[derive(Clone, Debug, Default)]
struct LastError(Arc<Mutex<Option<Error>>>);

impl ErrorSink<Error> for LastError {
    fn sink(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<Error>> {
        Box::new(self.clone())
    }
}

/// A borrowed connection.
pub type Checkout<'a> = PooledConnection<'a, Opener>;

/// The database of one topology as this process sees it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Timescale {
    connector: Arc<Connector>,
    pool: Pool<Opener>,
    last_error: LastError,
    /// Waits that the waiting gave up, each by its own bound, while every connection was lent.
    given_up: Arc<AtomicU64>,
}

/// A wait for a connection, until it is forgotten: one that is dropped before was in vain. bb8 counts those only that wait
/// as long as the pool lets anybody wait; who is patient for less would never show.
struct Wait<'a>(&'a Timescale);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Timescale { pool, connector, given_up, .. } = self.0;
        let state = pool.state();
        // While the server is away there are none to be had, however many there might be.
        if state.connections >= connector.pool_size() && state.idle_connections == 0 {
            given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Timescale {
    /// Opens nothing yet. `topology` and `node` name its sessions.
    pub fn new(
        connection: &TimescaleConnection,
        topology: &str,
        node: &str,
        clock: Clock,
    ) -> Result<Self, Error> {
        let connector = Arc::new(Connector::new(connection, topology, node, clock)?);
        let last_error = LastError::default();
        let pool = Pool::builder()
            .max_size(connector.pool_size())
            .connection_timeout(limits::CHECKOUT_WAIT_MAX)
            .test_on_check_out(true)
            .error_sink(last_error.boxed_clone())
            .build_unchecked(Opener { connector: connector.clone() });
        Ok(Self { connector, pool, last_error, given_up: Arc::default() })
    }

    /// The name of this process's sessions.
    pub fn session(&self) -> &Arc<str> {
        self.connector.session()
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        self.connector.clock()
    }

    /// A connection of the caller's own.
    pub async fn connect(&self) -> Result<Connection, Error> {
        self.connector.connect().await
    }

    /// The same for a caller that is not on an arbiter, such as who answers a request: nothing of it is bound to a thread.
    pub async fn connect_anywhere(&self) -> Result<Connection, Error> {
        self.connector.connect_pooled().await
    }

    /// A connection of the pool.
    pub async fn checkout(&self) -> Result<Checkout<'_>, Error> {
        // The first connection is opened here, so that a bad password is said at once instead of after bb8's patience.
        if self.pool.state().connections == 0 {
            let first = self.connector.connect_pooled().await?;
            drop(self.pool.add(first));
        }
        let wait = Wait(self);
        let got = self.pool.get().await;
        std::mem::forget(wait);
        got.map_err(|error| match error {
            RunError::User(error) => error,
            RunError::TimedOut => {
                let last = self.last_error.0.lock().unwrap_or_else(PoisonError::into_inner).take();
                last.unwrap_or_else(|| {
                    let size = self.connector.pool_size();
                    let message = format!("no timescale connection became free (`pool: {size}`)");
                    Error::new(Class::Transient, message)
                })
            }
        })
    }

    /// How the pool fares.
    pub(super) fn load(&self) -> Load {
        let state = self.pool.state();
        let (idle, statistics) = (state.idle_connections, &state.statistics);
        Load {
            idle,
            busy: state.connections.saturating_sub(idle),
            max: self.connector.pool_size(),
            waited: statistics.get_waited,
            timed_out: statistics.get_timed_out + self.given_up.load(Ordering::Relaxed),
        }
    }
}

/// How a pool fares.
pub(super) struct Load {
    pub(super) idle: u32,
    pub(super) busy: u32,
    pub(super) max: u32,
    /// Times somebody waited for a connection and got one.
    pub(super) waited: u64,
    /// Times nobody gave one back in time: the pool's, or that of who waited.
    pub(super) timed_out: u64,
}
