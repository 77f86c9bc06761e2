//! The flags of every command that runs a node: one a setting.

use crate::environment::variable;
use aqueduct_topology::settings::{Layer, Value, setting_named, setting_of};
use std::path::PathBuf;

/// Where a node's settings are.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Config {
    /// The node's settings [env: AQUEDUCT_CONFIG] [default: ./engine.yaml, then /etc/aqueduct/engine.yaml].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Flags that every command which runs a node takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(super) config: Config,
    /// The node's stable name [env: AQUEDUCT_NODE] [default: this machine's].
    #[arg(long, value_name = "NAME", value_parser = reader("node"), help_heading = HEADING)]
    node: Option<Value>,
    /// Where the admin endpoint listens; port 0 is any free one [env: AQUEDUCT_ADMIN_LISTEN] [default: 127.0.0.1:9464].
    #[arg(long, value_name = "ADDRESS", value_parser = reader("admin.listen"), help_heading = HEADING)]
    admin_listen: Option<Value>,
    /// The file with the bearer token of commands [env: AQUEDUCT_ADMIN_TOKEN_FILE, or the token in AQUEDUCT_ADMIN_TOKEN].
    #[arg(long, value_name = "FILE", value_parser = reader("admin.token_file"), help_heading = HEADING)]
    admin_token_file: Option<Value>,
    /// Fields whose values `aqueduct tap` never shows, apart by commas [env: AQUEDUCT_ADMIN_REDACT] [default: names of secrets alone].
    #[arg(long, value_name = "FIELDS", value_parser = reader("admin.redact"), help_heading = HEADING)]
    admin_redact: Option<Value>,
    /// Which lines are logged, such as `info,aqueduct_engine=debug` [env: AQUEDUCT_LOG] [default: info].
    #[arg(long, value_name = "FILTER", value_parser = reader("log.filter"), help_heading = HEADING)]
    log: Option<Value>,
    /// The form of a log line, `text` or `json` [env: AQUEDUCT_LOG_FORMAT] [default: text].
    #[arg(long, value_name = "FORMAT", value_parser = reader("log.format"), help_heading = HEADING)]
    log_format: Option<Value>,
    /// Threads that run actors [env: AQUEDUCT_ARBITERS] [default: one per core].
    #[arg(long, value_name = "COUNT", value_parser = reader("arbiters"), help_heading = HEADING)]
    arbiters: Option<Value>,
    /// What a topology may hold in memory at worst [env: AQUEDUCT_MEMORY_BUDGET] [default: no bound].
    #[arg(long, value_name = "SIZE", value_parser = reader("memory_budget"), help_heading = HEADING)]
    memory_budget: Option<Value>,
    /// How long a drain may take [env: AQUEDUCT_DRAIN_DEADLINE] [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = reader("drain_deadline"), help_heading = HEADING)]
    drain_deadline: Option<Value>,
    /// How long an actor may have input and settle nothing [env: AQUEDUCT_STALLED_AFTER] [default: 60s].
    #[arg(long, value_name = "DURATION", value_parser = reader("watchdog.stalled_after"), help_heading = HEADING)]
    stalled_after: Option<Value>,
    /// How long a thread may give no answer [env: AQUEDUCT_STUCK_AFTER] [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = reader("watchdog.stuck_after"), help_heading = HEADING)]
    stuck_after: Option<Value>,
    /// The collector that takes spans, by OTLP over HTTP [env: AQUEDUCT_TRACES_ENDPOINT] [default: nobody traces].
    #[arg(long, value_name = "URL", value_parser = reader("traces.endpoint"), help_heading = HEADING)]
    traces_endpoint: Option<Value>,
    /// Of batches without a `traceparent`, so many are traced [env: AQUEDUCT_TRACES_RATIO] [default: 0.01].
    #[arg(long, value_name = "SHARE", value_parser = reader("traces.ratio"), help_heading = HEADING)]
    traces_ratio: Option<Value>,
}

const HEADING: &str = "Node settings, over environment and file";

/// Reads the value of a setting as the file does.
fn reader(key: &'static str) -> impl Fn(&str) -> Result<Value, String> + Clone + Send + Sync + 'static {
    let setting = setting_named(key).expect("invariant: every flag is a setting");
    move |text| setting_of(setting, text)
}

impl Flags {
    /// Whether a flag or a variable says a setting.
    fn names(&self, key: &str) -> bool {
        let setting = setting_named(key).expect("invariant: it is a setting");
        self.layer().get(key).is_some() || variable(setting.variable).is_some()
    }

    /// Whether somebody said where the admin endpoint is to listen.
    pub(crate) fn names_admin(&self) -> bool {
        self.names("admin.listen")
    }

    /// Whether somebody said what is to be logged.
    pub(crate) fn names_log(&self) -> bool {
        self.names("log.filter")
    }

    /// What the flags say.
    pub(super) fn layer(&self) -> Layer {
        let said = [
            ("node", &self.node),
            ("admin.listen", &self.admin_listen),
            ("admin.token_file", &self.admin_token_file),
            ("admin.redact", &self.admin_redact),
            ("log.filter", &self.log),
            ("log.format", &self.log_format),
            ("arbiters", &self.arbiters),
            ("memory_budget", &self.memory_budget),
            ("drain_deadline", &self.drain_deadline),
            ("watchdog.stalled_after", &self.stalled_after),
            ("watchdog.stuck_after", &self.stuck_after),
            ("traces.endpoint", &self.traces_endpoint),
            ("traces.ratio", &self.traces_ratio),
        ];
        let mut layer = Layer::default();
        for (key, value) in said {
            if let Some(value) = value {
                layer.set(setting_named(key).expect("invariant: every flag is a setting"), value.clone());
            }
        }
        layer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::settings::ALL;
    use clap::{Args, FromArgMatches};

    #[test]
    fn every_setting_has_its_flag_and_says_its_variable() {
        let command = Flags::augment_args(clap::Command::new("run"));
        let arguments: Vec<String> = ALL.iter().map(|setting| setting.flag.to_owned()).collect();
        let known: Vec<&str> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|long| *long != "config")
            .collect();
        assert_eq!(known, arguments);
        for (argument, setting) in command.get_arguments().filter(|one| one.get_id() != "config").zip(ALL) {
            let help = argument.get_help().expect("a sentence").to_string();
            assert!(help.contains(setting.variable), "--{}: {help}", setting.flag);
        }
    }

    #[test]
    fn every_flag_says_its_own_setting() {
        let first = ["n", "127.0.0.1:1", "f", "a, b", "warn", "json", "2", "1MiB", "1s", "2s", "3s"];
        let values = [&first[..], &["http://a:1", "0.5"]].concat();
        let command = Flags::augment_args(clap::Command::new("run"));
        let words = ALL
            .iter()
            .zip(values.iter().copied())
            .flat_map(|(setting, value)| [format!("--{}", setting.flag), value.to_owned()]);
        let matches = command.try_get_matches_from(std::iter::once("run".to_owned()).chain(words));
        let flags = Flags::from_arg_matches(&matches.expect("legal flags")).expect("flags");
        let layer = flags.layer();
        for (setting, value) in ALL.iter().zip(values) {
            assert_eq!(
                layer.get(setting.key).map(ToString::to_string).as_deref(),
                Some(value),
                "{}",
                setting.key
            );
        }
    }
}
