//! The hand-written program alone: drains a topic that is already there and prints what it measured as JSON.

use aqueduct_bench::ceiling::{self, Target};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured =
        runtime.block_on(tokio::task::LocalSet::new().run_until(ceiling::run(&arguments.target)))?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
