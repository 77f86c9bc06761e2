//! A typed client of Toxiproxy: a [`Proxy`] stands between a client and a part, a [`Toxic`] makes what passes it suffer.
//!
//! ```no_run
//! # fn main() -> Result<(), aqueduct_stack::Error> {
//! # use aqueduct_stack::{Lifetime, Options, Part, Stack, progress::Silent, toxiproxy::{Direction, Toxic}};
//! # use std::time::Duration;
//! let options = Options::from_env("slow", Lifetime::Private)?.parts(&[Part::Redis, Part::Toxiproxy]);
//! let stack = Stack::up(&options, &Silent)?;
//! let proxy = stack.through_toxiproxy(Part::Redis)?;
//! let url = proxy.address_of(&stack.redis_url()); // for the program under test
//! let slow = Toxic::Latency { delay: Duration::from_millis(50), jitter: Duration::ZERO };
//! let toxic = proxy.add(Direction::Down, slow)?;
//! proxy.remove(&toxic)?;
//! # Ok(())
//! # }
//! ```
//! Deliberately absent: toxicity below 1 (chance belongs to the caller's seed) and the updating of a toxic (remove it,
//! add another).

mod toxic;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::failover::with_hosts;
use crate::http;
use crate::part::Part;
use crate::port;
use crate::stack::Stack;
use crate::state::word;

pub use toxic::{Direction, Toxic};

const REQUEST_MAX: Duration = Duration::from_secs(10);

/// One proxy: what connects to its address is led to the upstream. Dropping it deletes it and cuts its connections.
#[derive(Debug)]
pub struct Proxy {
    administration: String,
    name: String,
    listen: String,
}

/// The name of a toxic on its proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToxicName(String);

#[derive(Deserialize)]
struct Created {
    listen: String,
}

impl Stack {
    /// A new proxy in front of a part, for a stack that was brought up with [`Part::Toxiproxy`].
    ///
    /// Kafka tells its clients where to connect next. It therefore has a listener of its own for the proxied, which
    /// advertises the proxy's address: there is one proxy in front of a broker at a time.
    ///
    /// # Errors
    /// The stack has no Toxiproxy or not that part; a Kafka of the user's own, which advertises what it likes.
    pub fn through_toxiproxy(&self, part: Part) -> Result<Proxy, Error> {
        let (upstream, listen) = self.proxied(part)?;
        let listen = match listen {
            Some(port) => port,
            None => port::free(1)?[0],
        };
        self.proxy_at(listen, &upstream)
    }

    /// A new proxy in front of anything, such as a server of a test's own.
    ///
    /// # Errors
    /// The stack has no Toxiproxy.
    pub fn proxy(&self, upstream: &str) -> Result<Proxy, Error> {
        self.proxy_at(port::free(1)?[0], upstream)
    }

    fn proxy_at(&self, listen: u16, upstream: &str) -> Result<Proxy, Error> {
        let administration = self.address(Part::Toxiproxy).ok_or_else(|| {
            Error::Unusable("this stack was brought up without toxiproxy; ask for it in its options".into())
        })?;
        let mut proxy = Proxy { administration, name: word(12), listen: String::new() };
        let wanted =
            json!({ "name": proxy.name, "listen": format!("127.0.0.1:{listen}"), "upstream": upstream });
        let answer = proxy.request("POST", "/proxies", Some(&wanted))?;
        let created: Created =
            serde_json::from_str(&answer).map_err(Error::request("read what toxiproxy created"))?;
        proxy.listen = created.listen;
        Ok(proxy)
    }
}

impl Proxy {
    /// `host:port` where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.listen
    }

    /// The part's address, a URL or `host:port`, with this proxy's host and port in place of the part's.
    #[must_use]
    pub fn address_of(&self, address: &str) -> String {
        with_hosts(address, &[&self.listen])
    }

    /// Adds a toxic; connections that are open suffer it too.
    ///
    /// # Errors
    /// Toxiproxy does not answer, or was restarted.
    pub fn add(&self, direction: Direction, toxic: Toxic) -> Result<ToxicName, Error> {
        let name = ToxicName(word(12));
        let wanted = json!({
            "name": name.0,
            "type": toxic.kind(),
            "stream": direction.stream(),
            "toxicity": 1.0,
            "attributes": toxic.attributes(),
        });
        self.request("POST", &self.path("/toxics"), Some(&wanted)).map(|_| name)
    }

    /// Removes a toxic. Connections that were black-holed are closed: what they lost cannot be given back.
    ///
    /// # Errors
    /// Toxiproxy does not answer, or was restarted.
    pub fn remove(&self, toxic: &ToxicName) -> Result<(), Error> {
        self.request("DELETE", &self.path(&format!("/toxics/{}", toxic.0)), None).map(|_| ())
    }

    /// Cuts every connection and refuses new ones.
    ///
    /// # Errors
    /// Toxiproxy does not answer, or was restarted.
    pub fn down(&self) -> Result<(), Error> {
        self.enable(false)
    }

    /// Accepts connections again, on the same address.
    ///
    /// # Errors
    /// Toxiproxy does not answer, was restarted, or the port was taken by another program.
    pub fn up(&self) -> Result<(), Error> {
        self.enable(true)
    }

    /// Cuts every connection that is open now; new ones are accepted at once.
    ///
    /// # Errors
    /// Those of [`Proxy::down`] and [`Proxy::up`].
    pub fn cut(&self) -> Result<(), Error> {
        self.down()?;
        self.up()
    }

    fn enable(&self, enabled: bool) -> Result<(), Error> {
        self.request("PATCH", &self.path(""), Some(&json!({ "enabled": enabled }))).map(|_| ())
    }

    fn path(&self, below: &str) -> String {
        format!("/proxies/{}{below}", self.name)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String, Error> {
        let body = body.map(Value::to_string).unwrap_or_default();
        http::request(&self.administration, method, path, &body, REQUEST_MAX)
            .map_err(Error::request("drive toxiproxy"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Toxiproxy may have ended before, and its proxies with it.
        let _ = self.request("DELETE", &self.path(""), None);
    }
}

#[cfg(test)]
mod tests;
