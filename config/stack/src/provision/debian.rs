//! A minimal Debian root with PostgreSQL, TimescaleDB and Redis, built by `debootstrap` from the machine's own mirror.
//!
//! Debian's archive signature, checked with the archive's keyring, covers every package. Nothing is installed on the
//! machine: where `debootstrap` is missing, it is unpacked into the cache and run from there.
//!
//! Invariant: the finished root holds no device file, so that deleting the cache can never touch one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::{apt, package, partial, publish, run, tool};
use crate::dir::{StackDir, create, remove_tree, write_whole};
use crate::error::Error;
use crate::progress::Progress;

pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
pub(super) const ANNOUNCEMENT: &str = "  - Debian 13 (trixie) root with PostgreSQL 17, TimescaleDB 2.19 and Redis 8, \
    135 packages, about 150 MB, from your Debian mirror";

const TASK: &str = "TimescaleDB and Redis";
const SUITE: &str = "trixie";
const PACKAGES: &str = "postgresql-17,postgresql-17-timescaledb,redis-server";

/// Lines that `debootstrap` prints for this set of packages; only the bar depends on it.
const LINES_EXPECTED: u64 = 620;

/// Where the root is kept; the last number counts changes of this recipe.
pub(crate) fn folder(dir: &StackDir) -> PathBuf {
    dir.parts().join("debian-trixie-1")
}

/// A complete root.
#[derive(Debug, Clone)]
pub(crate) struct Debian {
    pub(crate) root: PathBuf,
    pub(crate) versions: Versions,
    postgres: (u32, u32),
    redis: (u32, u32),
}

/// What was found in the root when it was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) postgresql: String,
    pub(crate) timescaledb: String,
    pub(crate) redis: String,
}

impl Debian {
    /// Reads the manifest and the owners of a provisioned root.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let manifest = folder.join("manifest.json");
        let text = fs::read_to_string(&manifest).map_err(Error::io("read", &manifest))?;
        let versions = serde_json::from_str(&text).map_err(|error| {
            Error::Unusable(format!(
                "`{}`: {error}; delete `{}` to fetch it again",
                manifest.display(),
                folder.display()
            ))
        })?;
        let root = folder.join("root");
        let passwd = root.join("etc/passwd");
        let users = fs::read_to_string(&passwd).map_err(Error::io("read", &passwd))?;
        let owner = |name| {
            owner(&users, name).ok_or_else(|| Error::Unusable(format!("no user {name} in the Debian root")))
        };
        Ok(Debian { versions, postgres: owner("postgres")?, redis: owner("redis")?, root })
    }

    /// `uid` and `gid` of PostgreSQL inside the root.
    pub(crate) fn postgres(&self) -> (u32, u32) {
        self.postgres
    }

    /// `uid` and `gid` of Redis inside the root.
    pub(crate) fn redis(&self) -> (u32, u32) {
        self.redis
    }
}

/// The numbers of a user of a `passwd` file.
fn owner(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields =
        passwd.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Builds the root.
pub(super) fn fetch(dir: &StackDir, mirror: Option<&str>, progress: &dyn Progress) -> Result<(), Error> {
    let mirror = mirror.map(str::to_owned).or_else(apt::mirror).ok_or_else(|| Error::Provision {
        what: TASK.into(),
        why: "no Debian mirror in the apt sources of this machine; name one in AQUEDUCT_DEBIAN_MIRROR".into(),
    })?;
    let partial = partial(dir, "debian")?;
    let root = partial.join("root");
    let mut command = isolated();
    match installed_debootstrap() {
        Some(path) => command.arg(path),
        None => {
            let unpacked = unpack_debootstrap(&partial, progress)?;
            command.env("DEBOOTSTRAP_DIR", unpacked.join("usr/share/debootstrap"));
            command.arg(unpacked.join("usr/sbin/debootstrap"))
        }
    };
    if let Some(proxy) = apt_proxy() {
        command.env("http_proxy", &proxy).env("https_proxy", &proxy);
    }
    command.args([
        "--variant=minbase".to_owned(),
        format!("--include={PACKAGES}"),
        format!("--keyring={KEYRING}"),
    ]);
    command.arg(SUITE).arg(&root).arg(&mirror);
    let mut lines = 0;
    run(TASK, command, |line| {
        lines += 1;
        progress.step(TASK, lines, LINES_EXPECTED, line.trim_start_matches("I: ").trim_end_matches("..."));
    })?;
    strip(&root)?;
    let versions = verify(&root)?;
    let text = serde_json::to_string_pretty(&versions).expect("invariant: versions are plain data");
    write_whole(&partial.join("manifest.json"), &text)?;
    for leftover in ["apt", "debootstrap"] {
        remove_tree(&partial.join(leftover))?;
    }
    publish(&partial, &folder(dir))?;
    let Versions { postgresql, timescaledb, redis } = versions;
    progress
        .finish(TASK, &format!("ready (PostgreSQL {postgresql}, TimescaleDB {timescaledb}, Redis {redis})"));
    Ok(())
}

/// A tool in its own namespaces: the mounts that `debootstrap` makes inside the root end with it, whatever happens.
fn isolated() -> Command {
    let mut command = tool("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .env("LC_ALL", "C.UTF-8");
    command
}

fn installed_debootstrap() -> Option<&'static Path> {
    let path = Path::new("/usr/sbin/debootstrap");
    path.exists().then_some(path)
}

/// Fetches the package and unpacks it below `partial`.
fn unpack_debootstrap(partial: &Path, progress: &dyn Progress) -> Result<PathBuf, Error> {
    let (state, target) = (partial.join("apt"), partial.join("debootstrap"));
    progress.step(TASK, 0, LINES_EXPECTED, "fetch debootstrap");
    package::unpack("debootstrap", &["debootstrap"], &state, &target)?;
    Ok(target)
}

/// The proxy that apt uses, which `debootstrap` does not ask for.
fn apt_proxy() -> Option<String> {
    let output = Command::new("apt-config")
        .args(["dump", "--format", "%v%n", "Acquire::http::Proxy"])
        .output()
        .ok()?;
    let proxy = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!proxy.is_empty() && proxy != "DIRECT").then_some(proxy)
}

