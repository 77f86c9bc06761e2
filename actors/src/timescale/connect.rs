//! Connections to the database, and the one way to wait for an answer on them.
//!
//! Invariant: a connection on which a wait passed its limit, or which met a read-only server, is `broken` and is never
//! used again: what the server did with the last request is unknown.

use super::class::classify;
use super::succession::{Succession, Timeline};
use super::{hosts, limits, sslmode};
use crate::credentials::{Credentials, Files, Login};
use crate::hosts::refused;
use crate::tls;
use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_engine::task::{self, Task};
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::TimescaleConnection;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What every session is set to: the server drops us when we vanish, and says so when it waits for a lock. A name
/// without a schema means `public` whoever we are: the default would look for a schema of the user's name first.
const SESSION_DEFAULTS: &str = "\
    SET lock_timeout = '10s'; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '30s'; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SET timezone = 'UTC'; SET search_path = public";

/// Opens connections as the topology file says.
#[derive(Clone, Debug)]
pub struct Connector {
    connection: TimescaleConnection,
    url: SecretString,
    sslmode: Option<String>,
    session: Arc<str>,
    clock: Clock,
    credentials: Arc<Credentials>,
}

impl Connector {
    /// A connector for `connection`; `topology` and `node` name its sessions.
    pub fn new(
        connection: &TimescaleConnection,
        topology: &str,
        node: &str,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (url, sslmode) = without_sslmode(connection.url.expose_secret());
        parse(&url)?;
        sslmode::mode(sslmode.as_deref(), connection.tls.as_ref())?;
        let credentials = Credentials::new("timescale", topology, Files::from(connection), clock.clone());
        Ok(Self {
            connection: connection.clone(),
            url: url.into(),
            sslmode,
            session: session_name(topology, node, fastrand::u32(..)).into(),
            clock,
            credentials,
        })
    }

    /// What it logs in with.
    pub(crate) fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// The name of this process's sessions: `aqueduct/<topology>/<node>/<token>`.
    pub fn session(&self) -> &Arc<str> {
        &self.session
    }

    /// Connections the pool keeps.
    pub fn pool_size(&self) -> u32 {
        self.connection.pool.max(1)
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A connection for the calling actor alone; it ends when dropped.
    pub async fn connect(&self) -> Result<Connection, Error> {
        let opened = self.open().await?;
        self.finish(opened, |driver| Driver::Owned(task::spawn("timescale connection", driver))).await
    }

    /// A connection for the pool, which opens them on tasks of its own.
    pub(super) async fn connect_pooled(&self) -> Result<Connection, Error> {
        let opened = self.open().await?;
        self.finish(opened, pooled).await
    }

    /// The same with what is not in use yet.
    pub(super) async fn connect_with(&self, login: &Login) -> Result<Connection, Error> {
        let opened = self.open_with(login.clone()).await?;
        self.finish(opened, pooled).await
    }

    async fn finish(
        &self,
        opened: Opened,
        keep: impl FnOnce(BoxFuture<'static, ()>) -> Driver,
    ) -> Result<Connection, Error> {
        let Opened { client, driver, warnings, login, others } = opened;
        let (clock, driver) = (self.clock.clone(), keep(driver));
        let (broken, succession) = (AtomicBool::new(false), None);
        let mut connection = Connection { client, driver, clock, broken, warnings, login, succession };
        let defaults = connection.client.batch_execute(SESSION_DEFAULTS);
        connection.within("set up a session", limits::STATEMENT_WAIT_MAX, defaults).await?;
        connection.succession = self.succession(&connection, others).await?;
        Ok(connection)
    }

    /// Who could succeed the server of a new session; nobody, where the address has no other host.
    async fn succession(
        &self,
        connection: &Connection,
        others: Vec<Config>,
    ) -> Result<Option<Succession>, Error> {
        if others.is_empty() {
            return Ok(None);
        }
        let asked = Timeline::of(&connection.client);
        let timeline = connection.within("ask for the timeline", limits::STATEMENT_WAIT_MAX, asked).await?;
        let (connector, login) = (self.clone(), connection.login.clone());
        Ok(timeline.map(|timeline| Succession { connector, login, others, timeline }))
    }

    async fn open(&self) -> Result<Opened, Error> {
        self.credentials.login()?.open(|login| self.open_with(login)).await
    }

    /// Asks one host after the other until one takes writes.
    async fn open_with(&self, login: Login) -> Result<Opened, Error> {
        let warnings = Warnings::default();
        let mut errors = Vec::new();
        let mut configs = self.configs(&login)?;
        for index in 0..configs.len() {
            match self.open_host(&configs[index], &login, &warnings).await {
                Ok((client, driver)) => {
                    configs.remove(index);
                    return Ok(Opened { client, driver, warnings, login, others: configs });
                }
                Err(error) => errors.push(error),
            }
        }
        Err(refused(errors))
    }

    /// Each host has a limit of its own: one that is silent must not keep us from the next.
    pub(super) async fn open_host(
        &self,
        config: &Config,
        login: &Login,
        warnings: &Warnings,
    ) -> Result<(Client, BoxFuture<'static, ()>), Error> {
        let doing = format!("connect to {}", hosts::place(config));
        let tls = self.connection.tls.as_ref();
        let (_, check) = sslmode::mode(self.sslmode.as_deref(), tls)?;
        let opened = async {
            if config.get_ssl_mode() == SslMode::Disable {
                let (client, driver) =
                    config.connect(NoTls).await.map_err(|error| classify(&doing, &error))?;
                Ok((client, drive(driver, warnings.clone())))
            } else {
                let connector = MakeRustlsConnect::new(tls::client(check, tls, login)?);
                let (client, driver) =
                    config.connect(connector).await.map_err(|error| classify(&doing, &error))?;
                Ok((client, drive(driver, warnings.clone())))
            }
        };
        match self.clock.timeout(limits::CONNECT_WAIT_MAX, opened).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(Class::Transient, format!("{doing}: no answer"))),
        }
    }

