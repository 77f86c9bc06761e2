//! A private authority and what it has signed, made by `openssl` for each instance.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::CERTIFIED_USER;
use crate::dir::{create, remove_tree};
use crate::error::Error;
use crate::launch::path;

/// In a part's folder: whom it believes.
pub(crate) const AUTHORITY: &str = "authority.pem";
/// In a part's folder: its certificate.
pub(crate) const CERTIFICATE: &str = "server.pem";
/// In a part's folder: its key.
pub(crate) const KEY: &str = "server.key";
/// In a part's folder: both, as Kafka wants them.
pub(crate) const BUNDLE: &str = "server.bundle.pem";

const LOOPBACK: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";
const ELSEWHERE: &str = "subjectAltName=DNS:elsewhere.example";
const CLIENT: &str = "extendedKeyUsage=clientAuth";
const DAYS: &str = "3650";

/// Which certificate a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// For 127.0.0.1 and localhost.
    Good,
    /// For another host.
    WrongName,
    /// For this one, but its time is over.
    Expired,
}

impl Identity {
    fn name(self) -> &'static str {
        match self {
            Identity::Good => "server",
            Identity::WrongName => "elsewhere",
            Identity::Expired => "expired",
        }
    }
}

/// The certificates of an instance, as PEM files.
#[derive(Debug, Clone)]
pub struct Certificates(PathBuf);

impl Certificates {
    pub(crate) fn of(instance: &Path) -> Self {
        Certificates(instance.join("certificates"))
    }

    /// Makes them, unless they are there.
    pub(crate) fn make(instance: &Path) -> Result<(), Error> {
        let whole = Certificates::of(instance);
        if whole.0.exists() {
            return Ok(());
        }
        let partial = Certificates(instance.join("certificates.partial"));
        remove_tree(&partial.0)?;
        create(&partial.0)?;
        for authority in ["authority", "stranger"] {
            partial.new_authority(authority)?;
        }
        partial.sign("authority", Identity::Good.name(), super::SERVER, LOOPBACK, DAYS)?;
        partial.sign("authority", Identity::WrongName.name(), "elsewhere.example", ELSEWHERE, DAYS)?;
        partial.sign("authority", Identity::Expired.name(), super::SERVER, LOOPBACK, "0")?;
        partial.sign("authority", "client", super::USER, CLIENT, DAYS)?;
        partial.sign("authority", "certified", CERTIFIED_USER, CLIENT, DAYS)?;
        partial.sign("stranger", "impostor", super::USER, CLIENT, DAYS)?;
        fs::rename(&partial.0, &whole.0).map_err(Error::io("create", &whole.0))
    }

    /// The authority that signed the servers' certificates, and whose clients they believe.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.file("authority.pem")
    }

    /// An authority that signed nothing of the servers'.
    #[must_use]
    pub fn stranger(&self) -> PathBuf {
        self.file("stranger.pem")
    }

    /// Certificate and key of a client: of the user [`super::USER`].
    #[must_use]
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.file("client.pem"), self.file("client.key"))
    }

    /// Certificate and key of the user [`CERTIFIED_USER`].
    #[must_use]
    pub fn certified(&self) -> (PathBuf, PathBuf) {
        (self.file("certified.pem"), self.file("certified.key"))
    }

    /// Certificate and key of a client whom only the stranger vouches for.
    #[must_use]
    pub fn impostor(&self) -> (PathBuf, PathBuf) {
        (self.file("impostor.pem"), self.file("impostor.key"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Copies what a server needs into its folder.
    pub(super) fn install(&self, identity: Identity, folder: &Path) -> Result<(), Error> {
        let read = |name: String| {
            let path = self.file(&name);
            fs::read_to_string(&path).map_err(Error::io("read", &path))
        };
        let certificate = read(format!("{}.pem", identity.name()))?;
        let key = read(format!("{}.key", identity.name()))?;
        let files = [
            (AUTHORITY, read("authority.pem".into())?),
            (BUNDLE, format!("{key}{certificate}")),
            (CERTIFICATE, certificate),
            (KEY, key),
        ];
        for (name, text) in files {
            // Written in place: a file that is there already belongs to the server's user, and shall stay so.
            let path = folder.join(name);
            fs::write(&path, text).map_err(Error::io("write", &path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .map_err(Error::io("protect", &path))?;
        }
        Ok(())
    }

    fn new_authority(&self, name: &str) -> Result<(), Error> {
        let subject = format!("/CN=Aqueduct stack {name}");
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            DAYS,
            "-subj",
            &subject,
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ])
    }

    fn sign(&self, by: &str, name: &str, subject: &str, extension: &str, days: &str) -> Result<(), Error> {
        let request = format!("{name}.csr");
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            &format!("/CN={subject}"),
            "-addext",
            extension,
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &request,
        ])?;
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &format!("{by}.pem"),
            "-CAkey",
            &format!("{by}.key"),
            "-CAcreateserial",
            "-days",
            days,
            "-copy_extensions",
            "copy",
            "-out",
            &format!("{name}.pem"),
        ])
    }

    fn openssl(&self, arguments: &[&str]) -> Result<(), Error> {
        let mut command = Command::new("openssl");
        command.env("PATH", path()).args(arguments).current_dir(&self.0).stdin(Stdio::null());
        let output = command.output().map_err(Error::io("start", Path::new("openssl")))?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Request { doing: format!("openssl {}", arguments[0]), why })
    }
}
