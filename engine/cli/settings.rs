//! A node's settings: flag over environment over file over default.

use crate::environment::{host_name, variable};
use crate::exit::RefusedConfiguration;
use crate::output;
use anyhow::{Context, Result};
use aqueduct_engine::admin::AdminSettings;
use aqueduct_engine::telemetry::log::{LogFormat, LogSettings};
use aqueduct_topology::{NodeSettings, Source, load_settings, settings, to_text};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where a settings file is looked for when nobody names one.
const PLACES: [&str; 2] = ["engine.yaml", "/etc/aqueduct/engine.yaml"];

/// Where a node's settings are.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Config {
    /// The node's settings [env: AQUEDUCT_CONFIG] [default: ./engine.yaml, then /etc/aqueduct/engine.yaml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Flags that every command which runs a node takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    config: Config,
    /// The node's stable name [env: AQUEDUCT_NODE] [default: this machine's].
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Where the admin endpoint listens; port 0 is any free one [env: AQUEDUCT_ADMIN_LISTEN].
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
}

/// What a node goes by.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) node: String,
    pub(crate) admin: AdminSettings,
    pub(crate) arbiters: usize,
    pub(crate) log: LogSettings,
    /// What a topology may hold in memory.
    pub(crate) memory_budget_bytes: Option<u64>,
}

impl Flags {
    /// Whether somebody said where the admin endpoint is to listen.
    pub(crate) fn names_admin(&self) -> bool {
        self.admin_listen.is_some() || variable("AQUEDUCT_ADMIN_LISTEN").is_some()
    }

    /// Reads file and environment, and lays the flags over them.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let file = self.config.read()?;
        let listen = match (self.admin_listen, variable("AQUEDUCT_ADMIN_LISTEN")) {
            (Some(listen), _) => listen,
            (None, Some(text)) => text
                .parse()
                .with_context(|| {
                    format!("AQUEDUCT_ADMIN_LISTEN=`{text}` is no address; write 127.0.0.1:9464")
                })
                .context(RefusedConfiguration)?,
            (None, None) => file.admin.listen,
        };
        let token = match (variable("AQUEDUCT_ADMIN_TOKEN"), &file.admin.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(read_token(path)?),
            (None, None) => None,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            node: self
                .node
                .clone()
                .or_else(|| variable("AQUEDUCT_NODE"))
                .or_else(|| file.node.clone())
                .unwrap_or_else(host_name),
            admin: AdminSettings { listen, token: token.map(Into::into) },
            arbiters: file.arbiters.unwrap_or(cores),
            memory_budget_bytes: file.memory_budget_bytes,
            log: LogSettings {
                format: match file.log.format {
                    settings::LogFormat::Text => LogFormat::Text,
                    settings::LogFormat::Json => LogFormat::Json,
                },
                filter: variable("AQUEDUCT_LOG")
                    .or_else(|| file.log.filter.clone())
                    .unwrap_or_else(|| "info".to_owned()),
                ansi: output::colours(),
            },
        })
    }
}

impl Config {
    /// The settings of the file; the defaults where there is none.
    pub(crate) fn read(&self) -> Result<NodeSettings> {
        let named = self.config.clone().or_else(|| variable("AQUEDUCT_CONFIG").map(PathBuf::from));
        let found = named.or_else(|| PLACES.iter().map(PathBuf::from).find(|place| place.is_file()));
        let Some(path) = found else { return Ok(NodeSettings::default()) };
        let bytes = std::fs::read(&path)
            .with_context(|| format!("cannot read the settings `{}`", path.display()))
            .context(RefusedConfiguration)?;
        let (source, not_text) = Source::from_bytes(path.display().to_string(), bytes);
        let (settings, mut diagnostics) = load_settings(&source, &variable);
        diagnostics.extend(not_text);
        if !diagnostics.is_empty() {
            eprint!("{}", to_text(&source, &diagnostics, output::colours()));
        }
        settings.ok_or_else(|| RefusedConfiguration.into())
    }
}

fn read_token(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the admin token `{}`", path.display()))
        .context(RefusedConfiguration)?;
    Ok(text.trim().to_owned())
}