    /// The driver's configuration for each host.
    fn configs(&self, login: &Login) -> Result<Vec<Config>, Error> {
        let mut configs = hosts::each(&parse(self.url.expose_secret())?);
        let (mode, _) = sslmode::mode(self.sslmode.as_deref(), self.connection.tls.as_ref())?;
        for config in &mut configs {
            config
                .ssl_mode(mode)
                .application_name(&*self.session)
                .target_session_attrs(TargetSessionAttrs::ReadWrite)
                .connect_timeout(limits::CONNECT_WAIT_MAX / 2)
                .tcp_user_timeout(limits::TCP_USER_TIMEOUT)
                .keepalives(true)
                .keepalives_idle(Duration::from_secs(10))
                .keepalives_interval(Duration::from_secs(5))
                .keepalives_retries(3);
            if let Some(user) = login.user() {
                config.user(user);
            }
            if let Some(password) = login.password() {
                config.password(password.expose_secret());
            }
        }
        Ok(configs)
    }
}

/// A session that is not set up yet.
struct Opened {
    client: Client,
    driver: BoxFuture<'static, ()>,
    warnings: Warnings,
    login: Login,
    /// The hosts that it is not connected to.
    others: Vec<Config>,
}

#[expect(clippy::disallowed_methods, reason = "bb8 connects outside any arbiter's local set")]
fn pooled(driver: BoxFuture<'static, ()>) -> Driver {
    let guarded = AssertUnwindSafe(driver).catch_unwind().map(|ended| {
        if ended.is_err() {
            tracing::error!(event = event_ids::TASK_PANICKED, task = "timescale connection", "task panicked");
        }
    });
    Driver::Pooled(tokio::spawn(guarded))
}

/// What the server warned of, until somebody asks.
pub(super) type Warnings = Arc<Mutex<VecDeque<String>>>;

/// Runs the connection until it ends.
fn drive<S, T>(mut driver: tokio_postgres::Connection<S, T>, warnings: Warnings) -> BoxFuture<'static, ()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    async move {
        loop {
            match poll_fn(|cx| driver.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notice(notice))) if notice.severity() == "WARNING" => {
                    tracing::debug!(warning = notice.message(), "the database warns");
                    let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
                    warnings.push_back(notice.message().to_owned());
                    if warnings.len() > limits::WARNINGS_MAX {
                        warnings.pop_front();
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return tracing::debug!(%error, "timescale connection ended"),
                None => return,
            }
        }
    }
    .boxed()
}

