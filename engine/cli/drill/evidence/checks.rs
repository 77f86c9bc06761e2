//! Short checks of what no drill shows, by the commands and addresses that operators use.

use super::super::stage::{path, wait};
use super::scene::{NAME, PATIENCE, Scene};
use anyhow::{Context, Result};
use aqueduct_stack::prometheus::Tools;
use aqueduct_stack::{Lifetime, Options, Part, progress};
use serde_json::Value;
use std::process::{Command, Output};

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    /// What is claimed holds: by this.
    Shown(String),
    /// It does not: by this.
    Refuted(String),
    /// It could not be looked at, for that reason.
    Absent(String),
}

/// One of them.
pub(super) struct Check {
    /// As the claims name it.
    pub(super) name: &'static str,
    /// What it does, as one would type it.
    pub(super) how: &'static str,
    pub(super) carry_out: fn(&Scene) -> Result<Finding>,
}

/// In the order in which they are carried out: the later ones disturb.
pub(super) const CHECKS: [Check; 10] = [
    Check { name: "servers", how: "aqueduct check FILE --connect", carry_out: servers },
    Check {
        name: "migrations",
        how: "aqueduct migrate up FILE (again); aqueduct migrate verify FILE",
        carry_out: migrations,
    },
    Check { name: "pooling", how: "curl NODE/metrics: aqueduct_pool_*", carry_out: pooling },
    Check { name: "cache", how: "aqueduct cache probe FILE", carry_out: cache },
    Check { name: "lag", how: "curl NODE/metrics: aqueduct_lag_*", carry_out: lag },
    Check {
        name: "configuration",
        how: "aqueduct audit config FILE; aqueduct check FILE with a misspelt key",
        carry_out: configuration,
    },
    Check { name: "alerts", how: "aqueduct new --monitoring DIR; promtool test rules", carry_out: alerts },
    Check {
        name: "supervision",
        how: "curl -X POST NODE/api/actors/history/restart; curl NODE/api/actors",
        carry_out: supervision,
    },
    Check {
        name: "probes",
        how: "curl NODE/livez, NODE/readyz: with TimescaleDB, without, with it again",
        carry_out: probes,
    },
    Check {
        name: "retention",
        how: "aqueduct audit retention FILE --format json, with a row past its retention",
        carry_out: retention,
    },
];

fn finding(holds: bool, what: String) -> Result<Finding> {
    Ok(if holds { Finding::Shown(what) } else { Finding::Refuted(what) })
}

/// `exit 0`, and what was said if it was another.
fn exit(output: &Output) -> String {
    let code = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
    if output.status.success() {
        return format!("exit {code}");
    }
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    format!("exit {code}: {}", line(&said))
}

/// What was said, as one line.
fn line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn servers(scene: &Scene) -> Result<Finding> {
    let output = scene.run(&["check", path(&scene.file), "--connect"])?;
    let parts = scene.stage.stack.status();
    let versions: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {}", part.part, part.version.as_deref().unwrap_or("of the environment")))
        .collect();
    let holds = output.status.success() && parts.iter().all(|part| part.healthy);
    finding(holds, format!("{}; {}", exit(&output), versions.join(", ")))
}

fn migrations(scene: &Scene) -> Result<Finding> {
    let before = scene.number(MIGRATIONS)?;
    let up = scene.run(&["migrate", "up", path(&scene.file)])?;
    let verify = scene.run(&["migrate", "verify", path(&scene.file)])?;
    let added = scene.number(MIGRATIONS)? - before;
    let holds = up.status.success() && verify.status.success() && before > 0 && added == 0;
    let what = format!("up {}, verify {}; {before} recorded, {added} more", exit(&up), exit(&verify));
    finding(holds, what)
}

fn pooling(scene: &Scene) -> Result<Finding> {
    // They are counted every few seconds.
    let pools = wait(PATIENCE, || {
        let pools = pools(&scene.node.metrics()?);
        Ok(pools.iter().any(|pool| pool.open > 0.0).then_some(pools))
    })?;
    let pools = pools.unwrap_or_default();
    let holds = !pools.is_empty() && pools.iter().all(|pool| pool.open <= pool.most);
    let told: Vec<String> =
        pools.iter().map(|Pool { name, open, most }| format!("{name}: {open} of {most}")).collect();
    finding(holds, format!("connections: {}", told.join(", ")))
}

/// One pool, as a page of metrics has it.
struct Pool {
    name: String,
    open: f64,
    most: f64,
}

fn pools(page: &str) -> Vec<Pool> {
    let open = samples(page, "aqueduct_pool_connections");
    let pool = |(labels, most): (&str, f64)| {
        let name = label(labels, "pool")?;
        let ours = open.iter().filter(|(labels, _)| label(labels, "pool") == Some(name));
        Some(Pool { name: name.to_owned(), open: ours.map(|(_, count)| count).sum(), most })
    };
    samples(page, "aqueduct_pool_connections_max").into_iter().filter_map(pool).collect()
}

fn cache(scene: &Scene) -> Result<Finding> {
    let output = scene.run(&["cache", "probe", path(&scene.file)])?;
    match output.status.success() {
        true => finding(true, format!("exit 0; {}", line(&output.stdout))),
        false => finding(false, exit(&output)),
    }
}

fn lag(scene: &Scene) -> Result<Finding> {
    // The readings that it is made of are some seconds old.
    let caught_up = wait(PATIENCE, || {
        let page = scene.node.metrics()?;
        let lag = samples(&page, "aqueduct_lag_records");
        Ok((!lag.is_empty() && lag.iter().all(|(_, records)| *records == 0.0)).then_some(lag.len()))
    })?;
    match caught_up {
        Some(partitions) => finding(true, format!("0 records behind in {partitions} partitions")),
        None => finding(false, format!("no lag of 0 was told within {PATIENCE:?}")),
    }
}

