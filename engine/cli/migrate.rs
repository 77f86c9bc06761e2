//! stub
use crate::exit::Exit;
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Up,
}
pub(crate) fn run(_c: Command) -> anyhow::Result<Exit> {
    Ok(Exit::Ok)
}
pub(crate) fn up_example(
    _t: &aqueduct_topology::model::Topology,
    _e: &aqueduct_config::topologies::Example,
) -> anyhow::Result<()> {
    Ok(())
}
