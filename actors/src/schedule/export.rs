//! `run: export`: the days that are closed and not exported yet, by `aqueduct export` as a process of its own.
//!
//! It is ended where it takes too long, where this node is to stop, and where the session is lost under which it is at work;
//! it ends with this process too. Whatever ended it, the next run goes on where it stopped.

use super::closed::closed;
use super::moment;
use crate::export::limits::{DAY_US, DAYS_MAX};
use crate::timescale::{Connection, Identifier, TableName, sql};
use aqueduct_engine::{Class, Context, Error};
use aqueduct_topology::model::{self, Kind, Topology};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// How often the process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the session is, beside it: that many looks.
const LOOKS_PER_PING: u32 = 20;
/// Of what a process that failed said, the end.
const WORDS_BYTES_MAX: usize = 600;
/// Before any event: year 1.
const EARLIEST_US: i64 = -62_135_596_800_000_000;

const PUBLISHED: &str = "\
    SELECT (extract(epoch FROM max(to_time)) * 1000000)::int8 FROM aqueduct.exports \
    WHERE topology = $1 AND target = $2 AND destination = $3 AND state = 'published'";

/// The export of one schedule.
pub(super) struct Exporting {
    topology: Arc<Topology>,
    job: model::Export,
    table: TableName,
    time: Identifier,
}

/// How a process came to its end.
enum Ended {
    /// By itself.
    Itself(ExitStatus),
    /// It took longer than it may.
    TooLong,
    /// The stop was asked.
    Stopped,
}

impl Exporting {
    pub(super) fn new(
        topology: &Arc<Topology>,
        actor: &model::Actor,
        job: &model::Export,
    ) -> Result<Self, Error> {
        let unfit =
            |what: &str| Error::new(Class::Config, format!("schedule `{}`: {what}", actor.name.value));
        let writer = topology.actor(&job.of.value).ok_or_else(|| unfit("its writer is not there"))?;
        let Kind::TimescaleWriter(table) = &writer.kind else { return Err(unfit("`of` names no writer")) };
        let time = topology.input_event_time(writer).ok_or_else(|| unfit("its rows have no event time"))?;
        Ok(Self {
            topology: topology.clone(),
            job: job.clone(),
            table: TableName::parse(&table.table.value)?,
            time: Identifier::new(time)?,
        })
    }

    /// One run. `None`: it was told to stop.
    pub(super) async fn run(&self, cx: &Context, session: &Connection) -> Result<Option<String>, Error> {
        let table = self.table.plain();
        let into = place(&self.job.into.value)?;
        let lateness_us = i64::try_from(self.job.lateness.as_micros()).unwrap_or(i64::MAX);
        let mark = closed(&self.topology, session, &table, (cx.clock.wall_us(), lateness_us)).await?;
        let closed_us = mark.time_us.div_euclid(DAY_US) * DAY_US;
        let Some(from_us) = self.next(session, &into).await? else {
            return Ok(Some(format!("nothing to export: {table} has no rows")));
        };
        if from_us >= closed_us {
            let (done, closed) = (moment(from_us), moment(mark.time_us));
            return Ok(Some(format!(
                "nothing to export: {table} is exported up to {done} and closed up to {closed}"
            )));
        }
        let to_us = closed_us.min(from_us.saturating_add(DAYS_MAX * DAY_US));
        let folder = Folder::new()
            .map_err(|error| failed(&format!("cannot make a folder for the export: {error}")))?;
        let child = self.begin(&folder, &into, (from_us, to_us));
        let child = child.map_err(|error| {
            failed(&format!("cannot start `aqueduct export` through setpriv (of util-linux): {error}"))
        })?;
        let ended = self.attend(cx, session, child).await?;
        let range = format!("{table} from {} to {} into {into}", moment(from_us), moment(to_us));
        match ended {
            Ended::Stopped => Ok(None),
            Ended::TooLong => {
                let within = self.job.within;
                let why = format!(
                    "the export of {range} took longer than {within:?} and was ended; the next run goes on with it"
                );
                Err(failed(&why))
            }
            Ended::Itself(status) if status.success() => {
                let said: Value = serde_json::from_slice(&folder.read(OUTPUT)).unwrap_or_default();
                let (rows, files) = (said["rows"].as_i64().unwrap_or(0), said["files"].as_i64().unwrap_or(0));
                Ok(Some(format!("exported {rows} rows in {files} files: {range}")))
            }
            Ended::Itself(status) => {
                let words = end_of(&String::from_utf8_lossy(&folder.read(ERRORS)));
                Err(failed(&format!("the export of {range} failed ({status}): {words}")))
            }
        }
    }

