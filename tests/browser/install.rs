//! What drives the browser, below the build tree, as the lock file pins it; and the browser itself, as the system has it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What is installed; the lock names a digest for each package.
const FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("package.json")),
    ("package-lock.json", include_str!("package-lock.json")),
];
const CHROMIUM: &str = "/usr/bin/chromium";
const REMEDY: &str =
    "the browser's tests need Chromium, Node.js and npm: apt-get install chromium nodejs npm";

/// The browser's program.
pub fn chromium() -> &'static Path {
    let program = Path::new(CHROMIUM);
    assert!(program.exists(), "{CHROMIUM} is not there; {REMEDY}");
    program
}

/// The folder with what drives it, installed by whoever asks first.
pub fn modules() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let folder = INSTALLED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        if !is_current(&folder) {
            install(&folder);
        }
        folder
    });
    folder.clone()
}

/// Whether a whole installation of just this lock file is there: the lock file is put there last.
fn is_current(folder: &Path) -> bool {
    FILES
        .iter()
        .all(|(name, text)| std::fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text))
}

/// Beside its place first: another test program may look at the same time.
fn install(folder: &Path) {
    let parent = folder.parent().expect("a folder below the build tree");
    let made = tempfile::Builder::new().prefix("browser-").tempdir_in(parent).expect("a folder");
    for (name, text) in FILES {
        std::fs::write(made.path().join(name), text).expect("written");
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(made.path())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("npm: {error}; {REMEDY}"));
    assert!(
        output.status.success(),
        "npm could not install what drives the browser; {REMEDY}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // What was there is of another lock file; who else installed meanwhile did the same.
    let _ = std::fs::remove_dir_all(folder);
    if std::fs::rename(made.path(), folder).is_ok() {
        let _ = made.keep();
    }
    assert!(is_current(folder), "{} is not whole", folder.display());
}
