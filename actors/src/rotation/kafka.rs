//! SCRAM users of Kafka. The client makes of a password what the brokers keep; they are never told the password.

use super::Change;
use crate::kafka::class::{About, classify};
use crate::kafka::cluster::Cluster;
use crate::kafka::config;
use crate::kafka::scram::{self, Mechanism};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::KafkaConnection;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use secrecy::{ExposeSecret, SecretString};

/// Gives the next user this password; without one, takes the former user's away.
pub(super) async fn alter(
    connection: &KafkaConnection,
    change: &Change,
    password: Option<&SecretString>,
) -> Result<(), Error> {
    let mechanism = match change.mechanism.as_str() {
        "SCRAM-SHA-256" => Mechanism::Sha256,
        "SCRAM-SHA-512" => Mechanism::Sha512,
        other => {
            let message = format!(
                "users of the mechanism {other} stand in the brokers' own settings, which nobody can change from outside; \
                 use SCRAM-SHA-512"
            );
            return Err(Error::new(Class::Config, message));
        }
    };
    let cluster = Cluster::from(connection.clone());
    let config: ClientConfig =
        config::inquirer(&cluster, &cluster.login()?, "aqueduct-rotate", "aqueduct-rotate")?;
    let (user, bootstrap) = if password.is_some() { (&change.to, cluster) } else { (&change.from, cluster) };
    let (user, password) = (user.clone(), password.cloned());
    let altered = tokio::task::spawn_blocking(move || {
        let about = About { bootstrap: &bootstrap.bootstrap.value, topic: "" };
        let client: BaseConsumer = config.create().map_err(|error| classify(&error, about))?;
        let password = password.as_ref().map(|password| password.expose_secret().as_bytes());
        scram::alter(client.client(), &user, mechanism, password)
    });
    altered
        .await
        .unwrap_or_else(|error| Err(Error::bug(format!("a change at the brokers ended badly: {error}"))))
}