fn configuration(scene: &Scene) -> Result<Finding> {
    let audit = scene.run(&["audit", "config", path(&scene.file), "--node", &scene.node.admin.url])?;
    let misspelt = scene.stage.folder.join("misspelt.yaml");
    let text = std::fs::read_to_string(&scene.file).context("read the topology")?;
    std::fs::write(&misspelt, text.replace("event_time:", "eventtime:")).context("write a topology")?;
    let refused = scene.run(&["check", path(&misspelt)])?;
    let holds = audit.status.success() && refused.status.code() == Some(1);
    let code = refused.status.code().unwrap_or(-1);
    finding(holds, format!("audit {}; a misspelt key: exit {code}", exit(&audit)))
}

fn alerts(scene: &Scene) -> Result<Finding> {
    let folder = scene.stage.folder.join("monitoring");
    let written = scene.run(&["new", "--monitoring", path(&folder)])?;
    if !written.status.success() {
        return finding(false, exit(&written));
    }
    let options = Options::from_env("drill", Lifetime::Private)?;
    let promtool = match Tools::provision(&options, &*progress::on_stderr()) {
        Ok(tools) => tools.promtool,
        Err(why) => return Ok(Finding::Absent(why.to_string())),
    };
    let tests = std::fs::read_dir(folder.join("alerts/tests")).context("read the rules' tests")?;
    let tests = tests.map(|test| Ok(test?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let ran =
        Command::new(promtool).args(["test", "rules"]).args(&tests).output().context("start promtool")?;
    finding(
        ran.status.success() && !tests.is_empty(),
        format!("{} for {} files of tests", exit(&ran), tests.len()),
    )
}

fn supervision(scene: &Scene) -> Result<Finding> {
    let restarts = || Ok::<_, anyhow::Error>(scene.actor("history")?["restarts"].as_i64().unwrap_or(0));
    let before = restarts()?;
    let answer = scene.node.admin.post_as(&scene.token, "/api/actors/history/restart", PATIENCE)?;
    let back = wait(PATIENCE, || {
        Ok((restarts()? > before && scene.status("/readyz")? == 200).then_some(restarts()?))
    })?;
    match back {
        Some(now) => {
            finding(true, format!("answer {}; restarts {before}, then {now}; ready again", answer.status))
        }
        None => {
            finding(false, format!("answer {}; not restarted and ready within {PATIENCE:?}", answer.status))
        }
    }
}

fn probes(scene: &Scene) -> Result<Finding> {
    let both = || Ok::<_, anyhow::Error>((scene.status("/livez")?, scene.status("/readyz")?));
    let well = both()?;
    scene.stage.stack.stop(Part::Timescale)?;
    let told = wait(PATIENCE, || Ok((scene.status("/readyz")? == 503).then_some(())));
    let (away, named) = (both()?, scene.node.admin.get("/readyz")?.body);
    scene.stage.stack.start(Part::Timescale)?;
    told?;
    let back = wait(PATIENCE, || Ok((scene.status("/readyz")? == 200).then_some(())))?;
    let again = both()?;
    let names_it = String::from_utf8_lossy(&named).contains("history");
    let holds = well == (200, 200) && away == (200, 503) && names_it && back.is_some() && again == (200, 200);
    let shown = |(live, ready): (u16, u16)| format!("{live}/{ready}");
    let named = if names_it { ", which names the writer" } else { "" };
    finding(holds, format!("{}, without {}{named}, again {}", shown(well), shown(away), shown(again)))
}

fn retention(scene: &Scene) -> Result<Finding> {
    scene
        .stage
        .ask(NAME, async |connection| Ok(connection.hits("write an old row", OLD_ROW, &[]).await?))?;
    let output = scene.run(&["audit", "retention", path(&scene.file), "--format", "json"])?;
    let report: Value = serde_json::from_slice(&output.stdout).context("read the audit")?;
    let breaches: Vec<&str> = report["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["breach"] == true)
        .filter_map(|finding| finding["kind"].as_str())
        .collect();
    let holds = output.status.code() == Some(1) && report["breach"] == true;
    let code = output.status.code().unwrap_or(-1);
    finding(holds, format!("exit {code}, breach: {}", breaches.join(", ")))
}

/// The samples of a metric on a page, by their labels.
fn samples<'a>(page: &'a str, metric: &str) -> Vec<(&'a str, f64)> {
    let sample = |line: &'a str| {
        let (labels, value) = line.strip_prefix(metric)?.strip_prefix('{')?.rsplit_once("} ")?;
        Some((labels, value.trim().parse().ok()?))
    };
    page.lines().filter_map(sample).collect()
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

const MIGRATIONS: &str = "SELECT count(*) FROM aqueduct.migrations";
const OLD_ROW: &str = "\
    INSERT INTO market.drill_trades (ts, id, k) \
    VALUES (pg_catalog.clock_timestamp() - interval '30 days', 0, 'K01')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_those_of_that_metric_alone() {
        let page = "# TYPE aqueduct_pool_connections gauge\n\
            aqueduct_pool_connections{topology=\"t\",pool=\"a\",state=\"idle\"} 2\n\
            aqueduct_pool_connections_max{topology=\"t\",pool=\"a\"} 4\n";
        let found = samples(page, "aqueduct_pool_connections");
        assert_eq!(found, [("topology=\"t\",pool=\"a\",state=\"idle\"", 2.0)]);
        assert_eq!((label(found[0].0, "pool"), label(found[0].0, "poo")), (Some("a"), None));
    }
}
