//! What a rotation has begun: the next login in files of its own, and beside them who follows whom.
//!
//! `password.next` and `user.next` lie beside the files they will replace, readable by their owner alone, until all is done.
//! The names of both users and the digest of the password that goes lie in `password.rotation`. Where the files are links
//! into a folder `..data`, as Kubernetes and others lay them, that folder is exchanged as a whole; else one file after the
//! other, and nodes go on with the former login in between.

use anyhow::{Context, Result, bail};
use aqueduct_actors::rotation::{self, Change, LoginFiles, Part};
use aqueduct_topology::model::Topology;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// Bytes of chance in a password.
const PASSWORD_BYTES: usize = 32;

/// See the module.
pub(super) struct State {
    files: LoginFiles,
    staged: LoginFiles,
    /// Where it is said who follows whom.
    path: PathBuf,
    part: Part,
    change: Change,
    begun: bool,
}

/// [`Change`] as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    part: String,
    from: String,
    to: String,
    old_digest: String,
}

impl State {
    /// What was begun, or what is to begin.
    pub(super) fn open(topology: &Topology, part: Part, files: LoginFiles, to: Option<&str>) -> Result<Self> {
        let staged = LoginFiles {
            user: files.user.as_deref().map(|path| beside(path, "next")),
            password: beside(&files.password, "next"),
        };
        let path = beside(&files.password, "rotation");
        let connections = &topology.connections;
        let sasl = connections.kafka.as_ref().and_then(|kafka| kafka.sasl.as_ref());
        let mechanism = sasl.map(|sasl| sasl.mechanism.clone()).unwrap_or_default();
        if let Ok(text) = fs::read_to_string(&path) {
            let Kept { part: whose, from, to: next, old_digest } =
                serde_json::from_str(&text).with_context(|| format!("what {} says", path.display()))?;
            if whose != part.name() {
                bail!(
                    "{} is about a rotation of {whose}; give each connection files of its own",
                    path.display()
                );
            }
            if to.is_some_and(|to| to != next) {
                bail!("a rotation to `{next}` was begun; end it first, without --to or with that one");
            }
            let change = Change { from, to: next, old_digest, mechanism };
            return Ok(Self { files, staged, path, part, change, begun: true });
        }
        let password = read(&files.password)?;
        let from = match (&files.user, part) {
            (Some(file), _) => read(file)?.expose_secret().to_owned(),
            (None, _) => redis_user(topology),
        };
        let next = match (to, part.alternates()) {
            (Some(to), true) => to.to_owned(),
            (None, true) => other(&from),
            (_, false) => from.clone(),
        };
        if part.alternates() && next == from {
            bail!("`{from}` logs in already; name another user with --to");
        }
        let change = Change { from, to: next, old_digest: rotation::digest(&password), mechanism };
        Ok(Self { files, staged, path, part, change, begun: false })
    }

    pub(super) fn change(&self) -> &Change {
        &self.change
    }

    pub(super) fn staged(&self) -> &LoginFiles {
        &self.staged
    }

    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// The files that are exchanged, for people.
    pub(super) fn written(&self) -> String {
        let paths = self.files.user.iter().chain([&self.files.password]);
        paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
    }

    /// Notes what is to come and lays the next login beside the one in use; the next password, which is that of before where
    /// one was laid already.
    pub(super) fn stage(&mut self) -> Result<SecretString> {
        if self.begun && self.staged.password.exists() {
            return read(&self.staged.password);
        }
        let Change { from, to, old_digest, .. } = &self.change;
        if let Some(user) = &self.staged.user {
            write(user, to)?;
        }
        let password = random_password();
        write(&self.staged.password, password.expose_secret())?;
        let part = self.part.name().to_owned();
        let kept = Kept { part, from: from.clone(), to: to.clone(), old_digest: old_digest.clone() };
        write(&self.path, &serde_json::to_string(&kept)?)?;
        self.begun = true;
        Ok(password)
    }

    /// The next login becomes the one of the files. Done before, it changes nothing.
    pub(super) fn switch(&self) -> Result<()> {
        let pairs: Vec<(&Path, SecretString)> = [
            (self.files.user.as_deref(), self.staged.user.as_deref()),
            (Some(&*self.files.password), Some(&*self.staged.password)),
        ]
        .into_iter()
        .filter_map(|(to, from)| Some((to?, from?)))
        .map(|(to, from)| Ok((to, read(from)?)))
        .collect::<Result<_>>()?;
        if pairs
            .iter()
            .all(|(to, next)| read(to).is_ok_and(|now| now.expose_secret() == next.expose_secret()))
        {
            return Ok(());
        }
        match common_data(&pairs) {
            Some(folder) => exchange(&folder, &pairs),
            None => pairs.iter().try_for_each(|(to, next)| write(to, next.expose_secret())),
        }
    }