fn parse(url: &str) -> Result<Config, Error> {
    url.parse::<Config>().map_err(|error| {
        // The driver's message names the option at fault, never a value.
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Error::new(
            Class::Config,
            format!(
                "the timescale connection's url is not understood ({cause}); write \
                 postgres://user@host:5432/database?sslmode=.."
            ),
        )
    })
}

/// The url without its `sslmode`, which the driver knows only in part, and that `sslmode`.
pub(crate) fn without_sslmode(url: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let (modes, kept): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|option| option.starts_with("sslmode="));
    let sslmode = modes.last().map(|option| option["sslmode=".len()..].to_owned());
    let mark = if kept.is_empty() { "" } else { "?" };
    ([base, mark, &kept.join("&")].concat(), sslmode)
}

/// `aqueduct/<topology>/<node>/<token>`, cut so that the token survives PostgreSQL's limit.
fn session_name(topology: &str, node: &str, token: u32) -> String {
    let room = (limits::APPLICATION_NAME_BYTES_MAX - "aqueduct///".len() - 8) / 2;
    let plain = |text: &str| -> String {
        let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        text.chars().take(room).map(|c| if kept(c) { c } else { '_' }).collect()
    };
    format!("aqueduct/{}/{}/{token:08x}", plain(topology), plain(node))
}

/// The node of a session of `topology`, as far as the session's name tells it, unless it is one of `known`.
pub fn node_of_session<'a>(session: &'a str, topology: &str, known: &BTreeSet<&str>) -> Option<&'a str> {
    let mut parts = session.strip_prefix("aqueduct/")?.split('/');
    let (of, node) = (parts.next()?, parts.next()?);
    let part = |name: &str, place: usize| {
        let named = if place == 0 { session_name(name, "", 0) } else { session_name("", name, 0) };
        named.split('/').nth(place + 1).unwrap_or_default().to_owned()
    };
    (of == part(topology, 0) && !known.iter().any(|known| part(known, 1) == node)).then_some(node)
}

#[derive(Debug)]
#[expect(dead_code, reason = "held only so that the connection ends with its owner")]
enum Driver {
    Owned(Task),
    Pooled(tokio::task::JoinHandle<()>),
}

/// One session. Dropping it ends it.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    driver: Driver,
    clock: Clock,
    broken: AtomicBool,
    warnings: Warnings,
    login: Login,
    succession: Option<Succession>,
}

