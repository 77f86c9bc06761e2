//! `connections`, and what the environment says where the file is silent.

use super::{Context, Draft, Keys};
use crate::Span;
use crate::Spanned;
use crate::catalog::{CONNECTIONS, KAFKA, Place, REDIS, REGISTRY, SASL, TIMESCALE, TLS};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{
    Connections, KafkaConnection, Kind, RedisConnection, RegistryConnection, Sasl, TimescaleConnection, Tls,
};
use crate::syntax::Node;
use secrecy::SecretString;
use std::path::PathBuf;

const BOOTSTRAP: &str = "127.0.0.1:9092";
const TIMESCALE_POOL: u32 = 4;
const REDIS_POOL: u32 = 2;

/// What the file says; without a file's word, nothing.
pub(super) fn lower(cx: &Context<'_>, node: Option<&Node>) -> Connections {
    let Some(keys) =
        node.and_then(|node| Keys::open(cx, node, Place::Connection, "`connections`", &[CONNECTIONS]))
    else {
        return Connections::default();
    };
    let connections = Connections {
        kafka: keys.get("kafka").and_then(|node| kafka(cx, node)),
        timescale: keys.get("timescale").and_then(|node| timescale(cx, node)),
        redis: keys.get("redis").and_then(|node| redis(cx, node)),
        registry: keys.get("registry").and_then(|node| registry(cx, node)),
    };
    keys.close();
    connections
}

fn kafka(cx: &Context<'_>, node: &Node) -> Option<KafkaConnection> {
    let keys = Keys::open(cx, node, Place::Connection, "`kafka`", &[KAFKA])?;
    let connection = KafkaConnection {
        bootstrap: keys
            .get("bootstrap")
            .and_then(|node| bootstrap(cx, node))
            .unwrap_or_else(|| default_bootstrap(cx)),
        tls: keys.get("tls").and_then(|node| tls(cx, node)),
        sasl: keys.get("sasl").and_then(|node| sasl(cx, node)),
    };
    keys.close();
    Some(connection)
}

fn default_bootstrap(cx: &Context<'_>) -> Spanned<String> {
    let said = (cx.env)("KAFKA_BOOTSTRAP").filter(|value| !value.is_empty());
    Spanned::new(said.unwrap_or_else(|| BOOTSTRAP.to_owned()), Span::default())
}

fn bootstrap(cx: &Context<'_>, node: &Node) -> Option<Spanned<String>> {
    let text = cx.nonempty(node)?;
    let legal = |broker: &str| {
        broker.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
        })
    };
    if text.value.split(',').all(|broker| legal(broker.trim())) {
        return Some(text);
    }
    let finding = Diagnostic::error(
        Code::NotAnAddress,
        node.span,
        "`bootstrap` is `host:port`, or several with commas",
    );
    cx.report(finding.help("for example `127.0.0.1:9092`"));
    None
}

fn timescale(cx: &Context<'_>, node: &Node) -> Option<TimescaleConnection> {
    let keys = Keys::open(cx, node, Place::Connection, "`timescale`", &[TIMESCALE])?;
    let url = keys.get("url").map_or_else(
        || from_environment(cx, "TIMESCALE_URL", Some(node.span)),
        |node| address(cx, node, &["postgres://", "postgresql://"]),
    );
    let connection = TimescaleConnection {
        url: url.unwrap_or_else(nowhere),
        user_file: file(cx, keys.get("user_file")),
        password_file: file(cx, keys.get("password_file")),
        pool: keys.get("pool").and_then(|node| cx.count(node, 1..=256)).unwrap_or(TIMESCALE_POOL),
        tls: keys.get("tls").and_then(|node| tls(cx, node)),
    };
    keys.close();
    Some(connection)
}

fn redis(cx: &Context<'_>, node: &Node) -> Option<RedisConnection> {
    let keys = Keys::open(cx, node, Place::Connection, "`redis`", &[REDIS])?;
    let url = keys.get("url").map_or_else(
        || from_environment(cx, "REDIS_URL", Some(node.span)),
        |node| address(cx, node, &["redis://", "rediss://"]),
    );
    let connection = RedisConnection {
        url: url.unwrap_or_else(nowhere),
        user_file: file(cx, keys.get("user_file")),
        password_file: file(cx, keys.get("password_file")),
        pool: keys.get("pool").and_then(|node| cx.count(node, 1..=256)).unwrap_or(REDIS_POOL),
        tls: keys.get("tls").and_then(|node| tls(cx, node)),
    };
    keys.close();
    Some(connection)
}

fn registry(cx: &Context<'_>, node: &Node) -> Option<RegistryConnection> {
    let keys = Keys::open(cx, node, Place::Connection, "`registry`", &[REGISTRY])?;
    let url = keys.get("url").map_or_else(
        || from_environment(cx, "SCHEMA_REGISTRY_URL", Some(node.span)),
        |node| address(cx, node, &["http://", "https://"]),
    );
    let connection = RegistryConnection {
        url: url.unwrap_or_else(nowhere),
        user_file: file(cx, keys.get("user_file")),
        password_file: file(cx, keys.get("password_file")),
        tls: keys.get("tls").and_then(|node| tls(cx, node)),
    };
    keys.close();
    Some(connection)
}

fn nowhere() -> Spanned<SecretString> {
    Spanned::new(SecretString::from(String::new()), Span::default())
}