    /// The event time from which on nothing is exported; `None` = there are no rows.
    async fn next(&self, session: &Connection, into: &str) -> Result<Option<i64>, Error> {
        let table = self.table.plain();
        let params: [&(dyn ToSql + Sync); 3] = [&self.topology.name.value, &table, &into];
        let published: Option<i64> =
            session.row("look for the last export", PUBLISHED, &params).await?.get(0);
        if published.is_some() {
            return Ok(published);
        }
        let statement = sql::oldest_time_from(&self.table, &self.time);
        let oldest: Option<i64> =
            session.row("look for the oldest row", &statement, &[&EARLIEST_US]).await?.get(0);
        Ok(oldest.map(|us| us.div_euclid(DAY_US) * DAY_US))
    }

    /// On this thread, which lives as long as this process: the child ends with the one that started it.
    fn begin(&self, folder: &Folder, into: &str, (from_us, to_us): (i64, i64)) -> io::Result<Child> {
        let file = folder.path("topology.yaml");
        std::fs::write(&file, aqueduct_topology::to_yaml(&self.topology))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(std::env::current_exe()?).arg("export").arg(&file);
        command.args(["--sink", &self.job.of.value, "--into", into, "--master", &self.job.master]);
        command.args(["--from", &moment(from_us), "--to", &moment(to_us), "--format", "json"]);
        command.args(["--lateness", &format!("{}ms", self.job.lateness.as_millis())]);
        if !self.job.partition_by.is_empty() {
            let columns: Vec<&str> =
                self.job.partition_by.iter().map(|column| column.value.as_str()).collect();
            command.args(["--partition-by", &columns.join(",")]);
        }
        // Addresses may hold a password, so the file leaves them to the environment.
        if let Some(timescale) = &self.topology.connections.timescale {
            command.env("TIMESCALE_URL", timescale.url.value.expose_secret());
        }
        if let Some(redis) = &self.topology.connections.redis {
            command.env("REDIS_URL", redis.url.value.expose_secret());
        }
        let (output, errors) = (File::create(folder.path(OUTPUT))?, File::create(folder.path(ERRORS))?);
        command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()
    }

    async fn attend(&self, cx: &Context, session: &Connection, child: Child) -> Result<Ended, Error> {
        let mut child = Reaped(child);
        let (begin, mut looks) = (cx.clock.now(), 0_u32);
        loop {
            if let Some(status) = child.0.try_wait().map_err(|error| failed(&error.to_string()))? {
                return Ok(Ended::Itself(status));
            }
            if begin.elapsed() >= self.job.within {
                return Ok(Ended::TooLong);
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_PING) {
                session.ping().await?;
                cx.status.contacted();
            }
            if cx.status.sleep_or_stop(&cx.clock, LOOK_EVERY).await {
                return Ok(Ended::Stopped);
            }
        }
    }
}

fn failed(message: &str) -> Error {
    Error::new(Class::Config, message.to_owned())
}

/// As the command names it, and with it the record of exports.
fn place(into: &str) -> Result<String, Error> {
    if into.contains("://") {
        return Ok(into.trim_end_matches('/').to_owned());
    }
    let path =
        std::path::absolute(into).map_err(|error| failed(&format!("`{into}` is no folder: {error}")))?;
    Ok(path.to_string_lossy().trim_end_matches('/').to_owned())
}

/// The last of what was said, whole lines as far as they go.
fn end_of(text: &str) -> String {
    let text = text.trim();
    let from = text.ceil_char_boundary(text.len().saturating_sub(WORDS_BYTES_MAX));
    let text = &text[from..];
    let text = if from > 0 { text.split_once('\n').map_or(text, |(_, rest)| rest) } else { text };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Never left behind: killed, with what it has started, where nobody waits for it any more.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const OUTPUT: &str = "output.json";
const ERRORS: &str = "errors.log";

/// A folder that nobody else may read; it goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("aqueduct-schedule-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.0).join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed from a temporary folder goes with it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_was_said_is_whole_lines() {
        assert_eq!(end_of(" one\n\n two \n"), "one; two");
        let long = format!("{}\nthe end", "x".repeat(WORDS_BYTES_MAX));
        assert_eq!(end_of(&long), "the end");
    }

    #[test]
    fn a_place_has_one_name() {
        assert_eq!(place("s3a://b/x/").unwrap(), "s3a://b/x");
        assert_eq!(place("/data/x/").unwrap(), "/data/x");
    }
}
