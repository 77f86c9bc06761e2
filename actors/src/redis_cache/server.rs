//! Connections to Redis, pooled: made anew after every doubt.
//!
//! bb8-redis calls no connection broken, and a demoted replica answers PING. So a connection here is in doubt from the
//! moment a request is sent until its whole answer has proved good; whatever ends in between (a timeout, a READONLY, a
//! dropped future) leaves the doubt, and the pool discards it. The name is resolved at each connect; of several hosts it is
//! the first that says it leads.

use super::reply::{self, Role, error_of, error_of_failure, role_of};
use crate::credentials::keeper::{Door, Kept};
use crate::credentials::{Credentials, Files, Login};
use crate::hosts::{self, refused};
use crate::tls::{self, Check};
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Class, Clock, Error, Keeper};
use aqueduct_topology::model::{RedisConnection, Tls};
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, Value,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest wait for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Server {
    /// One of them leads.
    hosts: Arc<[Host]>,
    credentials: Arc<Credentials>,
    clock: Clock,
    /// For messages; without user and password.
    address: String,
}

/// Where a server may be.
#[derive(Clone)]
struct Host {
    info: ConnectionInfo,
    wire: Wire,
    address: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// The server of `topology`.
    pub(crate) fn new(connection: &RedisConnection, topology: &str, clock: Clock) -> Result<Self, Error> {
        let urls = hosts::each(connection.url.expose_secret());
        let hosts =
            urls.iter().map(|url| Host::new(url, connection)).collect::<Result<Arc<[Host]>, Error>>()?;
        let address = hosts.iter().map(|host| &*host.address).collect::<Vec<_>>().join(",");
        let credentials = Credentials::new("redis", topology, Files::from(connection), clock.clone());
        Ok(Self { hosts, credentials, clock, address })
    }

    /// For messages.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Each of its hosts alone, whether it leads or follows.
    pub(crate) fn apart(&self) -> Vec<Server> {
        let alone = |host: &Host| Self {
            hosts: Arc::new([host.clone()]),
            address: host.address.clone(),
            ..self.clone()
        };
        self.hosts.iter().map(alone).collect()
    }

    /// Follows its credentials.
    pub(crate) fn keeper(&self) -> Arc<dyn Keeper> {
        Arc::new(Kept::new(self.credentials.clone(), self.clone()))
    }

    /// What it logs in with now.
    pub(crate) fn login(&self) -> Result<Login, Error> {
        let named = |error: Error| Error::new(error.class, format!("`connections.redis`: {}", error.message));
        self.credentials.login().map_err(named)
    }

    async fn open(&self) -> Result<Connection, Error> {
        self.login()?.open(|login| self.open_with(login)).await
    }

    /// Asks one host after the other until one leads.
    async fn open_with(&self, login: Login) -> Result<Connection, Error> {
        if let [only] = &*self.hosts {
            return only.open(login).await;
        }
        let mut errors = Vec::new();
        for host in &*self.hosts {
            // One that is silent must not use up the time in which the next could answer.
            let wait = CONNECT_TIMEOUT / u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
            match self.clock.timeout(wait, host.open_leading(login.clone())).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => errors.push(error),
                Err(_) => errors.push(Error::new(
                    Class::Transient,
                    format!("redis at {}: no answer within {} ms", host.address, wait.as_millis()),
                )),
            }
        }
        Err(refused(errors))
    }
}

// === impl Host ===

impl Host {
    fn new(url: &str, connection: &RedisConnection) -> Result<Self, Error> {
        // The driver knows `rediss` only where it brings TLS of its own; ours is one for every server.
        let (plain, encrypted) = match url.strip_prefix("rediss://") {
            Some(rest) => (format!("redis://{rest}"), true),
            None => (url.to_owned(), false),
        };
        let info = plain.as_str().into_connection_info().map_err(|_| {
            Error::new(
                Class::Config,
                "`connections.redis.url` is no Redis address; write redis://[user:password@]host[:port][,host[:port]..]\
                 [/database]",
            )
        })?;
        let wire = wire(&info, encrypted, connection)?;
        let address = info.addr().to_string();
        Ok(Self { info, wire, address })
    }

