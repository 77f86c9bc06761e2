//! Redis inside the Debian root: a cache, saved when it is stopped in order, empty after a crash; and its replica.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::chown;
use std::time::Duration;

use super::Server;
use crate::dir::{create, write_whole};
use crate::error::Error;
use crate::launch::{Place, arguments};
use crate::secured;
use crate::state::Port;

const SETTINGS: &str = "\
bind 127.0.0.1
daemonize no
dir /instance
save \"\"
appendonly no
shutdown-on-sigterm save
logfile \"\"
";

/// The first line of an answer is a status, an error or a number.
const ANSWER_BYTES_MAX: usize = 1024;

/// Writes the configuration into the instance's folder.
pub(super) fn prepare(server: &Server) -> Result<(), Error> {
    let folder = &server.launch.folder;
    create(folder)?;
    let mut text = format!("{SETTINGS}port {}\n", server.ports.port);
    if let Some(port) = server.ports.further(Port::Encrypted) {
        text.push_str(&secured::redis_settings(port));
    }
    if let Some(password) = &server.password {
        text.push_str(&format!("requirepass \"{password}\"\nmasterauth \"{password}\"\n"));
    }
    let primary = server.leader.and_then(|leader| server.peers.get(&leader));
    if let Some(primary) = primary {
        text.push_str(&format!("replicaof 127.0.0.1 {}\n", primary.port));
    }
    write_whole(&folder.join("redis.conf"), &text)?;
    if let Place::Root { uid, gid, .. } = server.launch.place {
        let own = [folder.clone(), folder.join("redis.conf")];
        for path in own.into_iter().chain(server.secured.clone().unwrap_or_default()) {
            chown(&path, Some(uid), Some(gid)).map_err(Error::io("give to redis", &path))?;
        }
    }
    Ok(())
}

pub(super) fn command() -> Vec<OsString> {
    arguments(["/usr/bin/redis-server", "/instance/redis.conf"])
}

/// Whether the server answers PING.
pub(super) fn check(url: &str, patience: Duration) -> Result<(), String> {
    if Target::parse(url)?.encrypted {
        // Reachable is all that can be said without a TLS client; the engine brings one.
        return Target::parse(url)?.connect(patience).map(|_| ());
    }
    match ask(url, &["PING"], patience)?.as_str() {
        "+PONG" => Ok(()),
        other => Err(format!("PING answered `{other}`")),
    }
}

/// Sends one command on a connection of its own and returns the first line of the answer.
pub(crate) fn ask(url: &str, words: &[&str], patience: Duration) -> Result<String, String> {
    let target = Target::parse(url)?;
    let mut stream = target.connect(patience)?;
    if let Some(password) = &target.password {
        let mut login = vec!["AUTH"];
        login.extend(target.user.as_deref());
        login.push(password);
        let answer = exchange(&mut stream, &login)?;
        if answer != "+OK" {
            return Err(format!("AUTH answered `{answer}`"));
        }
    }
    exchange(&mut stream, words)
}

fn exchange(stream: &mut TcpStream, words: &[&str]) -> Result<String, String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") && answer.len() < ANSWER_BYTES_MAX {
        stream.read_exact(&mut byte).map_err(|error| error.to_string())?;
        answer.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
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
    fn a_server_that_answers_something_else_is_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let server =
            std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"-NOAUTH who are you\r\n"));
        let refused = check(&url, Duration::from_secs(5)).unwrap_err();
        assert!(refused.contains("NOAUTH"), "{refused}");
        server.join().unwrap().unwrap();
    }
}
