//! The registry of schemas, by Confluent's REST API: what the id at the head of a message stands for.
//!
//! One [`Registry`] a node and connection, shared by every actor and kept over their restarts and reloads: an id is asked
//! for once, so records of known schemas go on while the registry is away. What it does not say is an error of a class:
//! silence and 5xx pass by themselves, a login that is refused and a place where no registry is do not; that an id is
//! unknown is an answer.
//! Deliberately absent: subjects' newest versions, compatibility, and writing to it.

mod cache;
mod client;
#[cfg(test)]
mod tests;

pub use cache::Known;

use crate::credentials::keeper::{Door, Kept};
use crate::credentials::{Credentials, Files, Login};
use crate::hosts::refused;
use crate::wire::{SchemaKind, SchemaText};
use aqueduct_engine::{Class, Clock, Error, Keeper};
use aqueduct_topology::model::RegistryConnection;
use cache::Cache;
use client::{Answer, Host, encoded};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one host may take for one question.
const HOST_ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long all that is asked about one id may take.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Most schemas that one schema may lead to by its references.
const REFERENCES_MAX: usize = 64;

/// What the registry calls an id, subject or version that it does not have.
const NOT_FOUND: [u32; 3] = [40401, 40402, 40403];

/// See the module. Cloning shares it.
#[derive(Clone)]
pub struct Registry {
    hosts: Arc<[Host]>,
    credentials: Arc<Credentials>,
    clock: Clock,
    /// For messages; without user and password.
    address: Arc<str>,
    cache: Arc<Mutex<Cache>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Registry").field("address", &self.address).finish_non_exhaustive()
    }
}

/// `GET /schemas/ids/{id}`, and a version of a subject, which has more.
#[derive(Deserialize)]
struct Stored {
    schema: String,
    #[serde(default, rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

/// How the registry refuses.
#[derive(Deserialize)]
struct Refusal {
    error_code: u32,
    #[serde(default)]
    message: String,
}

/// An answer, or that there is none to give.
enum Found<T> {
    This(T),
    Nothing(Arc<str>),
}

impl Registry {
    /// That of `topology`; connects to nothing yet.
    pub(crate) fn new(connection: &RegistryConnection, topology: &str, clock: Clock) -> Result<Self, Error> {
        let hosts: Arc<[Host]> = Host::each(connection)?.into();
        let address = hosts.iter().map(Host::address).collect::<Vec<_>>().join(",").into();
        let credentials = Credentials::new("registry", topology, Files::from(connection), clock.clone());
        Ok(Self { hosts, credentials, clock, address, cache: Arc::default() })
    }

    /// Follows its credentials.
    pub(crate) fn keeper(&self) -> Arc<dyn Keeper> {
        Arc::new(Kept::new(self.credentials.clone(), self.clone()))
    }

    /// What is known of `id` without asking.
    pub(crate) fn known(&self, id: u32) -> Option<Known> {
        self.cache().get(id, self.clock.now())
    }

    /// What `id` stands for; asked for if need be.
    pub(crate) async fn ask(&self, id: u32) -> Result<Known, Error> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let known = match self.schema(&format!("/schemas/ids/{id}")).await? {
            Found::Nothing(words) => Known::Unknown(words),
            Found::This(stored) => match self.with_references(stored).await? {
                Found::This(text) => Known::Schema(Arc::new(text)),
                Found::Nothing(words) => Known::Unknown(words),
            },
        };
        self.cache().put(id, &known, self.clock.now());
        Ok(known)
    }

