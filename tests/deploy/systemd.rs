//! The unit: to `systemd-analyze` where there is one, and to what the binary promises.

use super::{is_known, settings, text};
use std::process::{Command, Stdio};

const UNIT: &str = "systemd/aqueduct@.service";

/// The values of a key, in order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    unit.lines().filter_map(value).collect()
}

fn value(unit: &str, key: &str) -> String {
    let found = values(unit, key);
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    found[0].clone()
}

#[test]
fn the_unit_waits_for_the_drain_and_does_not_insist_on_what_is_refused() {
    let unit = text(UNIT);
    let stop: u64 = value(&unit, "TimeoutStopSec").parse().expect("seconds");
    let drain = settings(aqueduct_config::ENGINE).drain_deadline().as_secs();
    assert!(stop >= drain + 10, "{stop} s to stop, {drain} s to drain");
    assert_eq!(value(&unit, "Restart"), "on-failure");
    // The command line and the configuration are the same at the next start.
    assert_eq!(value(&unit, "RestartPreventExitStatus"), "64 78");
    assert_eq!(value(&unit, "KillSignal"), "SIGTERM");
    assert!(value(&unit, "ExecStart").starts_with("/usr/bin/aqueduct run "));
    assert!(value(&unit, "ExecReload").contains("-HUP"));
}

#[test]
fn the_unit_gives_the_node_variables_it_knows_and_secrets_as_credentials() {
    let unit = text(UNIT);
    for said in values(&unit, "Environment") {
        let (name, value) = said.split_once('=').expect("a variable");
        assert!(is_known(name), "nobody reads {name}");
        assert!(!name.ends_with("TOKEN"), "{name}={value}: a secret is a credential");
    }
    let credential = value(&unit, "LoadCredential");
    let (id, _) = credential.split_once(':').expect("an id and a folder");
    let token = format!("AQUEDUCT_ADMIN_TOKEN_FILE=%d/{id}_admin-token");
    assert!(values(&unit, "Environment").contains(&token), "{token}");
}

#[test]
fn systemd_finds_the_unit_right_and_the_service_shut_in() {
    if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("NOT CHECKED: systemd-analyze is not here (apt-get install systemd)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("aqueduct@.service");
    let unit = text(UNIT).replace("/usr/bin/aqueduct", env!("CARGO_BIN_EXE_aqueduct"));
    std::fs::write(&copy, unit).expect("written");
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        let output =
            command.args(["--no-pager", "--man=no"]).args(arguments).arg(&copy).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
        said
    };
    // What it does not know it says, and goes on.
    assert_eq!(analyze(&["verify"]), "");
    // Of 100, where 100 is open to everything.
    analyze(&["security", "--offline=true", "--threshold=13"]);
}
