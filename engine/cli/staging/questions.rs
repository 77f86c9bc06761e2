//! What a staging must answer before it counts as up: each question goes to the server that would have to lie.

use super::place::{Place, node_urls};
use super::up::topics;
use crate::http::Node;
use crate::output::counted;
use anyhow::{Context, Result, bail};
use aqueduct_engine::Clock;
use aqueduct_stack::{Part, Progress, Stack};
use aqueduct_topology::model::Topology;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

/// How long an answer may take to become the right one.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(200);
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Standbys that follow and are proven to be encrypted.
const FOLLOWERS: &str = "SELECT count(*)::text FROM pg_catalog.pg_stat_replication \
    JOIN pg_catalog.pg_stat_ssl USING (pid) WHERE state = 'streaming' AND ssl";
const IS_STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()::text";
/// What a node's user may do and must not; empty if nothing.
const TOO_MUCH: &str = "\
    SELECT coalesce(string_agg(what, ', '), '') FROM ( \
        SELECT 'change the server' AS what FROM pg_catalog.pg_roles \
        WHERE rolname = $1 AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) \
        UNION ALL \
        SELECT 'create in ' || nspname FROM pg_catalog.pg_namespace \
        WHERE nspname !~ '^pg_(temp|toast)' AND has_schema_privilege($1, oid, 'CREATE') \
        UNION ALL \
        SELECT 'truncate ' || oid::regclass FROM pg_catalog.pg_class \
        WHERE relkind IN ('r', 'p') AND has_table_privilege($1, oid, 'TRUNCATE') \
    ) AS found";

/// See the module.
pub(super) struct Questions<'a> {
    pub(super) stack: &'a Stack,
    pub(super) place: &'a Place,
    pub(super) topology: &'a Topology,
    pub(super) rules: usize,
}

impl Questions<'_> {
    /// Asks until each answer is the right one; says each, and which was not.
    pub(super) fn ask(&self, progress: &dyn Progress) -> Result<()> {
        let all: [(&str, &dyn Fn() -> Result<String>); 6] = [
            ("kafka", &|| self.brokers()),
            ("timescale", &|| self.standby()),
            ("timescale roles", &|| self.roles()),
            ("redis", &|| self.redis()),
            ("nodes", &|| self.nodes()),
            ("prometheus", &|| self.prometheus()),
        ];
        for (what, question) in all {
            let answer = until(question).with_context(|| format!("staging is not up: {what}"))?;
            progress.note(&format!("{what}: {answer}"));
        }
        Ok(())
    }

    fn brokers(&self) -> Result<String> {
        let client: BaseConsumer = self.stack.kafka_client()?.create()?;
        let metadata = client.fetch_metadata(None, REQUEST_MAX)?;
        let wanted = Part::BROKERS.len();
        if metadata.brokers().len() != wanted {
            bail!("{} of {wanted} brokers are there", metadata.brokers().len());
        }
        let names = topics(self.topology);
        let mut partitions = 0;
        for name in &names {
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            let topic = topic.with_context(|| format!("topic {name} is not there"))?;
            for partition in topic.partitions() {
                if partition.isr().len() != wanted {
                    bail!("{name}/{} is in sync on {} of {wanted}", partition.id(), partition.isr().len());
                }
                partitions += 1;
            }
        }
        Ok(format!(
            "{wanted} of {wanted} brokers; {} of {} in sync on each",
            counted(partitions, "partition"),
            counted(names.len(), "topic")
        ))
    }

    fn standby(&self) -> Result<String> {
        let following = self.stack.ask_database(Part::Timescale, FOLLOWERS, None)?;
        if following.as_deref() != Some("1") {
            bail!("{} standbys follow over TLS, not 1", following.unwrap_or_default());
        }
        if self.stack.ask_database(Part::Standby, IS_STANDBY, None)?.as_deref() != Some("true") {
            bail!("the standby is none any more");
        }
        Ok("the standby follows the primary over TLS".to_owned())
    }

    fn roles(&self) -> Result<String> {
        if self.topology.connections.timescale.is_none() {
            return Ok("the topology has no tables".to_owned());
        }
        let user = self.place.user(Part::Timescale)?;
        let too_much = self.stack.ask_database(Part::Timescale, TOO_MUCH, Some(&user))?.unwrap_or_default();
        if !too_much.is_empty() {
            bail!("`{user}` may {too_much}");
        }
        Ok(format!("`{user}` may create, change and empty nothing"))
    }

    fn redis(&self) -> Result<String> {
        let user = self.place.user(Part::Redis)?;
        let mut leading = Vec::new();
        // Both: whoever is promoted must know the user already.
        for part in [Part::Redis, Part::Replica] {
            let may = |words: &[&str]| {
                let words = [&["ACL", "DRYRUN", &user], words].concat();
                self.stack.ask_redis(part, &words)
            };
            let answer = may(&["HGET", "key", "field"])?;
            if answer != "+OK" {
                bail!("{part} does not let `{user}` read: {answer}");
            }
            for forbidden in [&["FLUSHALL"][..], &["KEYS", "*"], &["CONFIG", "GET", "*"], &["ACL", "LIST"]] {
                let answer = may(forbidden)?;
                if !answer.contains("permissions") {
                    bail!("`{user}` may send {} to {part}: {answer}", forbidden.join(" "));
                }
            }
            if self.stack.ask_redis(part, &["ROLE"])?.starts_with("master") {
                leading.push(self.stack.encrypted(part));
            }
        }
        let primary = self.stack.redis_primary()?;
        let seen = self.stack.ask_redis(Part::Sentinel, &["INFO", "sentinel"])?;
        let watched = seen.lines().find(|line| line.starts_with("master0:")).unwrap_or_default();
        if !(watched.contains("status=ok") && watched.contains("slaves=1")) {
            bail!("sentinel sees `{watched}`");
        }
        if leading != [primary.as_str()] {
            bail!("sentinel says that {primary} leads, and of themselves say so: {}", leading.join(", "));
        }
        Ok(format!(
            "sentinel knows the primary at {primary} and 1 replica; both know `{user}`, who may not empty them"
        ))
    }

    fn nodes(&self) -> Result<String> {
        for url in node_urls(self.stack) {
            let answer = Node { url: url.clone() }.get("/readyz")?;
            if answer.status != 200 {
                bail!("{url} is not ready: {}", String::from_utf8_lossy(&answer.body));
            }
        }
        Ok(format!("{} ready", counted(Part::NODES.len(), "node")))
    }

    fn prometheus(&self) -> Result<String> {
        let prometheus = self.stack.prometheus()?;
        let up = prometheus.query("sum(up{job=\"aqueduct\"})")?.first().map_or(0.0, |sample| sample.value);
        if up != Part::NODES.len() as f64 {
            bail!("it reaches {up} of {} nodes: {}", Part::NODES.len(), prometheus.unreachable()?.join("; "));
        }
        let rules = prometheus.rules()?;
        if rules != self.rules {
            bail!("it judges by {rules} of {} rules", self.rules);
        }
        Ok(format!(
            "it asks {}, and judges by {}",
            counted(Part::NODES.len(), "node"),
            counted(rules, "rule")
        ))
    }
}

/// Asks until there is an answer, for so long at most; the last refusal is the error.
fn until(question: &dyn Fn() -> Result<String>) -> Result<String> {
    let clock = Clock::system();
    let deadline = clock.now() + PATIENCE;
    loop {
        match question() {
            Err(_) if clock.now() < deadline => std::thread::sleep(ASK_EVERY),
            settled => return settled,
        }
    }
}
