//! What the files of a connection hold, read together: user, password, certificates, key.
//!
//! Invariant: a [`Material`] was the same in two readings, one after the other, so that no exchange of the files fell
//! between them. What belongs together may still lie half-way between two versions, where it is not exchanged as a whole:
//! that only the server can say.

use super::file;
use super::generation;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{
    KafkaConnection, RedisConnection, RegistryConnection, Sasl, TimescaleConnection, Tls,
};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Readings until two agree.
const READINGS_MAX: usize = 8;

/// Where a connection's secrets lie; nothing where the topology file says it itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) user: Option<PathBuf>,
    pub(crate) password: Option<PathBuf>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl Files {
    fn new(login: [Option<&PathBuf>; 2], tls: Option<&Tls>) -> Self {
        let [user, password] = login.map(Option::<&PathBuf>::cloned);
        let Tls { ca_file, cert_file, key_file } = tls.cloned().unwrap_or_default();
        Self { user, password, ca: ca_file, cert: cert_file, key: key_file }
    }

    /// Whether the login lies in files.
    pub(crate) fn has_login(&self) -> bool {
        self.user.is_some() || self.password.is_some()
    }

    /// Whether certificates do.
    pub(crate) fn has_tls(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some()
    }
}

impl From<&TimescaleConnection> for Files {
    fn from(connection: &TimescaleConnection) -> Self {
        let login = [connection.user_file.as_ref(), connection.password_file.as_ref()];
        Self::new(login, connection.tls.as_ref())
    }
}

impl From<&RedisConnection> for Files {
    fn from(connection: &RedisConnection) -> Self {
        let login = [connection.user_file.as_ref(), connection.password_file.as_ref()];
        Self::new(login, connection.tls.as_ref())
    }
}

impl From<&RegistryConnection> for Files {
    fn from(connection: &RegistryConnection) -> Self {
        let login = [connection.user_file.as_ref(), connection.password_file.as_ref()];
        Self::new(login, connection.tls.as_ref())
    }
}

impl From<&KafkaConnection> for Files {
    fn from(connection: &KafkaConnection) -> Self {
        let login =
            connection.sasl.as_ref().map(|Sasl { user_file, password_file, .. }| (user_file, password_file));
        let (user, password) = login.unzip();
        Self::new([user.and_then(Option::as_ref), password], connection.tls.as_ref())
    }
}

/// What they hold.
pub(crate) struct Material {
    user: Option<SecretString>,
    password: Option<SecretString>,
    ca: Option<Zeroizing<String>>,
    cert: Option<Zeroizing<String>>,
    key: Option<Zeroizing<String>>,
    /// Of the user and password, and of the rest: never shown, only compared.
    sums: [[u8; 32]; 2],
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

impl Material {
    /// As the files are now.
    pub(crate) fn read(files: &Files) -> Result<Self, Error> {
        let mut read = Self::read_once(files)?;
        for _ in 1..READINGS_MAX {
            let again = Self::read_once(files)?;
            if again.is_same(&read) {
                return Ok(read);
            }
            read = again;
        }
        Err(Error::new(Class::Transient, "the files of a secret change while they are read"))
    }

    fn read_once(files: &Files) -> Result<Self, Error> {
        let user = secret("user_file", files.user.as_deref())?;
        let password = secret("password_file", files.password.as_deref())?;
        let ca = pem(files.ca.as_deref())?;
        let cert = pem(files.cert.as_deref())?;
        let key = pem(files.key.as_deref())?;
        let login = [&user, &password].map(|it| it.as_ref().map(ExposeSecret::expose_secret));
        let tls = [&ca, &cert, &key].map(|it| it.as_ref().map(|text| text.as_str()));
        let sums = [sum(&login), sum(&tls)];
        Ok(Self { user, password, ca, cert, key, sums })
    }

    /// Whose name is in a file.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Their password, if it is in a file.
    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// Who signs the server's certificate, as PEM.
    pub(crate) fn ca(&self) -> Option<&str> {
        self.ca.as_ref().map(|text| text.as_str())
    }

    /// Our own certificate, as PEM.
    pub(crate) fn cert(&self) -> Option<&str> {
        self.cert.as_ref().map(|text| text.as_str())
    }

    /// Its key, as PEM.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|text| text.as_str())
    }

    /// Whether another one holds the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.sums == other.sums
    }

    /// Whether the login is the same, and whether the rest is.
    pub(super) fn agrees(&self, other: &Self) -> [bool; 2] {
        [0, 1].map(|part| self.sums[part] == other.sums[part])
    }

    /// The generations of login and certificates; `place` makes equal secrets of different connections differ. Takes a while
    /// on purpose.
    pub(crate) fn generations(&self, place: &str) -> [String; 2] {
        let login = [self.user(), self.password().map(ExposeSecret::expose_secret)];
        let tls = [self.ca(), self.cert(), self.key()];
        [generation::of(&format!("{place}/login"), &login), generation::of(&format!("{place}/tls"), &tls)]
    }
}

fn secret(key: &str, path: Option<&Path>) -> Result<Option<SecretString>, Error> {
    let read = |path: &Path| {
        file::read(path)
            .map_err(|error| Error::new(Class::Config, format!("{key} {}: {error}", path.display())))
    };
    path.map(read).transpose()
}

fn pem(path: Option<&Path>) -> Result<Option<Zeroizing<String>>, Error> {
    let read = |path: &Path| match std::fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => Err(Error::new(Class::Config, format!("tls file {}: {error}", path.display()))),
    };
    path.map(read).transpose()
}

fn sum(parts: &[Option<&str>]) -> [u8; 32] {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update([u8::from(part.is_some())]);
        sum.update(Sha256::digest(part.unwrap_or_default()));
    }
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        Files { user: Some(folder.join("user")), password: Some(folder.join("password")), ..Files::default() }
    }

    #[test]
    fn what_is_the_same_in_other_files_is_the_same_secret_and_the_same_generation() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let read = |folder: &tempfile::TempDir, user: &str, password: &str| {
            std::fs::write(folder.path().join("user"), user).unwrap();
            std::fs::write(folder.path().join("password"), password).unwrap();
            Material::read(&files(folder.path())).unwrap()
        };
        let (one, two) = (read(&folders[0], "ann\n", "hunter2"), read(&folders[1], "ann", "hunter2\n"));
        assert!(one.is_same(&two));
        assert_eq!(one.generations("t/redis"), two.generations("t/redis"));
        let other = read(&folders[0], "annh", "unter2");
        assert_eq!(one.agrees(&other), [false, true], "where one ends and the other begins counts");
        assert_ne!(one.generations("t/redis")[0], other.generations("t/redis")[0]);
        assert_ne!(one.generations("t/redis")[0], one.generations("t/kafka")[0]);
        assert!(!format!("{one:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Material::read(&files(folder.path())).unwrap_err();
        assert!(error.class == Class::Config && error.message.contains("user_file"), "{error}");
    }
}
