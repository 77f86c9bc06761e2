//! Encryption and credentials, on servers that ask for them: TLS to each with its authority, users with passwords from
//! files, clients with certificates; and what is said when one of them is wrong.
//!
//! A wrong certificate or password is a state: the actor waits and is named, no restart is burned, `check --connect`
//! says the same, and the node goes on by itself once the file holds what is right.

mod kafka;
mod redis;
mod rotation;
mod timescale;
mod whole;

use crate::harness::secured::{Connections, Login, SECRET, bring_up, naming, password_file};
use crate::harness::topologies::{TRADES, trade};
use crate::harness::world::World;
use aqueduct_stack::secured::Certificates;
use aqueduct_stack::{Part, Stack};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Parts that speak TLS, for the tests that leave them as they are.
fn shared() -> Arc<Stack> {
    static SHARED: OnceLock<Arc<Stack>> = OnceLock::new();
    SHARED.get_or_init(|| Arc::new(bring_up(&Part::DEFAULT))).clone()
}

/// A world, and a user of its own at its servers.
struct Scene {
    world: World,
    login: Login,
}

impl Scene {
    fn new() -> Self {
        Self::on(shared())
    }

    fn on(stack: Arc<Stack>) -> Self {
        let world = World::on_stack(stack);
        let login = Login::new(&world);
        Self { world, login }
    }

    fn stack(&self) -> &Stack {
        self.world.stack()
    }

    fn certificates(&self) -> Certificates {
        self.stack().certificates()
    }

    fn connections(&self) -> Connections {
        self.login.connections(&self.world)
    }

    fn password_file(&self, part: Part) -> PathBuf {
        password_file(&self.world, part)
    }

    fn write_password(&self, part: Part, word: &str) {
        self.login.write_password(&self.world, part, word);
    }

    /// With the table, and a topology file that names the servers so.
    fn prepare(&self, connections: &Connections) -> PathBuf {
        let file = self.world.write_topology(TRADES);
        self.world.migrate(&file);
        self.write(connections)
    }

    /// The topology file anew.
    fn write(&self, connections: &Connections) -> PathBuf {
        self.world.write_topology(&naming(TRADES, connections))
    }

    fn send(&self, from: u64, to: u64) {
        self.world.send((from..=to).map(trade));
    }

    /// `check --connect` names `code` and says each of the words, and never a secret.
    fn check_says(&self, file: &Path, code: &str, words: &[&str]) {
        let output =
            self.world.run(&["check", file.to_str().expect("a plain path"), "--connect", "--format", "text"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("[{code}]")) && words.iter().all(|word| said.contains(word)),
            "{said}"
        );
        assert!(!said.contains(SECRET), "{said}");
    }

    /// Somebody is not let in. Which words reach us is left to the wire: a server that hangs up may do so before its
    /// reason was read.
    fn check_refuses(&self, file: &Path, word: &str) {
        let output = self.world.run(&["check", file.to_str().expect("a plain path"), "--connect"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("error[T10") && said.contains(word), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }

    /// Everything fits, says `check --connect`.
    fn check_is_content(&self, file: &Path) {
        let output = self.world.run(&["check", file.to_str().expect("a plain path"), "--connect"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    }
}