    /// Nothing is left of it.
    pub(super) fn done(&self) -> Result<()> {
        for path in self.staged.user.iter().chain([&self.staged.password, &self.path]) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// `path` with a further ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Whose turn it is: `app_a` and `app_b` follow each other; `app` is followed by `app_b`.
fn other(user: &str) -> String {
    match (user.strip_suffix("_a"), user.strip_suffix("_b")) {
        (Some(name), _) => format!("{name}_b"),
        (None, Some(name)) => format!("{name}_a"),
        (None, None) => format!("{user}_b"),
    }
}

/// Who logs in to Redis: as the address says, or nobody in particular.
fn redis_user(topology: &Topology) -> String {
    let url = topology.connections.redis.as_ref().map(|redis| redis.url.value.expose_secret());
    let login = url.and_then(|url| Some(url.split_once("://")?.1.rsplit_once('@')?.0));
    let user = login.map(|login| login.split(':').next().unwrap_or_default()).unwrap_or_default();
    if user.is_empty() { "default".to_owned() } else { user.to_owned() }
}

/// A password that nobody can guess.
pub(crate) fn random_password() -> SecretString {
    let mut bytes = [0_u8; PASSWORD_BYTES];
    let filled =
        File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    filled.expect("invariant: every Linux has /dev/urandom");
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.into()
}

fn read(path: &Path) -> Result<SecretString> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned().into())
}

/// Whole or not at all, for its owner and whoever could read what was there.
fn write(path: &Path, text: &str) -> Result<()> {
    let fresh = beside(path, "new");
    let written = || {
        let mode = fs::metadata(path)
            .map_or(0o600, |known| std::os::unix::fs::PermissionsExt::mode(&known.permissions()));
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777))?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().with_context(|| {
        let path = path.display();
        format!("write {path}; where it is not this machine that keeps the secret, run the command where it is kept")
    })
}

/// The folder whose `..data` all of them lie in by links, if they do.
fn common_data(pairs: &[(&Path, SecretString)]) -> Option<PathBuf> {
    let folder = pairs.first()?.0.parent()?;
    let in_it = |path: &Path| {
        path.parent() == Some(folder) && fs::read_link(path).is_ok_and(|link| link.starts_with("..data"))
    };
    (fs::read_link(folder.join("..data")).is_ok() && pairs.iter().all(|(path, _)| in_it(path)))
        .then(|| folder.to_owned())
}

/// Lays a folder with the new contents beside the one there is, and leads `..data` to it.
fn exchange(folder: &Path, pairs: &[(&Path, SecretString)]) -> Result<()> {
    let data = folder.join("..data");
    let exchanged = || {
        let before = fs::canonicalize(&data)?;
        let name = format!("..{:016x}", fastrand::u64(..));
        let next = folder.join(&name);
        fs::create_dir(&next)?;
        for entry in fs::read_dir(&before)? {
            let entry = entry?;
            fs::copy(entry.path(), next.join(entry.file_name()))?;
        }
        for (path, text) in pairs {
            let link = fs::read_link(path)?;
            let target = next.join(link.strip_prefix("..data").unwrap_or(&link));
            fs::write(&target, format!("{}\n", text.expose_secret()))?;
            File::open(&target)?.sync_all()?;
        }
        let temporary = folder.join("..data_tmp");
        let _ = fs::remove_file(&temporary);
        symlink(&name, &temporary)?;
        fs::rename(&temporary, &data)?;
        fs::remove_dir_all(&before)
    };
    let exchanged: std::io::Result<()> = exchanged();
    exchanged.with_context(|| format!("exchange what is in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_take_turns() {
        assert_eq!(["app", "app_b", "app_a"].map(other), ["app_b", "app_a", "app_b"]);
    }

    #[test]
    fn files_in_a_folder_that_is_exchanged_are_exchanged_together() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("..1")).unwrap();
        for name in ["user", "password", "other"] {
            fs::write(at("..1").join(name), "old").unwrap();
            symlink(Path::new("..data").join(name), at(name)).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        let (user, password) = (at("user"), at("password"));
        let pairs = [(&*user, "ben".to_owned().into()), (&*password, "new".to_owned().into())];
        assert_eq!(common_data(&pairs).as_deref(), Some(folder.path()));
        exchange(folder.path(), &pairs).unwrap();
        let texts =
            ["user", "password", "other"].map(|name| read(&at(name)).unwrap().expose_secret().to_owned());
        assert_eq!(texts, ["ben", "new", "old"]);
        assert!(!at("..1").exists());
        fs::remove_file(&user).unwrap();
        fs::write(&user, "plain").unwrap();
        assert_eq!(common_data(&pairs), None);
    }
}
