//! A node's own settings, `engine.yaml`: what belongs to a machine and not to a topology.
//!
//! Read with the same tree, keys and codes as a topology. Deliberately absent: flags and `AQUEDUCT_*` variables, which
//! the program lays over the file.

use crate::catalog::{Key, Place, Shape};
use crate::diagnostic::{Code, Diagnostic, has_errors, sorted};
use crate::lower::{Context, Keys, report_tags};
use crate::syntax::{self, Node};
use crate::{Env, Source, interpolate};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The settings, defaults filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    /// The node's name; the host's unless said.
    pub node: Option<String>,
    /// The HTTP side.
    pub admin: AdminSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Threads that run actors; one per core unless said.
    pub arbiters: Option<usize>,
    /// What a topology may hold in memory at worst.
    pub memory_budget_bytes: Option<u64>,
}

/// The HTTP side of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// Where the bearer token is; without one, commands are off.
    pub token_file: Option<PathBuf>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464), token_file: None }
    }
}

/// Logging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A filter such as `info,aqueduct_engine=debug`.
    pub filter: Option<String>,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// The keys of `engine.yaml`.
pub const SETTINGS: &[Key] = &[
    Key::default("node", Shape::Name, "the host's name", "The node's name, in metrics and offsets."),
    Key::optional("admin", Shape::Part(ADMIN), "The HTTP side."),
    Key::optional("log", Shape::Part(LOG), "What is logged, and how."),
    Key::default("arbiters", Shape::Integer(1, 1024), "one per core", "Threads that run actors."),
    Key::optional(
        "memory_budget",
        Shape::Size,
        "What a topology may hold in memory at worst, as `aqueduct explain FILE` adds it up; more is refused.",
    ),
];

/// `admin`.
pub const ADMIN: &[Key] = &[
    Key::default("listen", Shape::Text, "127.0.0.1:9464", "Where it listens; port 0 is any free one."),
    Key::optional("token_file", Shape::File, "Where the bearer token is; without one, commands are off."),
];

/// `log`.
pub const LOG: &[Key] = &[
    Key::default("format", Shape::Word(&["text", "json"]), "text", "The form of a line."),
    Key::default("filter", Shape::Text, "info", "Which lines, such as `info,aqueduct_engine=debug`."),
];

/// Reads a node's settings; an empty file means the defaults. There are none if anything is wrong.
pub fn load_settings(source: &Source, env: &Env<'_>) -> (Option<NodeSettings>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let root = syntax::parse(source, &mut diagnostics);
    let Some(mut root) = root else {
        let settings = diagnostics.is_empty().then(NodeSettings::default);
        return (settings, sorted(diagnostics));
    };
    interpolate::interpolate(&mut root, env, &mut diagnostics);
    let cx = Context::new(source, env);
    let settings = if root.is_null() { Some(NodeSettings::default()) } else { lower(&cx, &root) };
    report_tags(&cx, &root);
    diagnostics.extend(cx.into_found());
    let diagnostics = sorted(diagnostics);
    (settings.filter(|_| !has_errors(&diagnostics)), diagnostics)
}

fn lower(cx: &Context<'_>, root: &Node) -> Option<NodeSettings> {
    let keys = Keys::open(cx, root, Place::Settings, "a node's settings", &[SETTINGS])?;
    let arbiters = keys.get("arbiters").and_then(|node| cx.count(node, 1..=1_024));
    let settings = NodeSettings {
        node: keys.get("node").and_then(|node| cx.name(node)).map(|name| name.value),
        admin: keys.get("admin").and_then(|node| admin(cx, node)).unwrap_or_default(),
        log: keys.get("log").and_then(|node| log(cx, node)).unwrap_or_default(),
        arbiters: arbiters.map(|count| count as usize),
        memory_budget_bytes: keys.get("memory_budget").and_then(|node| cx.size(node)),
    };
    keys.close();
    Some(settings)
}

fn admin(cx: &Context<'_>, node: &Node) -> Option<AdminSettings> {
    let keys = Keys::open(cx, node, Place::Settings, "`admin`", &[ADMIN])?;
    let settings = AdminSettings {
        listen: keys
            .get("listen")
            .and_then(|node| listen(cx, node))
            .unwrap_or(AdminSettings::default().listen),
        token_file: keys.get("token_file").and_then(|node| cx.path(node)).map(|path| path.value),
    };
    keys.close();
    Some(settings)
}

fn listen(cx: &Context<'_>, node: &Node) -> Option<SocketAddr> {
    let text = cx.nonempty(node)?;
    let address = text.value.replace("localhost:", "127.0.0.1:").parse().ok();
    if address.is_none() {
        let finding =
            Diagnostic::error(Code::NotAnAddress, node.span, "`listen` is an IP address and a port");
        cx.report(finding.help("for example `127.0.0.1:9464`, or `[::1]:0` for any free port"));
    }
    address
}

fn log(cx: &Context<'_>, node: &Node) -> Option<LogSettings> {
    let keys = Keys::open(cx, node, Place::Settings, "`log`", &[LOG])?;
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let settings = LogSettings {
        format: keys
            .get("format")
            .and_then(|node| cx.word(node, "a log format", &formats))
            .unwrap_or_default(),
        filter: keys.get("filter").and_then(|node| cx.nonempty(node)).map(|text| text.value),
    };
    keys.close();
    Some(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_text;

    fn read(text: &str) -> (Option<NodeSettings>, Vec<Diagnostic>) {
        load_settings(&Source::new("engine.yaml", text), &|_| None)
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        for text in ["", "# nothing\n", "---\n"] {
            let (settings, diagnostics) = read(text);
            assert!(diagnostics.is_empty());
            assert_eq!(settings.expect("settings").admin.listen.to_string(), "127.0.0.1:9464");
        }
    }

    #[test]
    fn every_setting_is_read() {
        let text = "node: a1\nadmin: { listen: \"[::1]:0\", token_file: /run/t }\nlog: { format: json, filter: debug }\narbiters: 3\nmemory_budget: 256MiB\n";
        let (settings, diagnostics) = read(text);
        assert!(
            diagnostics.is_empty(),
            "{}",
            to_text(&Source::new("engine.yaml", text), &diagnostics, false)
        );
        let settings = settings.expect("settings");
        assert_eq!(settings.node.as_deref(), Some("a1"));
        assert_eq!(settings.admin.listen.to_string(), "[::1]:0");
        assert_eq!(settings.log, LogSettings { format: LogFormat::Json, filter: Some("debug".to_owned()) });
        assert_eq!((settings.arbiters, settings.memory_budget_bytes), (Some(3), Some(256 << 20)));
    }

    #[test]
    fn every_mistake_is_named_in_one_run() {
        let (settings, diagnostics) =
            read("nodes: x\nlog: { level: debug, format: xml }\nadmin: { listen: here }\narbiters: 0\n");
        assert_eq!(settings, None);
        let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code.id()).collect();
        assert_eq!(codes, ["T010", "T017", "T013", "T081", "T016"]);
    }
}
