//! Connections to Redis, pooled: made anew after every doubt.
//!
//! bb8-redis calls no connection broken, and a demoted replica answers PING. So a connection here is in doubt from the
//! moment a request is sent until its whole answer has proved good; whatever ends in between (a timeout, a READONLY, a
//! dropped future) leaves the doubt, and the pool discards it. The name is resolved at each connect.

use super::reply::{error_of, error_of_failure};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::RedisConnection;
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, Pipeline, Value,
};
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::time::Duration;

/// The longest wait for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Server {
    info: ConnectionInfo,
    password_file: Option<PathBuf>,
    /// For messages; without user and password.
    address: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// The server of a topology.
    pub(crate) fn new(connection: &RedisConnection) -> Result<Self, Error> {
        let url = connection.url.expose_secret();
        let info = url.into_connection_info().map_err(|_| {
            Error::new(
                Class::Config,
                "`connections.redis.url` is no Redis address; write redis://[user:password@]host[:port][/database]",
            )
        })?;
        if !info.addr().is_supported() {
            return Err(Error::new(
                Class::Config,
                "`connections.redis.url`: this build speaks no TLS to Redis; use redis:// or a local TLS tunnel",
            ));
        }
        let address = info.addr().to_string();
        Ok(Self { info, password_file: connection.password_file.clone(), address })
    }

    /// For messages.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn client(&self) -> Result<Client, Error> {
        let mut settings = self.info.redis_settings().clone();
        if let Some(file) = &self.password_file {
            let password = std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                Error::new(Class::Config, format!("`connections.redis.password_file` {file}: {error}"))
            })?;
            settings = settings.set_password(password.trim_end_matches(['\r', '\n']));
        }
        Client::open(self.info.clone().set_redis_settings(settings))
            .map_err(|failure| error_of_failure(&self.address, &failure))
    }
}

/// A connection that knows whether it may be used again.
pub(crate) struct Connection {
    inner: MultiplexedConnection,
    in_doubt: bool,
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

    /// The pool will discard it.
    pub(crate) fn doubt(&mut self) {
        self.in_doubt = true;
    }
}

impl bb8::ManageConnection for Server {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        // The caller's own timeout covers connect and answer; the driver's of 500 ms would cut a busy server.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let inner = self
            .client()?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|failure| error_of_failure(&self.address, &failure))?;
        Ok(Connection { inner, in_doubt: false })
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        match connection.send(&ping, &self.address).await?.pop() {
            Some(Value::ServerError(reply)) => {
                let text = format!("{} {}", reply.code(), reply.details().unwrap_or_default());
                Err(error_of(&text))
            }
            _ => Ok(()),
        }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.in_doubt
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
    pool.get().await.map_err(|error| match error {
        bb8::RunError::User(error) => error,
        bb8::RunError::TimedOut => {
            Error::new(Class::Transient, "redis: no connection became free; raise `connections.redis.pool`")
        }
    })
}
