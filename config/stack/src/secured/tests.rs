//! The encrypted addresses on real servers, asked by clients of this crate's own libraries.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

use super::{Certificates, Identity, USER};
use crate::progress::on_stderr;
use crate::time::Deadline;
use crate::{Lifetime, Options, Part, Stack, StackDir};

const PATIENCE: Duration = Duration::from_secs(20);

fn stack(parts: &[Part]) -> Stack {
    let dir = StackDir::from_env().expect("a folder for the stack");
    let options = Options::new(dir, "secured", Lifetime::Private).parts(parts).secured();
    Stack::up(&options, &*on_stderr()).expect("the stack comes up")
}

/// The metadata of a topic, by SCRAM with this password.
fn ask(stack: &Stack, topic: &str, password: &str) -> KafkaResult<bool> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", stack.encrypted(Part::Kafka))
        .set("security.protocol", "SASL_SSL")
        .set("ssl.ca.location", stack.certificates().authority().display().to_string())
        .set("sasl.mechanisms", "SCRAM-SHA-512")
        .set("sasl.username", USER)
        .set("sasl.password", password)
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    let client: BaseConsumer = config.create()?;
    let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(3))?;
    Ok(metadata.topics()[0].error().is_none())
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let held = Deadline::after(PATIENCE).poll(Duration::from_millis(50), || holds().then_some(()));
    assert!(held.is_some(), "not within {PATIENCE:?}: {what}");
}

#[test]
fn a_user_of_kafka_is_let_in_by_password_and_shown_what_it_may_see() {
    let stack = stack(&[Part::Kafka]);
    let topic = stack.fresh_topic(1).unwrap();
    let password = stack.password(Part::Kafka).unwrap();
    eventually("the user sees the topic", || ask(&stack, &topic, &password) == Ok(true));
    ask(&stack, &topic, "wrong").unwrap_err();

    stack.set_kafka_password(USER, None).unwrap();
    eventually("the password is gone", || ask(&stack, &topic, &password).is_err());
    stack.set_kafka_password(USER, Some("another")).unwrap();
    eventually("another is good", || ask(&stack, &topic, "another") == Ok(true));

    stack.allow_at_kafka(USER, false).unwrap();
    eventually("the topic is hidden", || ask(&stack, &topic, "another") == Ok(false));
    stack.allow_at_kafka(USER, true).unwrap();
    eventually("the topic is shown", || ask(&stack, &topic, "another") == Ok(true));
}

#[test]
fn each_certificate_is_what_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    Certificates::make(folder.path()).unwrap();
    let certificates = Certificates::of(folder.path());
    let text = |identity| {
        certificates.install(identity, folder.path()).unwrap();
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["x509", "-noout", "-ext", "subjectAltName", "-checkend", "60", "-in"]);
        let output = openssl.arg(folder.path().join(super::CERTIFICATE)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let good = text(Identity::Good);
    assert!(good.contains("IP Address:127.0.0.1") && good.contains("will not expire"), "{good}");
    assert!(text(Identity::Expired).contains("Certificate will expire"));
    assert!(text(Identity::WrongName).contains("DNS:elsewhere.example"));
}
