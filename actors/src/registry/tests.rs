//! Recorded exchanges, and what each is to us.

use super::*;
use aqueduct_topology::model::Tls;
use aqueduct_topology::{Span, Spanned};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use server::{AVRO, FAILING, MOVED, PROTOBUF, RegistryServer, UNAUTHORIZED};

#[path = "../../../tests/harness/registry/mod.rs"]
mod server;

fn registry(url: &str) -> Registry {
    with_password(url, None)
}

fn with_password(url: &str, password_file: Option<std::path::PathBuf>) -> Registry {
    let url = Spanned::new(SecretString::from(url.to_owned()), Span::default());
    let connection = RegistryConnection { url, user_file: None, password_file, tls: None };
    Registry::new(&connection, "t", Clock::system()).expect("an address")
}

async fn schema(registry: &Registry, id: u32) -> Arc<SchemaText> {
    match registry.ask(id).await.expect("an answer") {
        Known::Schema(schema) => schema,
        Known::Unknown(words) => panic!("{words}"),
    }
}

#[tokio::test]
async fn a_schema_is_asked_for_once_and_outlives_the_registry() {
    let server = RegistryServer::start(&[AVRO]);
    let registry = registry(&server.url());
    assert!(registry.known(1).is_none());
    let first = schema(&registry, 1).await;
    assert_eq!((&first.kind, first.references.len()), (&SchemaKind::Avro, 0));
    assert!(first.text.contains("\"Trade\""));
    let again = schema(&registry.clone(), 1).await;
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(server.asked().len(), 1);
    drop(server);
    assert!(matches!(registry.known(1), Some(Known::Schema(_))));
    schema(&registry, 1).await;
    let away = registry.ask(2).await.expect_err("it is gone");
    assert_eq!(away.class, Class::Transient, "{away}");
}

#[tokio::test]
async fn references_come_before_what_needs_them() {
    let server = RegistryServer::start(&[AVRO, PROTOBUF]);
    let registry = registry(&server.url());
    let order = schema(&registry, 2).await;
    let names: Vec<&str> = order.references.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["market.Venue", "market.Leg"]);
    let texts: Vec<&str> = order.references.iter().map(|(_, text)| text.as_str()).collect();
    crate::wire::avro::Schema::parse(&order.text, &texts).expect("everything it names is there");
    let trade = schema(&registry, 3).await;
    assert_eq!(trade.kind, SchemaKind::Protobuf);
    crate::wire::protobuf::Schema::parse(&trade.text, &trade.references)
        .expect("everything it imports is there");
}

