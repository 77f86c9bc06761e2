//! What a Prometheus, an Alertmanager and a Grafana beside the nodes need: rules with their tests, routes, runbooks,
//! dashboards. `aqueduct new --monitoring DIR` writes them.

use include_dir::{Dir, include_dir};

static ALERTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/alerts");
static RUNBOOKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/runbooks");
static DASHBOARDS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/dashboards");

/// Rules point to their runbooks so: beside the rules, where they are written together.
pub const RUNBOOKS_HERE: &str = "runbooks/";

/// One file, and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// The folder it belongs into: `alerts`, `alerts/tests`, `runbooks` or `dashboards`.
    pub folder: &'static str,
    /// `lag.rules.yaml`.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// Every file, by folder and name.
pub fn all() -> Vec<File> {
    let folders = [("alerts", &ALERTS), ("runbooks", &RUNBOOKS), ("dashboards", &DASHBOARDS)];
    let mut files: Vec<File> = folders.into_iter().flat_map(|(name, folder)| read(name, folder)).collect();
    let tests = ALERTS.get_dir("tests").into_iter().flat_map(|folder| read("alerts/tests", folder));
    files.extend(tests);
    files.sort_by_key(|file| (file.folder, file.name));
    files
}

/// The rule files.
pub fn rules() -> Vec<File> {
    all().into_iter().filter(|file| file.folder == "alerts" && file.name.ends_with(".rules.yaml")).collect()
}

/// The dashboards.
pub fn dashboards() -> Vec<File> {
    all().into_iter().filter(|file| file.folder == "dashboards").collect()
}

fn read(name: &'static str, folder: &'static Dir<'static>) -> Vec<File> {
    let file = |file: &'static include_dir::File<'static>| {
        Some(File { folder: name, name: file.path().file_name()?.to_str()?, text: file.contents_utf8()? })
    };
    folder.files().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_has_its_files() {
        let files = all();
        for (folder, least) in [("alerts", 10), ("alerts/tests", 8), ("dashboards", 5), ("runbooks", 8)] {
            let found = files.iter().filter(|file| file.folder == folder).count();
            assert!(found >= least, "{folder} has {found} files");
        }
        let tests = files.iter().filter(|file| file.folder == "alerts/tests").count();
        assert_eq!(rules().len(), tests, "a file of rules has a file of tests");
    }
}