/// Removes what the servers do not need, empties `/dev` and leaves the mount points that `launch.sh` expects.
fn strip(root: &Path) -> Result<(), Error> {
    for unneeded in [
        "var/cache/apt",
        "var/lib/apt/lists",
        "var/lib/postgresql/17",
        "usr/share/doc",
        "usr/share/man",
        "usr/share/info",
        "usr/share/locale",
        "dev",
    ] {
        remove_tree(&root.join(unneeded))?;
    }
    remove_compiler(&root.join("usr/lib"))?;
    for folder in ["dev/shm", "instance", "proc", "tmp"] {
        create(&root.join(folder))?;
    }
    for device in ["null", "zero", "urandom"] {
        let path = root.join("dev").join(device);
        File::create(&path).map_err(Error::io("create", &path))?;
    }
    Ok(())
}

/// PostgreSQL's just-in-time compiler (LLVM, 120 MB) is switched off by the stack's settings.
fn remove_compiler(usr_lib: &Path) -> Result<(), Error> {
    let folders = fs::read_dir(usr_lib).map_err(Error::io("read", usr_lib))?;
    for folder in folders.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        for file in fs::read_dir(&folder).map_err(Error::io("read", &folder))?.filter_map(Result::ok) {
            if file.file_name().to_string_lossy().starts_with("libLLVM") {
                fs::remove_file(file.path()).map_err(Error::io("delete", &file.path()))?;
            }
        }
    }
    Ok(())
}

/// Asks the installed programs for their versions and refuses others than this crate was written for.
fn verify(root: &Path) -> Result<Versions, Error> {
    let ask = |program: &str| {
        let mut command = isolated();
        command.arg("chroot").arg(root).args([program, "--version"]);
        run(TASK, command, |_| {})
    };
    let control = root.join("usr/share/postgresql/17/extension/timescaledb.control");
    let extension = fs::read_to_string(&control).map_err(Error::io("read", &control))?;
    let found = Versions {
        postgresql: number(&ask("/usr/lib/postgresql/17/bin/postgres")?),
        timescaledb: number(
            extension.lines().find(|line| line.starts_with("default_version")).unwrap_or_default(),
        ),
        redis: number(&ask("/usr/bin/redis-server")?),
    };
    for (name, version, wanted) in [
        ("PostgreSQL", &found.postgresql, "17."),
        ("TimescaleDB", &found.timescaledb, "2.19."),
        ("Redis", &found.redis, "8."),
    ] {
        if !version.starts_with(wanted) {
            let problem = format!("the mirror has {name} {version}, expected {wanted}x");
            return Err(Error::Checksum { what: TASK.into(), problem });
        }
    }
    Ok(found)
}

/// The first dotted number of a text.
fn number(text: &str) -> String {
    let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.'));
    numbers.into_iter().find(|word| word.contains('.')).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_programs_print() {
        assert_eq!(number("postgres (PostgreSQL) 17.12 (Debian 17.12-0+deb13u1)"), "17.12");
        assert_eq!(number("Redis server v=8.0.2 sha=00000000:0 malloc=jemalloc-5.3.0"), "8.0.2");
        assert_eq!(number("default_version = '2.19.3'"), "2.19.3");
        assert_eq!(number("none"), "");
    }

    #[test]
    fn owners_are_read_from_passwd_by_their_whole_name() {
        let passwd = "postgresql:x:7:8::/:\nredis:x:100:102::/var/lib/redis:/usr/sbin/nologin\npostgres:x:101:103:,,,:/:\n";
        assert_eq!(owner(passwd, "postgres"), Some((101, 103)));
        assert_eq!(owner(passwd, "redis"), Some((100, 102)));
        assert_eq!(owner(passwd, "root"), None);
    }
}
