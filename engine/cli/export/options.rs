//! What both commands of `export` are told: which table, where, and how Spark runs.

use crate::stores::wrong;
use anyhow::Result;
use aqueduct_actors::export::limits::DAY_US;
use aqueduct_actors::export::limits::DAYS_MAX;
use aqueduct_actors::export::spans::Range;
use aqueduct_topology::model::{Kind, Topology};
use std::path::{Path, PathBuf};

/// Which table. What is needed is an option to the compiler: of `export verify` the outer command has none of it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Which rows")]
pub(crate) struct Which {
    /// The topology file.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// The table of this sink of the file; needed where the file has several.
    #[arg(long, value_name = "NAME", conflicts_with = "table")]
    sink: Option<String>,
    /// This table, `schema.table`, whether the file writes it or not.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// The column by which a table that is no hypertable is cut; a timestamp.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_column: Option<String>,
    /// Rows of this event time or later: 2026-11-29T00:00:00Z, or the day alone.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<i64>,
    /// Rows before this event time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) to: Option<i64>,
    /// The folder, or an address that Spark's Hadoop knows: hdfs://.., s3a://.. A folder is one that every worker sees.
    #[arg(long, value_name = "FOLDER_OR_URI", required = true)]
    into: Option<String>,
}

/// How Spark runs.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "How Spark runs")]
pub(crate) struct How {
    /// Where: `local[*]`, spark://host:port, yarn, k8s://..
    #[arg(long, value_name = "MASTER", default_value = "local[*]")]
    pub(crate) master: String,
    /// A setting of Spark; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) conf: Vec<String>,
}

/// How much is asked of the database at once.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "How Spark runs")]
pub(crate) struct Sessions {
    /// How many slices are read side by side; each is a session in the database.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
}

/// A time as RFC 3339, or a day, which begins at midnight UTC.
fn moment(text: &str) -> Result<i64, String> {
    let time = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse());
    time.map(jiff::Timestamp::as_microsecond)
        .map_err(|_| format!("`{text}` is no time; write 2026-11-29T00:00:00Z, or 2026-11-29"))
}

/// Whoever sees the list of processes sees a command line.
fn setting(text: &str) -> Result<String, String> {
    let Some((name, _)) = text.split_once('=') else {
        return Err("a setting is NAME=VALUE".into());
    };
    let lower = name.to_lowercase();
    if ["password", "secret", "token", "credential", "access.key"].iter().any(|word| lower.contains(word)) {
        return Err(format!(
            "`{name}` looks like a secret, and a command line is no place for one: put it into spark-defaults.conf below SPARK_CONF_DIR"
        ));
    }
    if lower == "spark.submit.deploymode" {
        return Err(
            "the driver runs here, since it is told what to do by a file: leave the deploy mode alone".into(),
        );
    }
    Ok(text.to_owned())
}

impl Which {
    pub(crate) fn file(&self) -> Result<&Path> {
        self.file.as_deref().map_or_else(|| wrong("name the topology file".into()), Ok)
    }

    /// The table's name, as the file or the flag says it.
    pub(crate) fn table(&self, topology: &Topology) -> Result<String> {
        if let Some(table) = &self.table {
            return Ok(table.clone());
        }
        let writers: Vec<(&str, &str)> = topology
            .actors
            .iter()
            .filter_map(|actor| match &actor.kind {
                Kind::TimescaleWriter(writer) => {
                    Some((actor.name.value.as_str(), writer.table.value.as_str()))
                }
                _ => None,
            })
            .collect();
        let names = || writers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        match (&self.sink, writers.as_slice()) {
            (Some(sink), _) => match writers.iter().find(|(name, _)| name == sink) {
                Some((_, table)) => Ok((*table).to_owned()),
                None => {
                    wrong(format!("the file has no timescale_writer named `{sink}`; it has: {}", names()))
                }
            },
            (None, [(_, table)]) => Ok((*table).to_owned()),
            (None, []) => wrong("the file has no timescale_writer: say which table with --table".into()),
            (None, _) => wrong(format!("say which of its tables with --sink: {}", names())),
        }
    }

    /// The place; see [`place`].
    pub(crate) fn place(&self) -> Result<String> {
        place(self.into.as_deref().unwrap_or_default())
    }
}

/// A place by one name: a folder as an absolute path, anything else as it is.
pub(crate) fn place(into: &str) -> Result<String> {
    if let Some((scheme, _)) = into.split_once("://") {
        if scheme != "file" {
            return Ok(into.trim_end_matches('/').to_owned());
        }
        return wrong(format!("name the folder itself, without `file://`: {into}"));
    }
    let path = std::path::absolute(into)?;
    let text = path.to_str().unwrap_or("*").trim_end_matches('/');
    // Spark would take them for patterns.
    if text.is_empty() || text.contains(['*', '?', '[', ']', '{', '}', '\\', '\n']) {
        return wrong(format!("`{into}`: give a folder whose name has none of * ? [ ] {{ }} \\"));
    }
    Ok(text.to_owned())
}

/// A range that can be exported.
pub(crate) fn range(from_us: i64, to_us: i64) -> Result<Range> {
    let time = crate::output::time;
    if from_us >= to_us {
        return wrong(format!(
            "--from {} is not before --to {}: there is nothing between them",
            time(from_us),
            time(to_us)
        ));
    }
    if (to_us - from_us) / DAY_US > DAYS_MAX {
        return wrong(format!("a range of more than {DAYS_MAX} days; export it in several"));
    }
    Ok(Range { from_us, to_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_and_a_range_has_an_inside() {
        assert_eq!(moment("1970-01-02"), Ok(DAY_US));
        assert_eq!(moment("1970-01-01T00:00:00.000001Z"), Ok(1));
        assert!(moment("yesterday").unwrap_err().contains("2026-11-29"));
        assert!(range(5, 6).is_ok());
        for (from, to) in [(5, 5), (6, 5)] {
            assert!(range(from, to).unwrap_err().to_string().contains("is not before"));
        }
        assert!(range(0, DAY_US * (DAYS_MAX + 2)).unwrap_err().to_string().contains("in several"));
    }

    #[test]
    fn no_secret_goes_by_the_command_line() {
        assert!(setting("spark.hadoop.fs.s3a.secret.key=x").unwrap_err().contains("SPARK_CONF_DIR"));
        assert!(setting("spark.submit.deployMode=cluster").is_err());
        assert!(setting("spark").is_err());
        assert_eq!(setting("spark.executor.memory=2g"), Ok("spark.executor.memory=2g".into()));
    }
}
