//! Redis inside the Debian root: a cache, saved when it is stopped in order, empty after a crash; and its replica.
//!
//! A closed one knows its users by a file, which it writes anew when they change. Where a Sentinel is, who follows whom is its
//! affair after the first start: what the servers wrote of it then stays.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::chown;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Part, Server, sentinel};
use crate::dir::{create, write_private};
use crate::error::Error;
use crate::launch::{Place, arguments};
use crate::options::Access;
use crate::secured;
use crate::state::Port;
use crate::tls::{Stream, Trust};

const SETTINGS: &str = "\
bind 127.0.0.1
daemonize no
dir /instance
save \"\"
appendonly no
shutdown-on-sigterm save
logfile \"\"
";

/// A line of an answer: a status, an error or a number.
const LINE_BYTES_MAX: usize = 1024;
/// A text in an answer.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Writes the configuration into the instance's folder, and the users of a closed server that has none yet.
pub(super) fn prepare(server: &Server) -> Result<(), Error> {
    let folder = &server.launch.folder;
    create(folder)?;
    let settings = folder.join("redis.conf");
    let before = fs::read_to_string(&settings).unwrap_or_default();
    if !is_told_by_sentinel(server, &before) {
        write_private(&settings, &text(server))?;
    } else if let Some(leader) = sentinel::leader(server) {
        // One that was killed comes back as what its settings say: it must not lead beside the one that was promoted.
        write_private(&settings, &following(&before, server.ports.port, leader))?;
    }
    let mut own = vec![folder.clone(), settings];
    if server.access == Access::Closed {
        let users = folder.join("users.acl");
        if !users.exists() {
            write_private(&users, &first_users(server))?;
        }
        own.push(users);
    }
    own.extend(server.certificates.clone());
    give(server, own)
}

/// Lets the server's own user read and write these.
pub(super) fn give(server: &Server, paths: Vec<std::path::PathBuf>) -> Result<(), Error> {
    if let Place::Root { uid, gid, .. } = server.launch.place {
        for path in paths {
            chown(&path, Some(uid), Some(gid)).map_err(Error::io("give to redis", &path))?;
        }
    }
    Ok(())
}

fn text(server: &Server) -> String {
    let port = server.ports.port;
    let mut text = match server.access {
        Access::Open => format!("{SETTINGS}port {port}\n"),
        Access::Both => {
            let encrypted = server.ports.further(Port::Encrypted).unwrap_or_default();
            format!("{SETTINGS}port {port}\n{}", secured::redis_settings(encrypted))
        }
        Access::Closed => format!(
            "{SETTINGS}port 0\n{}tls-replication yes\naclfile /instance/users.acl\nmasteruser {}\nmasterauth \"{}\"\n",
            secured::redis_settings(port),
            Part::Replica.name(),
            server.password(Part::Replica)
        ),
    };
    if let Some(password) = &server.redis_password {
        text.push_str(&format!("requirepass \"{password}\"\nmasterauth \"{password}\"\n"));
    }
    let primary = server.leader.and_then(|leader| server.peers.get(&leader));
    if let Some(primary) = primary {
        text.push_str(&format!("replicaof 127.0.0.1 {}\n", primary.port));
    }
    text
}

/// Nobody without a name; whom the servers and their Sentinel come as; and who may do everything.
fn first_users(server: &Server) -> String {
    let user = |name: &str, part: Part, rights: &str| {
        let digest: String =
            Sha256::digest(server.password(part)).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("user {name} on #{digest} {rights}\n")
    };
    let mut users = "user default off\n".to_owned();
    users += &user(secured::REDIS_OWNER, Part::Redis, "~* &* +@all");
    users += &user(Part::Replica.name(), Part::Replica, "+psync +replconf +ping");
    users += &user(
        Part::Sentinel.name(),
        Part::Sentinel,
        "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname \
         +client|kill +script|kill",
    );
    users
}

/// Whether the file is of these ports and a Sentinel may have written into it since.
pub(super) fn is_told_by_sentinel(server: &Server, text: &str) -> bool {
    let ports: Vec<u16> = [Part::Redis, Part::Replica]
        .iter()
        .filter_map(|part| server.peers.get(part))
        .map(|ports| ports.port)
        .collect();
    let listens = format!("port {}", server.ports.port);
    server.peers.contains_key(&Part::Sentinel)
        && text.lines().any(|line| line.trim_start_matches("tls-") == listens)
        && text.lines().filter_map(leads_to).all(|port| ports.contains(&port))
}

/// The port of another server in a line such as `replicaof 127.0.0.1 6379`.
pub(super) fn leads_to(line: &str) -> Option<u16> {
    line.split_once("127.0.0.1 ")?.1.split_whitespace().next()?.parse().ok()
}

/// The settings of a server at `port` where `leader` is the port of who leads.
fn following(settings: &str, port: u16, leader: u16) -> String {
    let others = settings.lines().filter(|line| !line.starts_with("replicaof "));
    let mut text: String = others.map(|line| format!("{line}\n")).collect();
    if port != leader {
        text += &format!("replicaof 127.0.0.1 {leader}\n");
    }
    text
}

pub(super) fn command() -> Vec<OsString> {
    arguments(["/usr/bin/redis-server", "/instance/redis.conf"])
}

/// Whether the server answers PING.
pub(super) fn check(url: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let target = Target::parse(url)?;
    if target.encrypted && trust.is_none() {
        // Reachable is all that can be said of a server whose authority is not known; the engine knows it.
        return target.connect(patience).map(|_| ());
    }
    match ask(url, trust, &["PING"], patience)?.as_str() {
        "+PONG" => Ok(()),
        other => Err(format!("PING answered `{other}`")),
    }
}

