//! A blocking PostgreSQL session for the few statements the stack itself needs.
//!
//! Names of databases are quoted by the server (`format('... %I', $1)`): no SQL is put together here.
//! Each call has its own connection and thread, so callers inside and outside of an async runtime are served alike.

use std::fmt;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use futures::future::{Either, select};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls::Trust;

/// Where statements are sent, and how long one may take.
#[derive(Clone)]
pub(crate) struct Session {
    config: Config,
    /// Encrypts, if somebody is to be believed.
    tls: Option<MakeRustlsConnect>,
    patience: Duration,
}

/// A statement's failure, with the server's own message.
#[derive(Debug)]
pub(crate) enum SqlError {
    Server(tokio_postgres::Error),
    Timeout(Duration),
    Runtime(String),
}

impl SqlError {
    /// The server is there, the database is not.
    pub(crate) fn is_missing_database(&self) -> bool {
        matches!(self, SqlError::Server(error) if error.code() == Some(&SqlState::UNDEFINED_DATABASE))
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlError::Server(error) => match error.as_db_error() {
                Some(answer) => write!(f, "{}: {}", answer.code().code(), answer.message()),
                None => write!(f, "{error}"),
            },
            SqlError::Timeout(patience) => write!(f, "no answer within {patience:?}"),
            SqlError::Runtime(why) => f.write_str(why),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Session {
    /// A session at `url`; nothing is connected yet.
    pub(crate) fn new(url: &str, patience: Duration) -> Result<Self, String> {
        let config = Config::from_str(url).map_err(|error| format!("not a PostgreSQL address: {error}"))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err("sslmode=require is not supported by the stack's own check; use a server on a trusted network \
                        with sslmode=prefer"
                .into());
        }
        Ok(Session { config, tls: None, patience })
    }

    /// Encrypted, where there is somebody to believe.
    pub(crate) fn believing(mut self, trust: Option<&Trust>) -> Self {
        if let Some(trust) = trust {
            self.config.ssl_mode(SslMode::Require);
            self.tls = Some(MakeRustlsConnect::new(trust.config()));
        }
        self
    }

    /// The same server, another database.
    pub(crate) fn in_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// The first column of the first row, which is text.
    pub(crate) fn text(
        &self,
        query: &'static str,
        parameter: Option<&str>,
    ) -> Result<Option<String>, SqlError> {
        self.run(async move |client| {
            let rows = match &parameter {
                Some(value) => client.query(query, &[value]).await?,
                None => client.query(query, &[]).await?,
            };
            rows.first().map(|row| row.try_get(0)).transpose()
        })
    }

    /// Executes constant statements.
    pub(crate) fn batch(&self, statements: &'static str) -> Result<(), SqlError> {
        self.run(async move |client| client.batch_execute(statements).await)
    }

    /// Executes the statement that `query` returns: the server's `format` quotes `name`.
    pub(crate) fn execute_formatted(&self, query: &'static str, name: &str) -> Result<(), SqlError> {
        self.run(async move |client| {
            let statement: String = client.query_one(query, &[&name]).await?.try_get(0)?;
            client.batch_execute(&statement).await
        })
    }

    /// Connects, works, disconnects; on a thread of its own.
    fn run<T: Send>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error> + Send,
    ) -> Result<T, SqlError> {
        on_a_thread(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| SqlError::Runtime(error.to_string()))?;
            runtime.block_on(async {
                let asked = async {
                    match &self.tls {
                        Some(tls) => self.connect_and(tls.clone(), work).await,
                        None => self.connect_and(NoTls, work).await,
                    }
                };
                match tokio::time::timeout(self.patience, asked).await {
                    Ok(result) => result.map_err(SqlError::Server),
                    Err(_) => Err(SqlError::Timeout(self.patience)),
                }
            })
        })
    }

    async fn connect_and<T, S: MakeTlsConnect<Socket>>(
        &self,
        tls: S,
        work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(tls).await?;
        let work = std::pin::pin!(work(&client));
        match select(work, std::pin::pin!(connection)).await {
            Either::Left((result, _)) => result,
            Either::Right((ended, work)) => {
                ended?;
                work.await
            }
        }
    }
}

/// Runs blocking work where no runtime can be in the way.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
