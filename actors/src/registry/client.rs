//! One question over HTTP/1.1, on a connection of its own.
//!
//! Invariant: an answer is bounded in size, redirects in number, and a password is sent to no host but the one it is for.
//! Deliberately absent: connections that are kept, and proxies. A schema is asked for once in the life of a node.

use crate::credentials::Login;
use crate::tls::{self, Check};
use crate::{base64, hosts};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{RegistryConnection, Tls};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most redirects of one question.
const REDIRECTS_MAX: usize = 3;

/// What a host answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// One host of the address.
#[derive(Clone)]
pub(super) struct Host {
    place: Place,
    /// What comes before the paths of the API.
    prefix: String,
    /// What the address says; files win over it.
    user: Option<String>,
    password: Option<SecretString>,
    tls: Option<Tls>,
}

/// Where a question goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    encrypted: bool,
    host: String,
    port: u16,
}

impl Place {
    fn of(uri: &Uri) -> Option<Self> {
        let encrypted = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host()?;
        let authority = uri.authority()?.as_str();
        let behind = authority.rsplit('@').next()?.strip_prefix(host)?;
        let port = match behind.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None => {
                if encrypted {
                    443
                } else {
                    80
                }
            }
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self { encrypted, host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

impl Host {
    /// Every host of `connection`.
    pub(super) fn each(connection: &RegistryConnection) -> Result<Vec<Self>, Error> {
        let urls = hosts::each(connection.url.value.expose_secret());
        urls.iter().map(|url| Self::new(url, connection.tls.as_ref())).collect()
    }

    fn new(url: &str, tls: Option<&Tls>) -> Result<Self, Error> {
        let wrong = || {
            let message = "`connections.registry.url` is no address; write http[s]://[user:password@]host[:port]\
                           [,host[:port]..][/path]";
            Error::new(Class::Config, message)
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let mut place = Place::of(&uri).ok_or_else(wrong)?;
        place.encrypted |= tls.is_some();
        let login = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
        let (user, password) = match login.map(|(login, _)| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => {
                let plain = |text| decoded(text).ok_or_else(wrong);
                (Some(plain(user)?), Some(SecretString::from(plain(password)?)))
            }
            None => (None, None),
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { place, prefix, user, password, tls: tls.cloned() })
    }

    /// For messages; without user and password.
    pub(super) fn address(&self) -> String {
        self.place.to_string()
    }

    /// `GET path` below the host's address.
    pub(super) async fn get(&self, path: &str, login: &Login) -> Result<Answer, Error> {
        let (mut place, mut path) = (self.place.clone(), format!("{}{path}", self.prefix));
        for _ in 0..=REDIRECTS_MAX {
            let (answer, location) = self.ask(&place, &path, login).await?;
            let Some(next) = location else { return Ok(answer) };
            if let Some(elsewhere) = Place::of(&next) {
                if place.encrypted && !elsewhere.encrypted {
                    let message =
                        format!("registry at {place} leads from an encrypted connection to a plain one");
                    return Err(Error::new(Class::Config, message));
                }
                place = elsewhere;
            }
            next.path_and_query().map_or("/", |path| path.as_str()).clone_into(&mut path);
        }
        let message = format!("registry at {}: more than {REDIRECTS_MAX} redirects", self.place);
        Err(Error::new(Class::Config, message))
    }

    async fn ask(&self, place: &Place, path: &str, login: &Login) -> Result<(Answer, Option<Uri>), Error> {
        let request = self.request(place, path, login)?;
        let stream = TcpStream::connect((place.host.as_str(), place.port)).await;
        let stream = stream.map_err(|error| away(place, &error))?;
        if !place.encrypted {
            return exchange(place, stream, request).await;
        }
        let name = ServerName::try_from(place.host.clone()).map_err(|error| {
            let message = format!("`connections.registry.url`: the host is no name for TLS: {error}");
            Error::new(Class::Config, message)
        })?;
        let client = tls::client(Check::SignerAndName, self.tls.as_ref(), login)?;
        let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.map_err(|error| {
            // A certificate that is not believed stays so until somebody sees to it.
            if !tls::is_refusal(&error) {
                return away(place, &error);
            }
            let remedy = "correct `connections.registry.tls`, or the server's certificate";
            Error::new(Class::Config, format!("registry at {place}: {error}; {remedy}"))
        })?;
        exchange(place, stream, request).await
    }

    fn request(&self, place: &Place, path: &str, login: &Login) -> Result<Request<Empty<Bytes>>, Error> {
        let mut request = Request::get(path)
            .header(HOST, place.to_string())
            .header(ACCEPT, "application/vnd.schemaregistry.v1+json, application/json")
            .header(USER_AGENT, concat!("aqueduct/", env!("CARGO_PKG_VERSION")));
        // What leads elsewhere is asked as a stranger.
        if *place == self.place
            && let Some(user) = login.user().or(self.user.as_deref())
        {
            let password =
                login.password().or(self.password.as_ref()).map_or("", ExposeSecret::expose_secret);
            let basic = base64::encode(format!("{user}:{password}").as_bytes());
            request = request.header(AUTHORIZATION, format!("Basic {basic}"));
        }
        request.body(Empty::new()).map_err(|error| {
            Error::new(Class::Config, format!("registry at {place}: what it is asked is no request: {error}"))
        })
    }
}

/// Sends `request` and reads the whole answer; gives where it leads, if it leads elsewhere.
async fn exchange<S>(
    place: &Place,
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<(Answer, Option<Uri>), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| away(place, &error))?;
    let asking = async move {
        let response = sender.send_request(request).await.map_err(|error| away(place, &error))?;
        let (status, location) = (response.status(), redirect(&response));
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| away(place, &error))?.to_bytes();
        Ok((Answer { status, body }, location))
    };
    // The connection ends with its sender, which the question takes with it.
    let (answer, _) = futures::join!(asking, connection);
    answer
}

fn away(place: &Place, error: &dyn std::fmt::Display) -> Error {
    Error::new(Class::Transient, format!("registry at {place}: {error}"))
}

/// Where `response` leads, if it leads elsewhere.
fn redirect(response: &Response<Incoming>) -> Option<Uri> {
    let leads = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| leads)?;
    location.to_str().ok()?.parse().ok()
}

/// `text` with its `%xx` as what they stand for.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// `text` as one step of a path.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let one = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
