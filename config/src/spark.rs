//! The programs that are submitted to Spark, with the package they share.

use include_dir::{Dir, File, include_dir};
use std::io;
use std::path::Path;

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/spark");

/// Writes them into `folder`, which is there.
///
/// # Errors
/// A file that cannot be written.
pub fn write_into(folder: &Path) -> io::Result<()> {
    for file in programs() {
        let path = folder.join(file.path());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, file.contents())?;
    }
    Ok(())
}

/// Python's own leavings and the tests are none.
fn programs() -> impl Iterator<Item = &'static File<'static>> {
    let package = FOLDER.get_dir("aqueduct_spark").into_iter().flat_map(Dir::files);
    FOLDER.files().chain(package).filter(|file| file.path().extension().is_some_and(|ending| ending == "py"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_written_with_what_it_imports() {
        let names: Vec<_> = programs().map(|file| file.path().display().to_string()).collect();
        for name in ["export.py", "verify.py", "json_rows.py", "ohlcv.py", "aqueduct_spark/manifest.py"] {
            assert!(names.iter().any(|known| known == name), "{names:?}");
        }
        assert!(names.iter().all(|name| !name.starts_with("tests")), "{names:?}");
    }
}
