//! Dependencies that nobody uses, or that only tests do.

use crate::deploy::tools;

#[test]
fn every_dependency_is_used_where_it_is_declared() {
    let output =
        tools::program("cargo-shear").args(["--locked", "--color=never"]).output().expect("it starts");
    let found =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "take them out of the manifests (`cargo shear --fix`), or bring what only tests use to [dev-dependencies]:\n{found}"
    );
}
