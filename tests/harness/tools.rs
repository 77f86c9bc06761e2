//! Programs that tests need and no toolchain brings: installed below the build tree by whoever asks first, and again when
//! what pins them has changed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder `name` below the build tree, in which `install` was run once for just these files (name, text), which lie
/// there too. It is made beside its place first: another test program may look at the same time.
pub fn installed(name: &str, files: &[(&str, &str)], install: impl FnOnce(&Path)) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = parent.join(name);
    if is_current(&folder, files) {
        return folder;
    }
    let made = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(parent).expect("a folder");
    for (name, text) in files {
        std::fs::write(made.path().join(name), text).expect("written");
    }
    install(made.path());
    // What was there is of other files; who else installed meanwhile did the same.
    let _ = std::fs::remove_dir_all(&folder);
    if std::fs::rename(made.path(), &folder).is_ok() {
        let _ = made.keep();
    }
    assert!(is_current(&folder, files), "{} is not whole", folder.display());
    folder
}

/// Whether a whole installation of just these files is there: they came with it, in one move.
fn is_current(folder: &Path, files: &[(&str, &str)]) -> bool {
    files
        .iter()
        .all(|(name, text)| std::fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text))
}

/// Installs what `package-lock.json` of the folder pins.
pub fn npm(folder: &Path) {
    run(folder, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], NPM);
}

/// Unpacks a single package, without those it depends on, if its archive has that digest.
pub fn npm_archive(folder: &Path, package: &str, digest: &str) {
    let told = run(folder, "npm", &["pack", "--json", package], NPM);
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(told[0]["integrity"], digest, "{package} is not what it was");
    run(folder, "tar", &["xzf", told[0]["filename"].as_str().expect("a name")], "apt-get install tar");
}

/// Installs what `requirements.txt` of the folder pins.
pub fn pip(folder: &Path) {
    let mut arguments = vec!["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"];
    arguments.extend(["--disable-pip-version-check", "--root-user-action", "ignore", "--target", "."]);
    arguments.extend(["-r", "requirements.txt"]);
    run(folder, "python3", &arguments, "apt-get install python3-pip");
}

const NPM: &str = "apt-get install nodejs npm";

fn run(folder: &Path, program: &str, arguments: &[&str], remedy: &str) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; these tests need it: {remedy}"));
    assert!(
        output.status.success(),
        "{program} could not install what these tests need; {remedy}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
