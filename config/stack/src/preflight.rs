//! What this machine must have before anything is fetched or started: everything that is missing, in one message.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::dir::StackDir;
use crate::environment::variable;
use crate::error::{Error, Missing};
use crate::launch::path;
use crate::options::Options;
use crate::part::Part;
use crate::provision::{self, Piece, apt, debian, toxiproxy};

const JAVA_MIN: u32 = 17;

/// Checks for `parts`, the parts that this machine is to run itself.
pub(crate) fn check(options: &Options, parts: &[Part]) -> Result<(), Error> {
    let fetch = provision::missing(&options.dir, parts);
    let mut missing = Vec::new();
    if !parts.is_empty() {
        tools(&mut missing, &[("setsid", "util-linux"), ("setpriv", "util-linux"), ("flock", "util-linux")]);
    }
    if parts.iter().any(|part| part.is_broker()) {
        java(&mut missing, "Kafka", Path::new("java"));
        if fetch.contains(&Piece::Kafka) {
            tools(&mut missing, &[("mvn", "maven")]);
        }
    }
    if parts.iter().any(|part| part.piece() == Some(Piece::Debian)) {
        root_rights(&mut missing);
        if fetch.contains(&Piece::Debian) {
            bootstrap(&mut missing, options);
        }
    }
    if options.access.encrypts() {
        tools(&mut missing, &[("openssl", "openssl")]);
    }
    if fetch.contains(&Piece::Toxiproxy) {
        go(&mut missing);
    }
    if fetch.contains(&Piece::Prometheus) {
        packages(&mut missing);
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
}

/// Checks for Spark: what runs it, and what fetches it if it is not there.
pub(crate) fn spark(dir: &StackDir) -> Result<(), Error> {
    let mut missing = Vec::new();
    what_runs_spark(&mut missing);
    if !provision::spark::folder(dir).exists() {
        tools(&mut missing, &[("setpriv", "util-linux"), ("mvn", "maven"), ("tar", "tar")]);
        let pip = Command::new("python3").env("PATH", path()).args(["-m", "pip", "--version"]).output();
        if !pip.is_ok_and(|output| output.status.success()) {
            let remedy = "apt-get install python3-pip".to_owned();
            missing.push(Missing { what: "`pip` of `python3`".into(), remedy });
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
}

/// Checks for a Spark that is there already.
pub(crate) fn spark_runs() -> Result<(), Error> {
    let mut missing = Vec::new();
    what_runs_spark(&mut missing);
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
}

fn what_runs_spark(missing: &mut Vec<Missing>) {
    tools(missing, &[("python3", "python3"), ("bash", "bash")]);
    // Spark asks for it there first.
    let home = variable("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    java(missing, "Spark", home.as_deref().unwrap_or(Path::new("java")));
}

fn tools(missing: &mut Vec<Missing>, wanted: &[(&str, &str)]) {
    for (tool, package) in wanted.iter().filter(|(tool, _)| !exists(tool)) {
        missing.push(Missing { what: format!("`{tool}`"), remedy: format!("apt-get install {package}") });
    }
}

/// Whether the tool is on the search path.
pub(crate) fn exists(tool: &str) -> bool {
    path().split(':').any(|folder| Path::new(folder).join(tool).is_file())
}

fn java(missing: &mut Vec<Missing>, whom: &str, java: &Path) {
    let remedy =
        "apt-get install openjdk-17-jre-headless, or put a newer `java` first on the PATH".to_owned();
    let output = Command::new(java).env("PATH", path()).arg("-version").stdin(Stdio::null()).output();
    let Ok(output) = output else {
        let what = format!("`{}` {JAVA_MIN} or later, for {whom}", java.display());
        return missing.push(Missing { what, remedy });
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match java_major(&text) {
        Some(major) if major >= JAVA_MIN => {}
        found => {
            let found =
                found.map_or_else(|| "of an unknown version".to_owned(), |major| format!("version {major}"));
            let what = format!("`java` {JAVA_MIN} or later, for {whom} (the one here is {found})");
            missing.push(Missing { what, remedy });
        }
    }
}

/// The major version in what `java -version` prints: `"17.0.15"` is 17, `"1.8.0_402"` is 8.
fn java_major(text: &str) -> Option<u32> {
    let mut numbers = text.split('"').nth(1)?.split(['.', '_', '-', '+']);
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

/// Toxiproxy is built from source.
fn go(missing: &mut Vec<Missing>) {
    let least = toxiproxy::GO_MINOR_MIN;
    let output = Command::new("go").env("PATH", path()).env("GOTOOLCHAIN", "local").arg("version").output();
    let found = match output {
        Ok(output) => go_minor(&String::from_utf8_lossy(&output.stdout)),
        Err(_) => None,
    };
    if found.is_none_or(|minor| minor < least) {
        let found = found.map_or_else(String::new, |minor| format!(" (the one here is 1.{minor})"));
        missing.push(Missing {
            what: format!("`go` 1.{least} or later, to build Toxiproxy{found}"),
            remedy:
                "install Go from your distribution or from https://go.dev/dl, and put it first on the PATH"
                    .into(),
        });
    }
}

/// The minor version in what `go version` prints: `go version go1.26.8 linux/amd64` is 26.
fn go_minor(text: &str) -> Option<u32> {
    let digits = |c: char| !c.is_ascii_digit();
    text.split("go1.").nth(1)?.split(digits).next()?.parse().ok()
}

/// TimescaleDB and Redis run inside a root of their own, which takes `chroot`, `mount` and `unshare`.
fn root_rights(missing: &mut Vec<Missing>) {
    tools(missing, &[("unshare", "util-linux"), ("mount", "mount"), ("chroot", "coreutils")]);
    let own = "or set TIMESCALE_URL and REDIS_URL to servers of your own";
    if !rustix::process::geteuid().is_root() {
        let what = "root rights, for TimescaleDB and Redis in their own namespaces".to_owned();
        return missing.push(Missing { what, remedy: format!("run the same command with sudo, {own}") });
    }
    let mut probe = Command::new("unshare");
    probe.env("PATH", path()).args(["--mount", "--pid", "--fork", "--", "mount", "--make-rprivate", "/"]);
    match probe.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let what = format!("the right to make namespaces and mounts, for TimescaleDB and Redis ({why})");
            missing.push(Missing {
                what,
                remedy: format!("in a container add the capability SYS_ADMIN, {own}"),
            });
        }
        // Reported above as a missing tool.
        Err(_) => {}
    }
}

/// What unpacks packages of the distribution: Debian or a relative of it.
fn packages(missing: &mut Vec<Missing>) {
    let distribution = "run this on Debian or a relative of it, whose packages Prometheus comes from";
    for tool in ["apt-get", "dpkg-deb"].into_iter().filter(|tool| !exists(tool)) {
        missing.push(Missing { what: format!("`{tool}`, to fetch Prometheus"), remedy: distribution.into() });
    }
}

fn bootstrap(missing: &mut Vec<Missing>, options: &Options) {
    tools(missing, &[("wget", "wget"), ("gpgv", "gpgv"), ("dpkg-deb", "dpkg")]);
    if !Path::new("/usr/sbin/debootstrap").exists() {
        tools(missing, &[("apt-get", "apt, or install the package debootstrap of your distribution")]);
    }
    if !Path::new(debian::KEYRING).exists() {
        let what = format!("Debian's keyring `{}`", debian::KEYRING);
        missing.push(Missing { what, remedy: "apt-get install debian-archive-keyring".into() });
    }
    if options.debian_mirror.is_none() && apt::mirror().is_none() {
        let what = "a Debian mirror in the apt sources of this machine".to_owned();
        missing.push(Missing {
            what,
            remedy: "export AQUEDUCT_DEBIAN_MIRROR=<address of a Debian mirror>".into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_notations_of_java_versions_are_read() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(java_major("openjdk version \"21\" 2023-09-19\n"), Some(21));
        assert_eq!(java_major("openjdk version \"24-ea\" 2025\n"), Some(24));
        assert_eq!(java_major("java version \"1.8.0_402\"\n"), Some(8));
        assert_eq!(java_major("command not found"), None);
    }

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(go_minor("go version go1.26.8 linux/amd64\n"), Some(26));
        assert_eq!(go_minor("go version go1.23rc1 linux/amd64\n"), Some(23));
        assert_eq!(go_minor("go version devel"), None);
    }

    #[test]
    fn nothing_is_fetched_for_a_part_that_nobody_asks_for() {
        let dir = tempfile::tempdir().unwrap();
        let dir = crate::StackDir::new(dir.path()).unwrap();
        for piece in [Piece::Toxiproxy, Piece::Prometheus] {
            assert!(!provision::missing(&dir, &Part::DEFAULT).contains(&piece));
            assert!(provision::missing(&dir, &Part::ALL).contains(&piece));
        }
    }

    #[test]
    fn all_that_is_missing_is_in_one_message_with_its_remedy() {
        let mut missing = Vec::new();
        tools(&mut missing, &[("sh", "dash"), ("no-such-tool", "one"), ("nor-this", "two")]);
        let message = Error::Missing(missing).to_string();
        assert!(message.contains("`no-such-tool`") && message.contains("apt-get install two"), "{message}");
        assert!(!message.contains("dash"), "{message}");
    }
}