impl Connection {
    /// The driver's client. Await nothing of it but through [`Connection::within`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether it must not be used again.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.client.is_closed()
    }

    /// Whether something else is used to log in by now: to be replaced where that disturbs nobody.
    pub fn is_outdated(&self) -> bool {
        self.login.is_outdated()
    }

    /// What the server has warned of since this was last asked.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Fails unless the server answers soon, and still takes writes: one that was demoted beneath us does not say so.
    pub async fn ping(&self) -> Result<(), Error> {
        let asked = self.client.simple_query("SHOW transaction_read_only");
        let answer = self.within("look whether it is there", CONTACT_WAIT_MAX, asked).await?;
        let read_only = answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0) != Some("off"),
            _ => false,
        });
        if read_only {
            self.broken.store(true, Ordering::Relaxed);
            return Err(Error::new(
                Class::Transient,
                "the server has become read-only, a standby or a demoted primary; looking for the primary",
            ));
        }
        Ok(())
    }

    /// The rows of one statement, within what a statement may take.
    pub async fn rows(
        &self,
        doing: &str,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.within(doing, limits::STATEMENT_WAIT_MAX, self.client.query(statement, params)).await
    }

    /// The one row of such a statement.
    pub async fn row(
        &self,
        doing: &str,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        self.within(doing, limits::STATEMENT_WAIT_MAX, self.client.query_one(statement, params)).await
    }

    /// How many rows one statement hit, within what a statement may take.
    pub async fn hits(
        &self,
        doing: &str,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.within(doing, limits::STATEMENT_WAIT_MAX, self.client.execute(statement, params)).await
    }

    /// Awaits `answer` for at most `limit`, and no longer once another host has succeeded this one.
    pub async fn within<T>(
        &self,
        doing: &str,
        limit: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        self.within_raw(doing, limit, answer).await.map_err(|refusal| refusal.error)
    }

    /// As [`Connection::within`], keeping what the server said.
    pub async fn within_raw<T>(
        &self,
        doing: &str,
        limit: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Refusal> {
        let answered = pin!(self.clock.timeout(limit, answer));
        let answered = match &self.succession {
            None => answered.await,
            Some(succession) => match select(answered, succession.awaited()).await {
                Either::Left((answered, _)) => answered,
                Either::Right((place, _)) => {
                    self.broken.store(true, Ordering::Relaxed);
                    let message = format!("{doing}: no answer, and another server leads by now: {place}");
                    return Err(Refusal { error: Error::new(Class::Transient, message), cause: None });
                }
            },
        };
        match answered {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(cause)) => {
                let error = classify(doing, &cause);
                let read_only = cause.code().is_some_and(|state| state.code() == "25006");
                if cause.as_db_error().is_none() || read_only {
                    self.broken.store(true, Ordering::Relaxed);
                }
                Err(Refusal { error, cause: Some(cause) })
            }
            Err(_) => {
                self.broken.store(true, Ordering::Relaxed);
                let error = Error::new(Class::Transient, format!("{doing}: no answer within {limit:?}"));
                Err(Refusal { error, cause: None })
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Driver::Pooled(driver) = &self.driver {
            driver.abort();
        }
    }
}

/// A failed request: what it means, and what the server said, if it did.
#[derive(Debug)]
pub struct Refusal {
    /// Its meaning.
    pub error: Error,
    /// The driver's error; `None` = no answer in time.
    pub cause: Option<tokio_postgres::Error>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::{Span, Spanned};

    fn connection(url: &str) -> TimescaleConnection {
        let url = Spanned::new(SecretString::from(url.to_owned()), Span::default());
        TimescaleConnection { url, user_file: None, password_file: None, pool: 4, tls: None }
    }

    #[test]
    fn the_token_survives_the_limit_of_application_names() {
        let name = session_name("a topology with a very long name", "node-0123456789.example.org", 0xab);
        assert!(name.len() <= limits::APPLICATION_NAME_BYTES_MAX, "{name}");
        assert!(
            name.starts_with("aqueduct/a_topology_with_a_very/node-") && name.ends_with("/000000ab"),
            "{name}"
        );
    }

    #[test]
    fn the_node_of_a_session_is_told_unless_it_is_known() {
        let session = session_name("a topology with a very long name", "node-1", 7);
        let node = |known: &[&str]| {
            let known = known.iter().copied().collect();
            node_of_session(&session, "a topology with a very long name", &known)
        };
        assert_eq!((node(&["node-2"]), node(&["node-1"])), (Some("node-1"), None));
        assert_eq!(node_of_session(&session, "another", &BTreeSet::new()), None);
    }

    #[test]
    fn sslmode_leaves_the_url_and_the_rest_stays() {
        let (url, mode) =
            without_sslmode("postgres://u@h/d?connect_timeout=3&sslmode=verify-full&keepalives=1");
        assert_eq!(
            (url.as_str(), mode.as_deref()),
            ("postgres://u@h/d?connect_timeout=3&keepalives=1", Some("verify-full"))
        );
        assert_eq!(without_sslmode("postgres://u@h/d?sslmode=disable").0, "postgres://u@h/d");
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        let error =
            Connector::new(&connection("postgres://u:geheim@h/d?nonsense=1"), "t", "n", Clock::system())
                .expect_err("an unknown option");
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains("nonsense") && !error.message.contains("geheim"), "{error}");
    }

    #[test]
    fn until_a_server_has_taken_one_a_password_file_is_read_at_every_connect() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let with_file =
            TimescaleConnection { password_file: Some(file.clone()), ..connection("postgres://u@h/d") };
        let connector = Connector::new(&with_file, "t", "n", Clock::system()).unwrap();
        assert_eq!(connector.credentials.login().unwrap_err().class, Class::Config);
        for password in ["first", "second"] {
            std::fs::write(&file, format!("{password}\n")).unwrap();
            let login = connector.credentials.login().unwrap();
            assert_eq!(connector.configs(&login).unwrap()[0].get_password(), Some(password.as_bytes()));
        }
    }
}
