//! A node's settings: flag over environment over file over default.
//!
//! Each setting is read by the language's own reader wherever it was said; here is only where to look. The admin token
//! is a secret and stands apart: in a variable, or in the file that `admin.token_file` names.

mod flags;
mod here;

pub(crate) use flags::{Config, Flags};
pub(crate) use here::Here;

use crate::exit::RefusedConfiguration;
use crate::output;
use anyhow::Result;
use aqueduct_engine::admin::AdminSettings;
use aqueduct_engine::tap::Redaction;
use aqueduct_engine::telemetry::log::{LogFormat, LogSettings};
use aqueduct_engine::trace::TraceSettings;
use aqueduct_topology::settings::Endpoint;
use std::time::Duration;

/// What a node goes by.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) node: String,
    pub(crate) admin: AdminSettings,
    pub(crate) arbiters: usize,
    pub(crate) log: LogSettings,
    /// What a topology may hold in memory.
    pub(crate) memory_budget_bytes: Option<u64>,
    pub(crate) drain_deadline: Duration,
    pub(crate) stalled_after: Duration,
    pub(crate) stuck_after: Duration,
    /// Where spans go.
    pub(crate) traces: Option<TraceSettings>,
}

impl Flags {
    /// Reads file and environment, and lays the flags over them.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let here = Here::read(&self.config, self.layer())?;
        let holds = &here.holds;
        Ok(Settings {
            node: holds.node(),
            admin: AdminSettings {
                listen: holds.admin_listen(),
                token: here.token()?,
                settings: here.shown(),
                redaction: Redaction::default().and(&holds.admin_redact()),
            },
            arbiters: holds.arbiters(),
            log: LogSettings {
                format: if holds.log_is_json() { LogFormat::Json } else { LogFormat::Text },
                filter: holds.log_filter(),
                ansi: output::colours(),
            },
            memory_budget_bytes: holds.memory_budget_bytes(),
            drain_deadline: holds.drain_deadline(),
            stalled_after: holds.stalled_after(),
            stuck_after: holds.stuck_after(),
            traces: holds.traces_endpoint().map(|Endpoint { host, port, path }| TraceSettings {
                host,
                port,
                path,
                ratio: holds.traces_ratio(),
            }),
        })
    }
}

impl Config {
    /// How many threads may run actors on this node.
    pub(crate) fn arbiters(&self) -> Result<usize> {
        Ok(Here::read(self, Default::default())?.holds.arbiters())
    }

    /// What a topology may hold in memory on this node.
    pub(crate) fn memory_budget_bytes(&self) -> Result<Option<u64>> {
        Ok(Here::read(self, Default::default())?.holds.memory_budget_bytes())
    }
}

/// A setting that cannot be read, as the end of the program.
fn refused(message: String) -> anyhow::Error {
    anyhow::Error::msg(message).context(RefusedConfiguration)
}