    fn settings(&self, login: &Login) -> RedisConnectionInfo {
        let mut settings = self.info.redis_settings().clone();
        if let Some(user) = login.user() {
            settings = settings.set_username(user);
        }
        if let Some(password) = login.password() {
            settings = settings.set_password(password.expose_secret());
        }
        settings
    }

    async fn open(&self, login: Login) -> Result<Connection, Error> {
        let inner = self.dial(&login).await?;
        Ok(Connection { inner, in_doubt: false, login })
    }

    /// A connection, unless the server says that it follows another. No rule of an ACL forbids HELLO.
    async fn open_leading(&self, login: Login) -> Result<Connection, Error> {
        let mut connection = self.open(login).await?;
        let mut hello = redis::pipe();
        hello.cmd("HELLO");
        let answer = connection.send(&hello, &self.address).await?.pop().unwrap_or(Value::Nil);
        match role_of(&answer)? {
            Role::Leads => Ok(connection),
            Role::Follows => {
                let message = format!("redis at {}: it is a replica and takes no writes", self.address);
                Err(Error::new(Class::Transient, message))
            }
        }
    }

    async fn dial(&self, login: &Login) -> Result<MultiplexedConnection, Error> {
        let failed = |failure| error_of_failure(&self.address, &failure);
        // The caller's own timeout covers connect and answer; the driver's of 500 ms would cut a busy server.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let settings = self.settings(login);
        match &self.wire {
            Wire::Plain => {
                let client = Client::open(self.info.clone().set_redis_settings(settings)).map_err(failed)?;
                client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)
            }
            Wire::Tls { host, port, tls } => {
                let stream = self.encrypted((host, *port), tls.as_ref(), login).await?;
                let made = MultiplexedConnection::new_with_config(&settings, stream, config);
                let (connection, driver) = made.await.map_err(failed)?;
                drive(driver);
                Ok(connection)
            }
        }
    }

    async fn encrypted(
        &self,
        (host, port): (&str, u16),
        tls: Option<&Tls>,
        login: &Login,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let away = |error: std::io::Error| {
            // A certificate that is not believed stays so until somebody sees to it.
            if tls::is_refusal(&error) {
                reply::refused(&self.address, &error)
            } else {
                Error::new(Class::Transient, format!("redis at {}: {error}", self.address))
            }
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            Error::new(
                Class::Config,
                format!("`connections.redis.url`: the host is no name for TLS: {error}"),
            )
        })?;
        let connector = TlsConnector::from(Arc::new(tls::client(Check::SignerAndName, tls, login)?));
        let stream = TcpStream::connect((host, port)).await.map_err(away)?;
        stream.set_nodelay(true).map_err(away)?;
        connector.connect(name, stream).await.map_err(away)
    }
}

/// How a server is spoken to.
#[derive(Clone)]
enum Wire {
    /// As the address says, unencrypted.
    Plain,
    Tls {
        host: String,
        port: u16,
        tls: Option<Tls>,
    },
}

/// Encrypted if the address or a `tls` says so; then the server's certificate is always checked.
fn wire(info: &ConnectionInfo, encrypted: bool, connection: &RedisConnection) -> Result<Wire, Error> {
    let refused = |what: &str| Err(Error::new(Class::Config, format!("`connections.redis.url`: {what}")));
    if encrypted && connection.url.expose_secret().ends_with("#insecure") {
        return refused(
            "`#insecure` would believe any server; name who signs its certificate in `tls.ca_file`",
        );
    }
    match info.addr() {
        ConnectionAddr::Tcp(host, port) if encrypted || connection.tls.is_some() => {
            Ok(Wire::Tls { host: host.clone(), port: *port, tls: connection.tls.clone() })
        }
        ConnectionAddr::Unix(_) if connection.tls.is_some() => {
            refused("a Unix socket is not encrypted; leave out `tls`")
        }
        _ => Ok(Wire::Plain),
    }
}

