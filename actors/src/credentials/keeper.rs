//! Looks at the files of a connection, has the server say whether it takes what they hold by now, and takes it.

use super::{Credentials, Login, Material};
use aqueduct_engine::secrets::{Keeper, SecretView};
use aqueduct_engine::{Class, Error};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// The server that secrets are for.
pub(crate) trait Door: Send + Sync {
    /// Fails unless the server lets us in with `login`, and to where we have to go. What it opens for that may be kept for
    /// [`Door::taken`].
    fn prove<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<(), Error>>;

    /// What was proven last is in use.
    fn taken(&self) {}
}

/// Keeps the secrets of one connection.
pub(crate) struct Kept<D> {
    credentials: Arc<Credentials>,
    door: D,
}

impl<D: Door> Kept<D> {
    pub(crate) fn new(credentials: Arc<Credentials>, door: D) -> Self {
        Self { credentials, door }
    }

    async fn look_once(&self) {
        let files = self.credentials.files.clone();
        if !files.has_login() && !files.has_tls() {
            // What the topology file says itself changes by a reload alone.
            return;
        }
        let Ok(read) = blocking(move || Material::read(&files)).await else { return };
        if let Some(login) = self.credentials.compare(read) {
            match self.door.prove(&login).await {
                Ok(()) => {
                    if login.is_outdated() {
                        login.adopt();
                        self.door.taken();
                    } else {
                        login.proven();
                    }
                }
                Err(error) => self.credentials.refused(&login, &error),
            }
        }
        for (number, material) in self.credentials.unnamed() {
            let place = self.credentials.place.clone();
            let Ok(generations) = blocking(move || material.generations(&place)).await else { return };
            self.credentials.name(number, &generations);
        }
    }
}

impl<D: Door> Keeper for Kept<D> {
    fn look(&self) -> BoxFuture<'_, ()> {
        self.look_once().boxed()
    }

    fn views(&self) -> Vec<SecretView> {
        self.credentials.views()
    }
}

/// Off the calling thread: files may lie on a network, and a generation takes a while.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(Class::Bug, format!("looking at secrets ended badly: {error}")))
}