/// An address. Its text is never shown: it may hold a password.
fn address(cx: &Context<'_>, node: &Node, schemes: &[&str]) -> Option<Spanned<SecretString>> {
    let text = cx.nonempty(node)?;
    let host = schemes.iter().find_map(|scheme| text.value.strip_prefix(scheme));
    if host.is_none_or(str::is_empty) || text.value.contains(char::is_whitespace) {
        let finding = Diagnostic::error(
            Code::NotAnAddress,
            node.span,
            format!("the address does not begin with `{}` and a host", schemes[0]),
        );
        cx.report(finding.help(format!("for example `{}127.0.0.1/..`", schemes[0])));
        return None;
    }
    Some(Spanned::new(SecretString::from(text.value), text.span))
}

fn file(cx: &Context<'_>, node: Option<&Node>) -> Option<PathBuf> {
    node.and_then(|node| cx.path(node)).map(|path| path.value)
}

fn tls(cx: &Context<'_>, node: &Node) -> Option<Tls> {
    let keys = Keys::open(cx, node, Place::Connection, "`tls`", &[TLS])?;
    let tls = Tls {
        ca_file: file(cx, keys.get("ca_file")),
        cert_file: file(cx, keys.get("cert_file")),
        key_file: file(cx, keys.get("key_file")),
    };
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        let span = keys.key_span("cert_file").or(keys.key_span("key_file")).unwrap_or(node.span);
        let finding = Diagnostic::error(Code::TwoSecrets, span, "`cert_file` and `key_file` need each other");
        cx.report(finding.help("give both, or neither"));
    }
    keys.close();
    Some(tls)
}

fn sasl(cx: &Context<'_>, node: &Node) -> Option<Sasl> {
    let keys = Keys::open(cx, node, Place::Connection, "`sasl`", &[SASL])?;
    let mechanism = keys.get("mechanism").and_then(|node| cx.one_of(node, "a mechanism", Sasl::MECHANISMS));
    let user = keys.get("user").and_then(|node| cx.nonempty(node));
    let user_file = file(cx, keys.get("user_file"));
    let password_file = file(cx, keys.get("password_file"));
    keys.close();
    Some(Sasl {
        mechanism: Sasl::MECHANISMS[mechanism?].to_owned(),
        user: user?.value,
        user_file,
        password_file: password_file?,
    })
}

/// Takes from the environment what the actors need and the file leaves out.
pub(crate) fn complete(cx: &Context<'_>, connections: &mut Connections, actors: &[Draft]) {
    let kinds =
        || actors.iter().filter_map(|actor| actor.actor.as_ref()).map(|actor| (&actor.kind, actor.name.span));
    let first = |wanted: fn(&Kind) -> bool| kinds().find(|(kind, _)| wanted(kind)).map(|(_, span)| span);
    if connections.kafka.is_none()
        && first(|kind| matches!(kind, Kind::KafkaSource(_) | Kind::KafkaSink(_))).is_some()
    {
        connections.kafka = Some(KafkaConnection { bootstrap: default_bootstrap(cx), tls: None, sasl: None });
    }
    let writer = first(|kind| matches!(kind, Kind::TimescaleWriter(_)));
    if let (None, Some(span)) = (&connections.timescale, writer) {
        connections.timescale = from_environment(cx, "TIMESCALE_URL", Some(span)).map(|url| {
            TimescaleConnection { url, user_file: None, password_file: None, pool: TIMESCALE_POOL, tls: None }
        });
    }
    let cache = first(|kind| matches!(kind, Kind::RedisCache(_)));
    if let (None, Some(span)) = (&connections.redis, cache) {
        connections.redis = from_environment(cx, "REDIS_URL", Some(span)).map(|url| RedisConnection {
            url,
            user_file: None,
            password_file: None,
            pool: REDIS_POOL,
            tls: None,
        });
    }
    let by_schema =
        first(|kind| matches!(kind, Kind::Normalizer(normalizer) if normalizer.coding.needs_registry()));
    if let (None, Some(span)) = (&connections.registry, by_schema) {
        connections.registry = from_environment(cx, "SCHEMA_REGISTRY_URL", Some(span))
            .map(|url| RegistryConnection { url, user_file: None, password_file: None, tls: None });
    }
}

/// The variable of the contract; its absence is a finding at `needed`.
fn from_environment(cx: &Context<'_>, variable: &str, needed: Option<Span>) -> Option<Spanned<SecretString>> {
    let (part, scheme, key) = match variable {
        "TIMESCALE_URL" => ("TimescaleDB", ["postgres://", "postgresql://"], "connections.timescale.url"),
        "REDIS_URL" => ("Redis", ["redis://", "rediss://"], "connections.redis.url"),
        _ => ("the schema registry", ["http://", "https://"], "connections.registry.url"),
    };
    let span = needed.unwrap_or_default();
    match (cx.env)(variable).filter(|value| !value.is_empty()) {
        Some(value) if scheme.iter().any(|scheme| value.starts_with(scheme)) => {
            Some(Spanned::new(SecretString::from(value), Span::default()))
        }
        Some(_) => {
            let message = format!("the variable `{variable}` does not begin with `{}`", scheme[0]);
            cx.report(Diagnostic::error(Code::NotAnAddress, span, message));
            None
        }
        None => {
            let finding =
                Diagnostic::error(Code::NoConnection, span, format!("nothing says where {part} is"))
                    .label("needed here")
                    .help(format!("set `{variable}` in the environment, or write `{key}`"));
            cx.report(finding);
            None
        }
    }
}