    /// Fails unless a registry answers, and lets us in.
    pub(crate) async fn greet(&self) -> Result<(), Error> {
        match self.get::<Vec<String>>("/schemas/types").await? {
            Found::This(_) => Ok(()),
            Found::Nothing(words) => {
                Err(Error::new(Class::Config, format!("registry at {}: {words}", self.address)))
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn schema(&self, path: &str) -> Result<Found<Stored>, Error> {
        self.get(path).await
    }

    /// With what it refers to, and what that refers to; each behind all that it needs.
    async fn with_references(&self, stored: Stored) -> Result<Found<SchemaText>, Error> {
        let kind = match stored.kind.as_deref() {
            None | Some("AVRO") => SchemaKind::Avro,
            Some("PROTOBUF") => SchemaKind::Protobuf,
            Some(other) => SchemaKind::Other(other.to_owned()),
        };
        let mut text = SchemaText { kind, text: stored.schema, references: Vec::new() };
        let (mut seen, mut asked) = (HashSet::new(), 0);
        // Each entry is looked at twice: when it is asked for, and once all that it refers to is there.
        let mut open: Vec<(Reference, Option<String>)> =
            stored.references.into_iter().rev().map(|reference| (reference, None)).collect();
        while let Some((reference, found)) = open.pop() {
            if let Some(found) = found {
                text.references.push((reference.name, found));
                continue;
            }
            if !seen.insert(reference.name.clone()) {
                continue;
            }
            asked += 1;
            if asked > REFERENCES_MAX {
                let words = format!("the schema leads to more than {REFERENCES_MAX} others");
                return Ok(Found::Nothing(words.into()));
            }
            let path = format!("/subjects/{}/versions/{}", encoded(&reference.subject), reference.version);
            let stored = match self.schema(&path).await? {
                Found::This(stored) => stored,
                Found::Nothing(words) => {
                    let words = format!("it refers to `{}`, and {words}", reference.name);
                    return Ok(Found::Nothing(words.into()));
                }
            };
            open.push((reference, Some(stored.schema)));
            open.extend(stored.references.into_iter().rev().map(|reference| (reference, None)));
        }
        Ok(Found::This(text))
    }

    /// What the first host that answers says.
    async fn get<T: for<'d> Deserialize<'d>>(&self, path: &str) -> Result<Found<T>, Error> {
        let named =
            |error: Error| Error::new(error.class, format!("`connections.registry`: {}", error.message));
        let login = self.credentials.login().map_err(named)?;
        login.open(|login| self.get_with(path, login)).await
    }

    async fn get_with<T: for<'d> Deserialize<'d>>(
        &self,
        path: &str,
        login: Login,
    ) -> Result<Found<T>, Error> {
        let mut errors = Vec::new();
        for host in &*self.hosts {
            let answer = match self.clock.timeout(HOST_ANSWER_MAX, host.get(path, &login)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::new(
                    Class::Transient,
                    format!(
                        "registry at {}: no answer within {} s",
                        host.address(),
                        HOST_ANSWER_MAX.as_secs()
                    ),
                )),
            };
            match answer.and_then(|answer| understood(&host.address(), path, &answer)) {
                Ok(found) => return Ok(found),
                Err(error) => errors.push(error),
            }
        }
        Err(refused(errors))
    }
}

/// What an answer means.
fn understood<T: for<'d> Deserialize<'d>>(
    address: &str,
    path: &str,
    answer: &Answer,
) -> Result<Found<T>, Error> {
    let Answer { status, body } = answer;
    let refusal = serde_json::from_slice::<Refusal>(body).ok();
    let words = refusal.as_ref().map(|refusal| refusal.message.as_str()).filter(|words| !words.is_empty());
    let said = |what: &str| match words {
        Some(words) => format!("registry at {address} answers {status}: {words}{what}"),
        None => format!("registry at {address} answers {status}{what}"),
    };
    match status.as_u16() {
        200 => match serde_json::from_slice(body) {
            Ok(value) => Ok(Found::This(value)),
            Err(error) => {
                let message = format!(
                    "what answers at {address} is no schema registry: {path} gives {error}; correct \
                     `connections.registry.url`"
                );
                Err(Error::new(Class::Config, message))
            }
        },
        404 if refusal.as_ref().is_some_and(|refusal| NOT_FOUND.contains(&refusal.error_code)) => {
            Ok(Found::Nothing(said("").into()))
        }
        404 => {
            let message = said(" where the API should be; correct the path of `connections.registry.url`");
            Err(Error::new(Class::Config, message))
        }
        401 | 403 => {
            Err(Error::new(Class::Config, said("; check user and password in `connections.registry`")))
        }
        408 | 429 | 500..=599 => Err(Error::new(Class::Transient, said(""))),
        _ => Err(Error::new(Class::Config, said("; correct `connections.registry`"))),
    }
}

impl Door for Registry {
    fn prove<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.get_with::<Vec<String>>("/schemas/types", login.clone()).await.map(|_| ()) }.boxed()
    }
}