/// Sends one command on a connection of its own and returns the answer: a status, an error or a number with its first
/// letter, a text, or the lines of a list.
pub(crate) fn ask(
    url: &str,
    trust: Option<&Trust>,
    words: &[&str],
    patience: Duration,
) -> Result<String, String> {
    let target = Target::parse(url)?;
    let plain = target.connect(patience)?;
    let mut stream: Box<dyn Stream> = match trust.filter(|_| target.encrypted) {
        Some(trust) => Box::new(trust.encrypt(&target.host, plain)?),
        None => Box::new(plain),
    };
    if let Some(password) = &target.password {
        let mut login = vec!["AUTH"];
        login.extend(target.user.as_deref());
        login.push(password);
        let answer = exchange(&mut *stream, &login)?;
        if answer != "+OK" {
            return Err(format!("AUTH answered `{answer}`"));
        }
    }
    exchange(&mut *stream, words)
}

fn exchange(stream: &mut dyn Stream, words: &[&str]) -> Result<String, String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(|error| error.to_string())?;
    answer(stream)
}

fn answer(stream: &mut dyn Stream) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") && line.len() < LINE_BYTES_MAX {
        stream.read_exact(&mut byte).map_err(failed)?;
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    match line.split_at_checked(1) {
        Some(("$", length)) => {
            let Ok(length) = length.parse::<usize>() else { return Ok(String::new()) };
            let mut text = vec![0; length.min(TEXT_BYTES_MAX) + 2];
            stream.read_exact(&mut text).map_err(failed)?;
            Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
        }
        Some(("*", count)) => {
            let elements = (0..count.parse::<usize>().unwrap_or(0)).map(|_| answer(stream));
            Ok(elements.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        _ => Ok(line),
    }
}

/// The pieces of `redis[s]://[[user]:password@]host[:port][/database]`.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<String>,
    encrypted: bool,
}

impl Target {
    fn parse(url: &str) -> Result<Self, String> {
        let bad = || "not of the form redis://[:password@]host[:port][/database]".to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let encrypted = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(bad()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, place) =
            authority.rsplit_once('@').map_or((None, authority), |(login, place)| (Some(login), place));
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or(("", login))) {
            None => (None, None),
            Some(("", password)) => (None, Some(password.to_owned())),
            Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
            _ => (place, 6379),
        };
        if host.is_empty() {
            return Err(bad());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Target { host, port, user, password, encrypted })
    }

    fn connect(&self, patience: Duration) -> Result<TcpStream, String> {
        let mut addresses =
            (self.host.as_str(), self.port).to_socket_addrs().map_err(|error| error.to_string())?;
        let address = addresses.next().ok_or("the host has no address")?;
        let stream = TcpStream::connect_timeout(&address, patience).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(patience)).map_err(|error| error.to_string())?;
        stream.set_write_timeout(Some(patience)).map_err(|error| error.to_string())?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_of_users_are_taken_apart() {
        let target = Target::parse("redis://:p@ss@cache.example:7000/2").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("cache.example", 7000));
        assert_eq!((target.user, target.password.as_deref()), (None, Some("p@ss")));
        assert_eq!(Target::parse("rediss://u:p@h").unwrap().user.as_deref(), Some("u"));
        assert_eq!(Target::parse("redis://[::1]:7").unwrap().host, "::1");
        assert_eq!(Target::parse("redis://[::1]").unwrap().port, 6379);
        assert!(Target::parse("http://h").is_err());
        assert!(Target::parse("redis://h:seven").is_err());
    }

    #[test]
    fn lists_and_texts_are_read_whole() {
        struct Canned(std::io::Cursor<Vec<u8>>);
        impl std::io::Read for Canned {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(into)
            }
        }
        impl std::io::Write for Canned {
            fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
                Ok(from.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut read = |text: &str| answer(&mut Canned(std::io::Cursor::new(text.into()))).unwrap();
        assert_eq!(read("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"), "127.0.0.1\n6379");
        assert_eq!(read("$6\r\na\r\nb:1\r\n"), "a\r\nb:1");
        assert_eq!(["+OK\r\n", ":1\r\n", "$-1\r\n"].map(&mut read), ["+OK", ":1", ""]);
    }

    #[test]
    fn the_place_of_another_server_is_found_in_a_line() {
        assert_eq!(leads_to("replicaof 127.0.0.1 7000"), Some(7000));
        assert_eq!(leads_to("sentinel monitor aqueduct 127.0.0.1 7000 1"), Some(7000));
        assert_eq!(leads_to("bind 127.0.0.1"), None);
    }

    #[test]
    fn a_server_that_comes_back_follows_whoever_leads_by_now() {
        let led = "tls-port 7000\nreplicaof 127.0.0.1 7001\nuser a on\n";
        assert_eq!(following(led, 7000, 7000), "tls-port 7000\nuser a on\n");
        let leads = "tls-port 7000\nuser a on\n";
        assert_eq!(following(leads, 7000, 7001), "tls-port 7000\nuser a on\nreplicaof 127.0.0.1 7001\n");
        assert_eq!(following(led, 7000, 7002).matches("replicaof").count(), 1);
    }

    #[test]
    fn a_server_that_answers_something_else_is_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let server =
            std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"-NOAUTH who are you\r\n"));
        let refused = check(&url, None, Duration::from_secs(5)).unwrap_err();
        assert!(refused.contains("NOAUTH"), "{refused}");
        server.join().unwrap().unwrap();
    }
}
