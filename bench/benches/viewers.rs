//! What a hundred people who look at a node cost it: CPU and memory of the process, without them and with them.
//!
//! `cargo bench --bench viewers -- --node 127.0.0.1:9464 --pid PID`, against a node that is already at work (`aqueduct demo
//! --in-process` will do). Some of them read nothing: they must cost no more than the others.

use anyhow::{Context, Result, ensure};
use aqueduct_bench::usage;
use clap::Parser;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Parser)]
struct Arguments {
    /// Its admin endpoint.
    #[arg(long)]
    node: String,
    /// Its process.
    #[arg(long)]
    pid: u32,
    /// Who look, and read.
    #[arg(long, default_value_t = 100)]
    viewers: usize,
    /// Who open the page as well, and read nothing any more.
    #[arg(long, default_value_t = 0)]
    silent: usize,
    /// How long each half is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// CPU of the process over a while, as a share of one core, and its memory at the end, KiB.
fn measure(pid: u32, lasting: Duration) -> Result<(f64, u64)> {
    let before = usage::of(pid).context("the process runs")?;
    std::thread::sleep(lasting);
    let after = usage::of(pid).context("the process runs")?;
    let share = (after.cpu - before.cpu).as_secs_f64() / lasting.as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok((share, resident.trim().trim_end_matches(" kB").parse()?))
}

fn look(node: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(node)?;
    write!(stream, "GET /api/live HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    ensure!(&status == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&status));
    Ok(stream)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let lasting = Duration::from_secs(arguments.seconds);
    let (cpu_alone, memory_alone) = measure(arguments.pid, lasting)?;
    let (read, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut readers = Vec::new();
    for _ in 0..arguments.viewers {
        let (mut stream, read, over) = (look(&arguments.node)?, read.clone(), over.clone());
        readers.push(std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while !over.load(Ordering::Relaxed) {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(length) => read.fetch_add(length as u64, Ordering::Relaxed),
                };
            }
        }));
    }
    let _silent: Vec<TcpStream> =
        (0..arguments.silent).map(|_| look(&arguments.node)).collect::<Result<_>>()?;
    // Who has just come is given all events there are.
    std::thread::sleep(Duration::from_secs(3));
    let begun = read.load(Ordering::Relaxed);
    let (cpu, memory) = measure(arguments.pid, lasting)?;
    let bytes = read.load(Ordering::Relaxed) - begun;
    let all_there = readers.iter().filter(|reader| !reader.is_finished()).count();
    over.store(true, Ordering::Relaxed);
    readers
        .into_iter()
        .try_for_each(|reader| reader.join().map_err(|_| anyhow::anyhow!("a reader panicked")))?;
    println!("viewers {all_there} of {}, silent {}", arguments.viewers, arguments.silent);
    println!(
        "cpu     {:.2} % of a core without, {:.2} % with: {:+.2}",
        cpu_alone * 100.0,
        cpu * 100.0,
        (cpu - cpu_alone) * 100.0
    );
    println!(
        "memory  {memory_alone} KiB without, {memory} KiB with: {:+} KiB",
        memory as i64 - memory_alone as i64
    );
    println!(
        "read    {} KiB a second by each",
        bytes / 1024 / arguments.seconds / arguments.viewers.max(1) as u64
    );
    Ok(())
}
