//! Runs the engine's binary on the same work and measures it from outside.

use crate::ceiling::{Measured, Target};
use crate::usage::{self, Usage};
use crate::workload::Work;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// How often progress is asked for.
const SAMPLE: Duration = Duration::from_millis(20);
/// A run that takes longer has failed.
const RUN_MAX: Duration = Duration::from_secs(300);

/// A running engine; ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
fn now() -> Instant {
    Instant::now()
}

/// The engine's binary, of the same profile as this program; built if it is not there.
pub fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/<profile>/deps/<this program>
    let folder = own.parent().and_then(Path::parent).context("this program lies in a target folder")?;
    let binary = folder.join("aqueduct");
    let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or("release");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile, "--bin", "aqueduct"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("run cargo")?;
    anyhow::ensure!(status.success(), "cargo could not build the engine");
    Ok(binary)
}

/// Drains the topic with the engine; the clock runs from the first record read to the last row committed.
pub async fn run(
    binary: &Path,
    client: &Client,
    name: &str,
    messages: u64,
    target: &Target,
) -> Result<Measured> {
    run_at("127.0.0.1:0", binary, client, name, messages, target).await
}

/// The same, with the admin endpoint at an address that somebody asks meanwhile.
pub async fn run_at(
    admin: &str,
    binary: &Path,
    client: &Client,
    name: &str,
    messages: u64,
    target: &Target,
) -> Result<Measured> {
    let topology = match target.work {
        Work::Ticks => "ticks.yaml",
        Work::Venues => "venues.yaml",
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies").join(topology);
    let child = Command::new(binary)
        .arg("run")
        .arg(&file)
        .env("KAFKA_BOOTSTRAP", &target.kafka)
        .env("TIMESCALE_URL", &target.timescale)
        .env("REDIS_URL", &target.redis)
        .env("BENCH_NAME", name)
        .env("BENCH_TOPIC", &target.topic)
        .env("BENCH_PREFIX", name)
        .env("AQUEDUCT_ADMIN_LISTEN", admin)
        .env("AQUEDUCT_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .context("start the engine")?;
    let mut engine = Running(child);
    let pid = engine.0.id();
    let deadline = now() + RUN_MAX;
    let mut began: Option<(Instant, Usage)> = None;
    let mut last = Usage::default();
    loop {
        tokio::time::sleep(SAMPLE).await;
        if let Some(status) = engine.0.try_wait()? {
            bail!("the engine ended early: {status}");
        }
        anyhow::ensure!(now() < deadline, "the engine did not finish within {RUN_MAX:?}");
        let used = usage::of(pid).context("read /proc")?;
        let done = committed(client, name).await?;
        if done > 0 && began.is_none() {
            // The first commit closes the first batch; its reading began one sample before.
            began = Some((now() - SAMPLE, last));
        }
        last = used;
        if done >= messages {
            let (began, before) = began.context("no progress was ever seen")?;
            return Ok(Measured {
                rows: target.rows,
                seconds: began.elapsed().as_secs_f64(),
                cpu_seconds: (used.cpu - before.cpu).as_secs_f64(),
                rss_peak_bytes: used.rss_peak_bytes,
            });
        }
    }
}

/// Messages whose rows are durable, by the offsets that were committed with them.
async fn committed(client: &Client, name: &str) -> Result<u64> {
    let query = "SELECT coalesce(sum(next_offset), 0)::bigint FROM aqueduct.offsets WHERE topology = $1 AND sink = 'history'";
    let row = client.query_one(query, &[&name]).await.context("read aqueduct.offsets")?;
    Ok(row.get::<_, i64>(0) as u64)
}
