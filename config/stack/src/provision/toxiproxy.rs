//! Toxiproxy, built by Go from its pinned source: `go.sum` is the list of checksums, held by Go against every module.

use std::fs;
use std::path::PathBuf;

use super::{partial, publish, run, tool};
use crate::dir::StackDir;
use crate::error::Error;
use crate::progress::Progress;

/// The pinned version; also in `go.mod`.
pub(crate) const VERSION: &str = "2.12.0";
/// The oldest Go, as 1.x, that builds it.
pub(crate) const GO_MINOR_MIN: u32 = 23;
pub(super) const ANNOUNCEMENT: &str = "  - Toxiproxy 2.12.0, 17 Go modules, about 8 MB, from your Go module proxy; built here in one to two minutes";

const MODULE: &str = include_str!("toxiproxy/go.mod");
const CHECKSUMS: &str = include_str!("toxiproxy/go.sum");
const SERVER: &str = "toxiproxy-server";
const TASK: &str = "Toxiproxy 2.12.0";

/// Where it is kept; the last number counts changes of this recipe.
pub(crate) fn folder(dir: &StackDir) -> PathBuf {
    dir.parts().join("toxiproxy-2.12.0-1")
}

/// The server's program.
pub(crate) fn program(dir: &StackDir) -> PathBuf {
    folder(dir).join(SERVER)
}

/// Downloads, verifies and builds it.
pub(super) fn fetch(dir: &StackDir, progress: &dyn Progress) -> Result<(), Error> {
    let partial = partial(dir, "toxiproxy")?;
    for (name, text) in [("go.mod", MODULE), ("go.sum", CHECKSUMS)] {
        let path = partial.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
    }
    let go = |arguments: &[&str]| {
        let mut command = tool("go");
        // Nothing of the caller's own Go settings may change what is built, or which sums it is held against.
        command.env("GOFLAGS", "-mod=readonly").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        command.env("CGO_ENABLED", "0").args(arguments).current_dir(&partial);
        command
    };
    progress.step(TASK, 0, 2, "download, verify checksums");
    run(TASK, go(&["mod", "download"]), |_| {})?;
    progress.step(TASK, 1, 2, "build");
    let version = format!("-ldflags=-s -w -X github.com/Shopify/toxiproxy/v2.Version={VERSION}");
    let package = "github.com/Shopify/toxiproxy/v2/cmd/server";
    run(TASK, go(&["build", "-trimpath", "-buildvcs=false", &version, "-o", SERVER, package]), |_| {})?;
    publish(&partial, &folder(dir))?;
    progress.finish(TASK, "ready, all checksums match");
    Ok(())
}
