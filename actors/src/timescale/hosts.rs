//! A connection's hosts, one at a time: `postgres://user@first:5432,second:5432/database`.
//!
//! The driver would try them in one go and under one limit, and a first host that takes the connection and says nothing
//! would use all of it up. Deliberately absent: a memory of which host was the primary; the server itself says so at each
//! connect.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// `config` once for each of its hosts, in their order.
pub(super) fn each(config: &Config) -> Vec<Config> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    (0..count).map(|index| only(config, index)).collect()
}

/// What says where, cut down to the `index`th host; everything else as it is.
fn only(config: &Config, index: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(index) {
        Some(Host::Tcp(host)) => _ = one.host(host),
        Some(Host::Unix(path)) => _ = one.host_path(path),
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    let ports = config.get_ports();
    if let Some(port) = ports.get(index).or(ports.first()) {
        one.port(*port);
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    one.ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

/// Where to, for messages: host, port, database and user, never a password.
pub(super) fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            };
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            format!("{name}:{port}")
        })
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("timescale at {}/{database} as {}", hosts.join(","), config.get_user().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Config {
        url.parse().unwrap()
    }

    #[test]
    fn each_host_keeps_its_port_and_all_that_is_common() {
        let both = parse("postgres://u:p@one:1,two:2/d?options=-c%20jit=off&channel_binding=require");
        let alone = [
            parse("postgres://u:p@one:1/d?options=-c%20jit=off&channel_binding=require"),
            parse("postgres://u:p@two:2/d?options=-c%20jit=off&channel_binding=require"),
        ];
        assert_eq!(each(&both), alone);
        assert_eq!(each(&alone[0]), alone[..1]);
    }

    #[test]
    fn one_port_is_everybodys() {
        let places: Vec<String> = each(&parse("host=one,two port=7 user=u")).iter().map(place).collect();
        assert_eq!(places, ["timescale at one:7/u as u", "timescale at two:7/u as u"]);
    }
}
