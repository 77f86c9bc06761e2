//! The example topologies, each with the migrations its tables need.

use include_dir::{Dir, include_dir};

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/topologies");

/// One folder of `config/topologies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The folder's name.
    pub name: &'static str,
    /// `topology.yaml`.
    pub text: &'static str,
    /// `migrations/*.sql` by name, in order; empty where the example has no table.
    pub migrations: Vec<(&'static str, &'static str)>,
}

/// The example of that name.
pub fn example(name: &str) -> Option<Example> {
    all().into_iter().find(|example| example.name == name)
}

/// Every example, by name.
pub fn all() -> Vec<Example> {
    let mut examples: Vec<Example> = FOLDER.dirs().filter_map(read).collect();
    examples.sort_by_key(|example| example.name);
    examples
}

fn read(folder: &Dir<'static>) -> Option<Example> {
    let name = folder.path().file_name()?.to_str()?;
    let text = folder.get_file(folder.path().join("topology.yaml"))?.contents_utf8()?;
    let files = folder.get_dir(folder.path().join("migrations")).into_iter().flat_map(Dir::files);
    let mut migrations: Vec<_> = files
        .filter_map(|file| Some((file.path().file_name()?.to_str()?, file.contents_utf8()?)))
        .filter(|(name, _)| name.ends_with(".sql"))
        .collect();
    migrations.sort();
    Some(Example { name, text, migrations })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_an_example() {
        let names: Vec<_> = all().into_iter().map(|example| example.name).collect();
        assert_eq!(
            names,
            [
                "audit-log",
                "books",
                "executions",
                "fills",
                "kraken",
                "md-trades",
                "minimal",
                "orders",
                "phemex",
                "plant",
                "quotes",
                "risk-gate",
                "staging"
            ]
        );
        assert!(example("md-trades").is_some_and(|example| example.text.contains("topology: md-trades")));
    }
}
