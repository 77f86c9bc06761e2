//! The language server below the build tree, as the lock file pins it.

use crate::harness::tools;
use std::path::PathBuf;
use std::sync::OnceLock;

/// What is installed; the lock names a digest for each package.
const FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("package.json")),
    ("package-lock.json", include_str!("package-lock.json")),
];

/// The server's program, installed by whoever asks first.
pub fn server() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let folder = INSTALLED.get_or_init(|| tools::installed("editor", &FILES, tools::npm));
    folder.join("node_modules/yaml-language-server/bin/yaml-language-server")
}
