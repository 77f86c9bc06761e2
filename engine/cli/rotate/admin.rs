//! How the command comes to the servers with the right to change users: by the environment and files, never by arguments.

use crate::environment::variable;
use anyhow::{Result, bail};
use aqueduct_actors::rotation::{Admin, Part, redis_servers};
use aqueduct_topology::model::{KafkaConnection, RedisConnection, Sasl, TimescaleConnection, Topology};
use aqueduct_topology::{Span, Spanned};
use std::path::PathBuf;

/// The address of the database as somebody who may create roles.
const TIMESCALE_URL: &str = "AQUEDUCT_ROTATE_TIMESCALE_URL";
/// The address of Redis as somebody who may change users; of each of its servers, for they tell each other of no users.
const REDIS_URL: &str = "AQUEDUCT_ROTATE_REDIS_URL";
/// Where the brokers are for somebody who may alter users; the topology's own unless said.
const KAFKA_BOOTSTRAP: &str = "AQUEDUCT_ROTATE_KAFKA_BOOTSTRAP";
/// Who that is; without it, the brokers of [`KAFKA_BOOTSTRAP`] are spoken to in clear and without a name.
const KAFKA_USER: &str = "AQUEDUCT_ROTATE_KAFKA_USER";
/// The file of their password, where it is not in the address; [`own_password_file`] wins.
const PASSWORD_FILE: &str = "AQUEDUCT_ROTATE_PASSWORD_FILE";

/// The same for one server alone, where several are told of at once.
fn own_password_file(part: Part) -> &'static str {
    match part {
        Part::Timescale => "AQUEDUCT_ROTATE_TIMESCALE_PASSWORD_FILE",
        Part::Kafka => "AQUEDUCT_ROTATE_KAFKA_PASSWORD_FILE",
        Part::Redis => "AQUEDUCT_ROTATE_REDIS_PASSWORD_FILE",
    }
}

/// To the server of `part`, with the topology's authorities where it names some.
pub(super) fn of(topology: &Topology, part: Part) -> Result<Admin> {
    let connections = &topology.connections;
    let password_file =
        variable(own_password_file(part)).or_else(|| variable(PASSWORD_FILE)).map(PathBuf::from);
    match part {
        Part::Timescale => {
            let tls = connections.timescale.as_ref().and_then(|it| it.tls.clone());
            let url = Spanned::new(address(TIMESCALE_URL, part)?.into(), Span::default());
            Ok(Admin::Timescale(TimescaleConnection { url, user_file: None, password_file, pool: 1, tls }))
        }
        Part::Redis => {
            let url = address(REDIS_URL, part)?;
            // What is spoken to in clear has no certificate to be believed.
            let tls = connections.redis.as_ref().and_then(|it| it.tls.clone());
            let tls = tls.filter(|_| url.starts_with("rediss://"));
            let url = Spanned::new(url.into(), Span::default());
            let admin = RedisConnection { url, user_file: None, password_file, pool: 1, tls };
            let (named, wanted) =
                (redis_servers(&admin), connections.redis.as_ref().map_or(0, redis_servers));
            if named < wanted {
                bail!(
                    "{REDIS_URL} names {named} of the {wanted} servers of `connections.redis.url`, and users are not \
                     replicated; name each, as redis://admin@first:6379,second:6379"
                );
            }
            Ok(Admin::Redis(admin))
        }
        Part::Kafka => {
            let Some(own) = &connections.kafka else { bail!("the topology has no `connections.kafka`") };
            let said = variable(KAFKA_BOOTSTRAP);
            let bootstrap = said.clone().unwrap_or_else(|| own.bootstrap.value.clone());
            let bootstrap = Spanned::new(bootstrap, Span::default());
            let mechanism = own.sasl.as_ref().map(|sasl| sasl.mechanism.clone()).unwrap_or_default();
            match (variable(KAFKA_USER), password_file) {
                (Some(user), Some(password_file)) => {
                    let sasl = Some(Sasl { mechanism, user, user_file: None, password_file });
                    Ok(Admin::Kafka(KafkaConnection { bootstrap, tls: own.tls.clone(), sasl }))
                }
                (None, _) if said.is_some() => {
                    Ok(Admin::Kafka(KafkaConnection { bootstrap, tls: None, sasl: None }))
                }
                _ => bail!(
                    "who may alter users at the brokers is not known; set {KAFKA_USER} and {PASSWORD_FILE}, or \
                     {KAFKA_BOOTSTRAP} to a listener that asks for nobody's name"
                ),
            }
        }
    }
}

fn address(name: &str, part: Part) -> Result<String> {
    let Some(address) = variable(name) else {
        bail!(
            "who may change users of {} is not known; set {name} to its address, and {PASSWORD_FILE} to the file of the \
             password",
            part.name()
        );
    };
    Ok(address)
}
