//! A drill stops, deletes and kills: not where somebody would miss it.
//!
//! Servers of the stack are its own. One that the environment names is taken for production unless it is on this machine,
//! and also there if its name says so: a tunnel ends on loopback too.

use crate::exit::WrongUsage;
use anyhow::Result;
use aqueduct_stack::Own;
use std::net::IpAddr;

/// Words of names that nobody gives to servers for practice.
const WORDS: [&str; 4] = ["prod", "production", "prd", "live"];

/// Refuses servers of the environment that look like production, unless `i_know`; asked before anything is touched.
pub(super) fn allow(drill: &str, i_know: bool) -> Result<()> {
    let own = Own::from_env();
    let named = [
        ("KAFKA_BOOTSTRAP", own.kafka_bootstrap),
        ("TIMESCALE_URL", own.timescale_url),
        ("REDIS_URL", own.redis_url),
    ];
    let suspect =
        |(variable, address): (&str, Option<String>)| Some(format!("{variable} {}", suspicion(&address?)?));
    let suspects: Vec<String> = named.into_iter().filter_map(suspect).collect();
    if i_know || suspects.is_empty() {
        return Ok(());
    }
    let message = format!(
        "drill {drill} deletes, stops and kills on purpose, and {}: unset the variables to have it on a private stack of this \
         machine, or say --i-know",
        suspects.join("; ")
    );
    Err(WrongUsage(message).into())
}

/// Why an address looks like production, without its password; `None` if it does not.
fn suspicion(address: &str) -> Option<String> {
    let place = Place::of(address);
    if place.hosts.is_empty() {
        return Some("names no host that could be told".to_owned());
    }
    if let Some(host) = place.hosts.iter().find(|host| !is_loopback(host)) {
        return Some(format!("leads to `{host}`, which is not this machine"));
    }
    let name = place.names.iter().find(|name| says_production(name))?;
    Some(format!("names `{name}`"))
}

/// What an address says of where it leads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    hosts: Vec<String>,
    /// User and database.
    names: Vec<String>,
}

impl Place {
    /// Of `host:port,..`, of a URL, or of PostgreSQL's `key=value ..`.
    fn of(address: &str) -> Self {
        let Some((_, rest)) = address.split_once("://") else {
            return match address.contains('=') {
                true => Self::of_pairs(address),
                false => Self { hosts: hosts(address), names: Vec::new() },
            };
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, places) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user = user.split(':').next().unwrap_or_default();
        let names = [user, path].into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { hosts: hosts(places), names }
    }

    fn of_pairs(address: &str) -> Self {
        let mut place = Self::default();
        for (key, value) in address.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            let value = value.trim_matches('\'');
            match key {
                "host" | "hostaddr" => place.hosts.extend(hosts(value)),
                "user" | "dbname" => place.names.push(value.to_owned()),
                _ => {}
            }
        }
        place
    }
}

/// The hosts of `host[:port],..`.
fn hosts(places: &str) -> Vec<String> {
    let host = |place: &str| match place.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default().to_owned(),
        None => place.split(':').next().unwrap_or_default().to_owned(),
    };
    places.split(',').map(host).filter(|host| !host.is_empty()).collect()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn says_production(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphabetic());
    words.any(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_here_and_says_nothing_of_production_is_let_through() {
        for fine in [
            "127.0.0.1:9092",
            "localhost:1,127.0.0.1:2",
            "postgres://aqueduct:secret@127.0.0.1:5432/aqueduct",
            "postgres://u:p@[::1]:5432/staging_delivery",
            "host=127.0.0.1 user=u dbname=x password=live",
            "redis://:pw@127.0.0.1:6379/0",
        ] {
            assert_eq!(suspicion(fine), None, "{fine}");
        }
        for (address, words) in [
            ("kafka-1.trading.example:9092", "`kafka-1.trading.example`"),
            ("127.0.0.1:9092,10.0.0.7:9092", "`10.0.0.7`"),
            ("postgres://u:p%40live@db.example/x?sslmode=require", "`db.example`"),
            ("postgres://u:p@127.0.0.1:5433/md_prod", "`md_prod`"),
            ("postgres://live-writer:p@127.0.0.1/x", "`live-writer`"),
            ("host=127.0.0.1 dbname=PROD-ticks", "`PROD-ticks`"),
            ("postgres:///x", "names no host"),
        ] {
            let why = suspicion(address).expect(address);
            assert!(why.contains(words) && !why.contains("p%40"), "{address}: {why}");
        }
    }
}
