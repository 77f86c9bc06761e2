//! The pool for everything but writers: claims, letters, probes.
//!
//! When its credentials change, a new pool is filled with connections that were opened with the new ones, and takes the place
//! of the old, whose connections end as they are given back.
//!
//! Deliberately absent: trust in a PING. A connection is lent only after its server said that it takes writes.

use super::connect::{Connection, Connector};
use super::identifier::TableName;
use super::limits;
use crate::credentials::Login;
use crate::credentials::keeper::{Door, Kept};
use aqueduct_engine::{Class, Clock, Error, Keeper};
use aqueduct_topology::model::{Kind, TimescaleConnection, Topology};
use bb8::{ErrorSink, ManageConnection, Pool, PooledConnection, RunError};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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
        if connection.is_outdated() {
            return Err(Error::new(Class::Transient, "the credentials have changed"));
        }
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
pub type Checkout = PooledConnection<'static, Opener>;

/// The database of one topology as this process sees it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Timescale {
    connector: Arc<Connector>,
    pool: Arc<RwLock<Pool<Opener>>>,
    last_error: LastError,
    /// Waits that the waiting gave up, each by its own bound, while every connection was lent.
    given_up: Arc<AtomicU64>,
}

/// A wait for a connection, until it is forgotten: one that is dropped before was in vain. bb8 counts those only that wait
/// as long as the pool lets anybody wait; who is patient for less would never show.
struct Wait<'a> {
    timescale: &'a Timescale,
    pool: &'a Pool<Opener>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Timescale { connector, given_up, .. } = self.timescale;
        let state = self.pool.state();
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
        let pool = Arc::new(RwLock::new(empty(&connector, &last_error)));
        Ok(Self { connector, pool, last_error, given_up: Arc::default() })
    }

    /// Follows its credentials; a look proves that what `topology` writes may be written with them.
    pub(crate) fn keeper(&self, topology: &Topology) -> Arc<dyn Keeper> {
        let door =
            Renewal { timescale: self.clone(), tables: written_tables(topology), next: Mutex::default() };
        Arc::new(Kept::new(self.connector.credentials().clone(), door))
    }

    /// Fails unless the server lets us in with what the files hold, and what `topology` writes may be written.
    pub(crate) async fn prove(&self, topology: &Topology) -> Result<(), Error> {
        let door =
            Renewal { timescale: self.clone(), tables: written_tables(topology), next: Mutex::default() };
        door.prove(&self.connector.credentials().login()?).await
    }

    /// `changed().await` completes when it logs in with something else.
    pub(super) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.connector.credentials().changes()
    }

    fn pool(&self) -> Pool<Opener> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
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
    pub async fn checkout(&self) -> Result<Checkout, Error> {
        let pool = self.pool();
        // The first connection is opened here, so that a bad password is said at once instead of after bb8's patience.
        if pool.state().connections == 0 {
            let first = self.connector.connect_pooled().await?;
            drop(pool.add(first));
        }
        let wait = Wait { timescale: self, pool: &pool };
        let got = pool.get_owned().await;
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
        let state = self.pool().state();
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

fn empty(connector: &Arc<Connector>, last_error: &LastError) -> Pool<Opener> {
    Pool::builder()
        .max_size(connector.pool_size())
        .connection_timeout(limits::CHECKOUT_WAIT_MAX)
        .test_on_check_out(true)
        .error_sink(last_error.boxed_clone())
        .build_unchecked(Opener { connector: connector.clone() })
}

/// A full pool that takes the place of another.
struct Renewal {
    timescale: Timescale,
    /// Where rows are written, quoted.
    tables: Vec<String>,
    next: Mutex<Option<Pool<Opener>>>,
}

/// Whether offsets may be moved and rows be written; a user of the server may be let in and be of no use.
const MAY_WRITE: &str = "\
    SELECT count(*) FROM pg_catalog.unnest($1::text[]) AS wanted(name) \
    WHERE NOT COALESCE(pg_catalog.has_table_privilege(pg_catalog.to_regclass(wanted.name), 'INSERT'), true)";

impl Renewal {
    async fn fill(&self, login: &Login) -> Result<(), Error> {
        let Timescale { connector, last_error, .. } = &self.timescale;
        let first = connector.connect_with(login).await?;
        let missing: i64 = first.row("ask what may be written", MAY_WRITE, &[&self.tables]).await?.get(0);
        if missing > 0 {
            let message = format!(
                "the user may not write {missing} of the topology's tables; make it a member of aqueduct_writer"
            );
            return Err(Error::new(Class::Config, message));
        }
        let (pool, busy) = (empty(connector, last_error), self.timescale.pool().state().connections);
        drop(pool.add(first));
        for _ in 1..busy {
            drop(pool.add(connector.connect_with(login).await?));
        }
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(pool);
        Ok(())
    }
}

impl Door for Renewal {
    fn prove<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<(), Error>> {
        self.fill(login).boxed()
    }

    fn taken(&self) {
        if let Some(next) = self.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            *self.timescale.pool.write().unwrap_or_else(PoisonError::into_inner) = next;
        }
    }
}

/// Where rows and offsets are written, quoted.
fn written_tables(topology: &Topology) -> Vec<String> {
    let written = topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::TimescaleWriter(writer) => TableName::parse(&writer.table).ok(),
        _ => None,
    });
    written.map(|table| table.to_string()).chain(["aqueduct.offsets".to_owned()]).collect()
}