/// Runs a connection until its last handle is gone.
#[expect(clippy::disallowed_methods, reason = "bb8 may connect outside any arbiter's local set")]
fn drive(driver: impl Future<Output = ()> + Send + 'static) {
    let guarded = AssertUnwindSafe(driver).catch_unwind().map(|ended| {
        if ended.is_err() {
            tracing::error!(event = event_ids::TASK_PANICKED, task = "redis connection", "task panicked");
        }
    });
    tokio::spawn(guarded);
}

/// A connection that knows whether it may be used again.
pub(crate) struct Connection {
    inner: MultiplexedConnection,
    in_doubt: bool,
    login: Login,
}

impl Connection {
    /// Sends `pipeline` and returns every reply, errors among them; an `Err` when there is no whole answer.
    pub(crate) async fn send(&mut self, pipeline: &Pipeline, address: &str) -> Result<Vec<Value>, Error> {
        self.in_doubt = true;
        let replies = self
            .inner
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await
            .map_err(|failure| error_of_failure(address, &failure))?;
        self.in_doubt = false;
        Ok(replies)
    }

    /// Fails unless the server answers `command` that all is well.
    async fn ask(&mut self, command: &redis::Cmd, address: &str) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command.clone());
        match self.send(&pipeline, address).await?.pop() {
            // Who may not even ask has had an answer.
            Some(Value::ServerError(reply)) if reply.code() == "NOPERM" => Ok(()),
            Some(Value::ServerError(reply)) => {
                let text = format!("{} {}", reply.code(), reply.details().unwrap_or_default());
                Err(error_of(&text))
            }
            _ => Ok(()),
        }
    }

    /// The pool will discard it.
    pub(crate) fn doubt(&mut self) {
        self.in_doubt = true;
    }
}

impl bb8::ManageConnection for Server {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        self.open().await
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.ask(&redis::cmd("PING"), &self.address).await
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.in_doubt
    }
}

impl Door for Server {
    fn prove<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let mut connection = self.open_with(login.clone()).await?;
            connection.ask(&redis::cmd("PING"), &self.address).await
        }
        .boxed()
    }
}

/// A pool on the runtime that calls it.
pub(crate) fn pool(server: &Server, connections: u32) -> bb8::Pool<Server> {
    bb8::Pool::builder()
        .max_size(connections.max(1))
        .connection_timeout(CONNECT_TIMEOUT)
        .retry_connection(false)
        .test_on_check_out(false)
        .build_unchecked(server.clone())
}

/// A connection from the pool, made now if none is idle: bb8 itself connects in the background, where the reason of a
/// failure (a bad password) would be lost.
pub(crate) async fn checkout(pool: &bb8::Pool<Server>) -> Result<bb8::PooledConnection<'_, Server>, Error> {
    if pool.state().idle_connections == 0 {
        let connection = pool.dedicated_connection().await?;
        // No room means that others have just returned theirs: take one of those.
        let _ = pool.add(connection);
    }
    loop {
        let mut connection = pool.get().await.map_err(|error| match error {
            bb8::RunError::User(error) => error,
            bb8::RunError::TimedOut => Error::new(
                Class::Transient,
                "redis: no connection became free; raise `connections.redis.pool`",
            ),
        })?;
        if !connection.login.is_outdated() {
            return Ok(connection);
        }
        // One with the credentials of now is there before the other goes; without one, the other is as good.
        let Ok(next) = pool.dedicated_connection().await else { return Ok(connection) };
        connection.doubt();
        drop(connection);
        let _ = pool.add(next);
    }
}

/// Fails unless a connection of the pool, an old or a new one, is answered that a write would be taken. PING passes on
/// what has become a replica; PERSIST is refused there, and does nothing to a key that is not there.
pub(super) async fn probe(pool: &bb8::Pool<Server>, address: &str, key: &str) -> Result<(), Error> {
    let mut connection = checkout(pool).await?;
    let mut persist = redis::cmd("PERSIST");
    persist.arg(key);
    let answer = connection.ask(&persist, address).await;
    if answer.is_err() {
        connection.doubt();
    }
    answer
}
