//! What an error of Kafka means for what happens next.

use aqueduct_engine::{Class, Error};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What an error was about, for its message.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The cluster.
    pub bootstrap: &'a str,
    /// The topic.
    pub topic: &'a str,
}

/// The class of a code.
pub fn class(code: Code) -> Class {
    match code {
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidTopic
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SSL
        | Code::InvalidConfig
        | Code::InvalidGroupId
        | Code::InconsistentGroupProtocol
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::PolicyViolation => Class::Config,
        Code::FencedInstanceId | Code::Fenced | Code::ProducerFenced => Class::Fenced,
        Code::MessageSizeTooLarge | Code::InvalidRecord | Code::InvalidTimestamp => Class::Data,
        Code::KafkaStorageError | Code::QueueFull | Code::ThrottlingQuotaExceeded => Class::Capacity,
        Code::InvalidArgument | Code::Conflict | Code::State => Class::Bug,
        _ => Class::Transient,
    }
}

/// `error` with its class, in words that say what to do.
pub fn classify(error: &KafkaError, about: About<'_>) -> Error {
    match error.rdkafka_error_code() {
        Some(code) => describe(code, about),
        None => match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => Error::new(
                Class::Config,
                format!("kafka at {}: {error}; correct connections.kafka", about.bootstrap),
            ),
            _ => Error::new(Class::Transient, format!("kafka at {}: {error}", about.bootstrap)),
        },
    }
}

/// `code` with its class, in words that say what to do.
pub fn describe(code: Code, About { bootstrap, topic }: About<'_>) -> Error {
    let message = match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => format!(
            "topic `{topic}` does not exist at {bootstrap}; create it: \
             kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {topic} --partitions 4"
        ),
        Code::TopicAuthorizationFailed => {
            format!("not allowed to use topic `{topic}` at {bootstrap}; grant this user an ACL on it")
        }
        Code::GroupAuthorizationFailed => {
            format!(
                "not allowed to join the consumer group at {bootstrap}; grant this user READ on the group"
            )
        }
        Code::ClusterAuthorizationFailed => format!(
            "not allowed to write at {bootstrap}; grant this user WRITE on topic `{topic}` (and, before Kafka 3, \
             IDEMPOTENT_WRITE on the cluster)"
        ),
        Code::SaslAuthenticationFailed | Code::Authentication => {
            format!("{bootstrap} refused user or password; correct connections.kafka.sasl")
        }
        Code::SSL => format!("no TLS with {bootstrap}; correct connections.kafka.tls"),
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut => {
            format!("no broker of {bootstrap} answers ({code})")
        }
        Code::FencedInstanceId => {
            "fenced_by_name: another member of the group took our name; give each node its own AQUEDUCT_NODE"
                .into()
        }
        Code::UnreleasedInstanceId => {
            format!(
                "the group at {bootstrap} still knows our name from before; it frees it when the session ends"
            )
        }
        _ => format!("kafka at {bootstrap}, topic `{topic}`: {code}"),
    };
    Error::new(class(code), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About { bootstrap: "b:9092", topic: "t" };

    #[test]
    fn a_missing_topic_names_the_command_that_creates_it() {
        let error = classify(&KafkaError::MessageConsumption(Code::UnknownTopicOrPartition), ABOUT);
        assert_eq!(error.class, Class::Config);
        assert!(
            error.message.contains("kafka-topics.sh --bootstrap-server b:9092 --create --topic t"),
            "{error}"
        );
    }

    #[test]
    fn outages_are_waited_through_and_refusals_are_somebodys_to_change() {
        for code in
            [Code::AllBrokersDown, Code::BrokerTransportFailure, Code::NotLeaderForPartition, Code::Resolve]
        {
            assert_eq!(describe(code, ABOUT).class, Class::Transient, "{code:?}");
        }
        for code in [Code::TopicAuthorizationFailed, Code::SaslAuthenticationFailed, Code::SSL] {
            assert_eq!(describe(code, ABOUT).class, Class::Config, "{code:?}");
        }
        assert_eq!(describe(Code::FencedInstanceId, ABOUT).class, Class::Fenced);
        assert_eq!(describe(Code::UnreleasedInstanceId, ABOUT).class, Class::Transient);
    }
}