#[tokio::test]
async fn what_is_not_there_is_an_answer_and_not_asked_for_again_at_once() {
    let server = RegistryServer::start(&[AVRO]);
    let registry = registry(&server.url());
    for _ in 0..2 {
        let Known::Unknown(words) = registry.ask(9).await.expect("an answer") else { panic!("it is there") };
        assert!(words.contains("Schema not found"), "{words}");
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let page = r#"[{ "request": "*", "status": 404, "body": "<html>no such page</html>" }]"#;
    let other = r#"[{ "request": "*", "status": 200, "body": "<html>welcome</html>" }]"#;
    for (exchanges, class, words) in [
        (UNAUTHORIZED, Class::Config, "check user and password in `connections.registry`"),
        (FAILING, Class::Transient, "Error in the backend data store"),
        (page, Class::Config, "correct the path"),
        (other, Class::Config, "is no schema registry"),
    ] {
        let server = RegistryServer::start(&[exchanges]);
        let error = registry(&server.url()).ask(1).await.expect_err("refused");
        assert_eq!(error.class, class, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    let nobody = registry("http://127.0.0.1:1").ask(1).await.expect_err("nobody listens");
    assert_eq!(nobody.class, Class::Transient, "{nobody}");
}

#[tokio::test]
async fn a_redirect_is_followed_and_takes_no_password_along() {
    let there = RegistryServer::start(&[AVRO]);
    let here = RegistryServer::start(&[&MOVED.replace("OTHER", &there.address())]);
    let registry = registry(&here.url().replace("http://", "http://ann:s%40cret@"));
    schema(&registry, 1).await;
    let authorization = |server: &RegistryServer| server.asked()[0].authorization.clone();
    let basic = crate::base64::encode(b"ann:s@cret");
    assert_eq!(authorization(&here), Some(format!("Basic {basic}")));
    assert_eq!(authorization(&there), None, "another host is asked as a stranger");
    assert!(!format!("{registry:?}").contains("cret"));
    // One that leads to itself is left alone after a while.
    let round = RegistryServer::start(&[]);
    let (address, url) = (round.address(), round.url());
    drop(round);
    let round = RegistryServer::start_at(&address, &[&MOVED.replace("OTHER", &address)]);
    let error = self::registry(&url).ask(1).await.expect_err("it leads nowhere");
    assert!(error.message.contains("redirects") && round.asked().len() < 10, "{error}");
}

#[tokio::test]
async fn a_password_file_is_read_anew_where_the_registry_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "one\n").unwrap();
    let server = RegistryServer::start(&[AVRO]);
    let registry = with_password(&server.url().replace("http://", "http://ann@"), Some(file));
    schema(&registry, 1).await;
    let basic = crate::base64::encode(b"ann:one");
    assert_eq!(server.asked()[0].authorization, Some(format!("Basic {basic}")));
}

#[tokio::test]
async fn of_several_hosts_the_first_that_answers_is_enough() {
    let (failing, server) = (RegistryServer::start(&[FAILING]), RegistryServer::start(&[AVRO]));
    let url = format!("http://127.0.0.1:1,{},{}/", failing.address(), server.address());
    let registry = registry(&url);
    schema(&registry, 1).await;
    assert_eq!((failing.asked().len(), server.asked().len()), (1, 1));
    registry.greet().await.expect("it answers");
}

#[tokio::test]
async fn a_path_before_the_api_is_kept() {
    let behind = AVRO.replace("GET /schemas", "GET /registry/schemas");
    let server = RegistryServer::start(&[&behind]);
    schema(&registry(&format!("{}/registry/", server.url())), 1).await;
    for wrong in ["registry:8081", "ftp://registry", "http://", "http://h:x"] {
        let url = Spanned::new(SecretString::from(wrong.to_owned()), Span::default());
        let connection = RegistryConnection { url, user_file: None, password_file: None, tls: None };
        assert_eq!(
            Registry::new(&connection, "t", Clock::system()).expect_err("no address").class,
            Class::Config
        );
    }
}

/// An authority, and a server that it vouches for under the name `localhost`.
fn certificates(folder: &std::path::Path) -> ServerConfig {
    let openssl = |arguments: &str| {
        let mut command = std::process::Command::new("openssl");
        let output =
            command.args(arguments.split(' ')).current_dir(folder).output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -subj /CN=authority -keyout authority.key -out authority.pem"));
    openssl(&format!(
        "req -new {key} -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.csr"
    ));
    openssl(
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -copy_extensions copy \
         -out server.pem",
    );
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together")
}

#[tokio::test]
async fn an_encrypted_registry_has_to_prove_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = RegistryServer::start_encrypted(certificates(folder.path()), &[AVRO]);
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    let registry = |host: &str, ca_file: Option<std::path::PathBuf>| {
        let url = Spanned::new(SecretString::from(format!("https://{host}:{port}")), Span::default());
        let tls = ca_file.map(|ca_file| Tls { ca_file: Some(ca_file), ..Tls::default() });
        let connection = RegistryConnection { url, user_file: None, password_file: None, tls };
        Registry::new(&connection, "t", Clock::system()).expect("an address")
    };
    let authority = folder.path().join("authority.pem");
    schema(&registry("localhost", Some(authority.clone())), 1).await;
    for (host, ca_file) in [("localhost", None), ("127.0.0.1", Some(authority))] {
        let error = registry(host, ca_file).ask(1).await.expect_err("nobody vouches for it");
        assert_eq!(error.class, Class::Config, "{error}");
        assert!(error.message.contains("tls"), "{error}");
    }
}
