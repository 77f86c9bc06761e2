//! Files of `config/` that nobody reads.

use std::path::{Path, PathBuf};

/// Folders that the binary carries whole, as `config/src` says.
fn embedded() -> Vec<PathBuf> {
    let sources =
        super::files(&[".rs"]).into_iter().filter(|path| super::shown(path).starts_with("config/src/"));
    let text: String = sources.map(|path| std::fs::read_to_string(path).expect("a source")).collect();
    let folders = text.split("include_dir!(\"$CARGO_MANIFEST_DIR/").skip(1);
    let folders: Vec<PathBuf> =
        folders.map(|rest| Path::new("config").join(rest.split('"').next().unwrap_or_default())).collect();
    assert!(folders.len() >= 2, "{folders:?}: the reading is broken");
    folders
}

/// Endings of texts in which a file may be named.
const TEXTS: [&str; 10] =
    [".rs", ".md", ".yaml", ".toml", ".sh", ".py", ".service", "Dockerfile", "LICENSE", ".pom.xml"];

#[test]
fn every_file_is_embedded_or_named_by_another() {
    let embedded = embedded();
    let texts: Vec<(PathBuf, String)> = super::files(&TEXTS)
        .into_iter()
        .map(|path| {
            (path.clone(), String::from_utf8_lossy(&std::fs::read(path).expect("a text")).into_owned())
        })
        .collect();
    let mut looked = 0;
    let mut unnamed = Vec::new();
    for path in super::files(&[""]).into_iter().filter(|path| super::shown(path).starts_with("config/")) {
        let shown = super::shown(&path);
        let is_code = shown.starts_with("config/src/") || shown.starts_with("config/stack/src/");
        let is_carried = embedded.iter().any(|folder| Path::new(&shown).starts_with(folder));
        if is_code || is_carried || shown.ends_with("Cargo.toml") {
            continue;
        }
        looked += 1;
        let name = path.file_name().expect("a name").to_string_lossy();
        // A file by which a folder is entered is named by the folder.
        let names = match &*name {
            "kustomization.yaml" => {
                path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy()
            }
            _ => name,
        };
        if !texts.iter().any(|(text, words)| *text != path && words.contains(&*names)) {
            unnamed.push(shown);
        }
    }
    assert!(looked >= 15, "only {looked} files: the reading is broken");
    assert!(
        unnamed.is_empty(),
        "nobody reads these; delete them, or say where they are used:\n{}",
        unnamed.join("\n")
    );
}

/// SQL is applied by number from a folder `migrations`, the engine's own or beside a topology; what lies elsewhere is
/// applied by nobody.
#[test]
fn every_sql_file_is_a_migration_of_somebody() {
    for path in super::files(&[".sql"]) {
        let folder = path.parent().expect("a folder");
        let beside = folder.parent().expect("a folder");
        let is_applied = folder.ends_with("migrations")
            && (beside.ends_with("config") || beside.join("topology.yaml").is_file());
        assert!(
            is_applied,
            "{}: nobody applies it; bring it beside its topology, or delete it",
            super::shown(&path)
        );
    }
}
