//! A scene's stage: a database, a topic and a node of its own, reached over wires of its own, with trades flowing.

use super::faults::Scene;
use super::flow::Flow;
use super::setting::Setting;
use crate::harness::node::{Launch, Node};
use crate::harness::wait;
use crate::harness::world::{Sql, World};
use crate::wire::Wire;
use aqueduct_stack::Part;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub const TOKEN: &str = "alerts-token-0123456789abcdef";
const START_MAX: Duration = Duration::from_secs(120);
/// Records a second while nothing is disturbed.
pub const RATE: u64 = 100;

pub struct Stage {
    pub name: &'static str,
    pub world: World,
    pub file: PathBuf,
    pub flow: Flow,
    pub database: Wire,
    pub redis: Wire,
    redis_part: Part,
    node: Mutex<Option<Node>>,
}

impl Stage {
    pub fn set(setting: &Setting, scene: &Scene) -> Self {
        let world = World::on_stack(setting.stack.clone());
        let file = world.write_topology(&(scene.topology)(setting.factor));
        world.migrate(&file);
        (scene.prepare)(&world);
        let flow = Flow::start(world.feed(), RATE);
        let redis = world.stack().address(scene.redis).expect("it was asked for");
        let (database, redis) = (Wire::to(world.database_url()), Wire::to(&redis));
        let (name, redis_part) = (scene.name, scene.redis);
        Self { name, world, file, flow, database, redis, redis_part, node: Mutex::new(None) }
    }

    /// Starts the scene's node, again if it was killed, and has Prometheus ask it there. It ends with the thread that does
    /// so.
    pub fn start(&self, setting: &Setting) {
        self.start_through(setting, &[]);
    }

    /// The same through a program, with its arguments, that becomes the node.
    pub fn start_through(&self, setting: &Setting, through: &[&str]) {
        let started = self.launch(self.name, through);
        setting.ask_at(self.name, started.admin);
        *self.node() = Some(started);
    }

    /// A node of that name on the scene's topology.
    pub fn launch(&self, name: &str, through: &[&str]) -> Node {
        let environment = [
            ("AQUEDUCT_ADMIN_TOKEN", TOKEN),
            ("TIMESCALE_URL", &self.database.url(self.world.database_url())),
            ("REDIS_URL", &self.redis.url(&self.redis_url())),
        ];
        Node::launch(
            &self.world,
            &self.file,
            &Launch { name, environment: &environment, through, ..Launch::default() },
        )
    }

    /// The node, while it runs.
    pub fn node(&self) -> MutexGuard<'_, Option<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn with_node<T>(&self, ask: impl FnOnce(&Node) -> T) -> T {
        ask(self.node().as_ref().expect("the node runs"))
    }

    pub fn kill(&self) {
        self.node().take().expect("the node runs").kill();
    }

    /// An order to the node, which must take it.
    pub fn order(&self, path: &str) {
        let answer = self.with_node(|node| node.post(path, TOKEN, Duration::from_secs(60)));
        assert!(matches!(answer, Some((200..=202, _))), "{path}: {answer:?}");
    }

    /// Asks for a reload, which must be answered so.
    pub fn reload(&self, status: u16) {
        let answer = self.with_node(|node| node.post("/api/reload", TOKEN, Duration::from_secs(60)));
        assert!(answer.as_ref().is_some_and(|(found, _)| *found == status), "{answer:?}");
    }

    /// The wire leads nowhere, and what is connected is cut.
    pub fn cut_off(&self, wire: &Wire) {
        wire.lead_to("tcp://u@127.0.0.1:1/x");
        wire.cut();
    }

    pub fn join_database(&self) {
        self.database.lead_to(self.world.database_url());
        self.database.cut();
    }

    pub fn join_redis(&self) {
        self.redis.lead_to(&self.redis_url());
        self.redis.cut();
    }

    /// The scene's Redis itself, without the wire.
    pub fn redis_url(&self) -> String {
        self.world.stack().address(self.redis_part).expect("it is there")
    }

    /// The node may have so many files open from now on.
    pub fn limit_files(&self, files: usize) {
        let status = self.with_node(Node::proc_status);
        let pid = status.lines().find_map(|line| line.strip_prefix("Pid:")).expect("its id").trim();
        let pid = Pid::from_raw(pid.parse().expect("a number"));
        // What it may raise its own limit to is what we may, and stays so.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(files as u64), maximum };
        prlimit(pid, Resource::Nofile, limit).expect("the process is ours");
    }

    pub fn sql(&self) -> Sql {
        self.world.sql()
    }

    pub fn await_ready(&self) {
        wait::until("the node to be ready", START_MAX, || {
            self.with_node(|node| node.get("/readyz")).filter(|(status, _)| *status == 200)
        });
    }
}
