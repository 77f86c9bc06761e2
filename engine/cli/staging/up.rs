//! `staging up`: servers, logins, topics, tables, nodes, questions; in this order, each step what it was if it is done again.

use super::place::{Place, Told};
use super::questions::Questions;
use super::{NAME, SERVERS, Which, show, users};
use crate::environment::variable;
use crate::exit::{Exit, RefusedConfiguration};
use crate::{file, migrate};
use anyhow::{Context, Result, bail};
use aqueduct_config::monitoring;
use aqueduct_stack::prometheus::Target;
use aqueduct_stack::{Nodes, Options, Part, Progress, Stack, progress};
use aqueduct_topology::has_errors;
use aqueduct_topology::model::{Kind, Topology};
use rdkafka::consumer::{BaseConsumer, Consumer};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Partitions of a topic that is not there.
const PARTITIONS: u32 = 4;
/// What three brokers, two databases and their logs may come to while somebody tries things.
const ROOM_BYTES_MIN: u64 = 2 << 30;
const REQUEST_MAX: Duration = Duration::from_secs(10);

pub(super) fn run(file: Option<&Path>, which: &Which, out: &mut impl Write) -> Result<Exit> {
    // What is wrong with the file is said before a minute is spent on servers.
    let file = file.map(resolved).transpose()?;
    let options = which.options(&SERVERS)?;
    room(&options)?;
    let progress = progress::on_stderr();
    let servers = Stack::begin(&options, &*progress)?;
    let place = Place::of(&servers);
    place.lay(&servers)?;
    let file = file.map_or_else(|| place.topology(), Ok)?;
    let (topology, environment) = understood(&file, place.variables(&servers)?)?;
    progress.note("users, topics and tables");
    users::admit(&servers, &place)?;
    create_topics(&servers, &topology)?;
    if topology.connections.timescale.is_some() {
        migrate::up_as(&users::owner(&servers)?, &topology, &file)?;
        users::admit_to_tables(&servers, &place, &topology)?;
    }
    check(&file, &environment)?;
    let stack = nodes(options, &servers, (&place, &file), environment, &*progress)?;
    let mut told = place.told()?;
    told.operator = place.operator(&stack, &file)?;
    place.tell(&told)?;
    let rules = watch(&stack)?;
    Questions { stack: &stack, place: &place, topology: &topology, rules }.ask(&*progress)?;
    stack.keep()?;
    if servers.started().is_empty() && stack.started().is_empty() {
        progress.note(&format!("staging `{}` was up already", stack.name()));
    }
    show::whole(&stack, &place, &told, which.format, out)?;
    Ok(Exit::Ok)
}

/// The topics that a topology reads and writes.
pub(super) fn topics(topology: &Topology) -> BTreeSet<String> {
    let own = |actor: &aqueduct_topology::model::Actor| match &actor.kind {
        Kind::KafkaSource(source) => Some(source.topic.value.clone()),
        Kind::KafkaSink(sink) => Some(sink.topic.value.clone()),
        Kind::DeadLetter(letters) if topology.connections.timescale.is_none() => {
            let name = letters.topic.as_ref().map(|topic| topic.value.clone());
            Some(name.unwrap_or_else(|| format!("{}.dead_letter", topology.name.value)))
        }
        _ => None,
    };
    topology.actors.iter().filter_map(own).collect()
}

/// The file by its whole path, for nodes whose folder is another; refused if it cannot be right anywhere.
fn resolved(file: &Path) -> Result<PathBuf> {
    let (loaded, _) = file::read_unconnected(file)?;
    if has_errors(&loaded.diagnostics) {
        crate::output::findings(&loaded.source, &loaded.diagnostics);
        return Err(RefusedConfiguration.into());
    }
    std::path::absolute(file).with_context(|| format!("find `{}`", file.display()))
}

fn room(options: &Options) -> Result<()> {
    let folder = options.dir.path();
    let mut known = folder;
    while let (false, Some(parent)) = (known.exists(), known.parent()) {
        known = parent;
    }
    let disk = rustix::fs::statvfs(known).with_context(|| format!("see how full {} is", known.display()))?;
    let free = disk.f_bavail * disk.f_frsize;
    if free < ROOM_BYTES_MIN {
        bail!(
            "{} has {} MiB left and a staging takes {}; make room, or say AQUEDUCT_STACK_DIR=<folder on another disk>",
            folder.display(),
            free >> 20,
            ROOM_BYTES_MIN >> 20
        );
    }
    Ok(())
}

/// The topology as its nodes will read it, and the environment they need for that: the staging's variables, and what else it
/// asks for and we were given.
fn understood(file: &Path, variables: Vec<(String, String)>) -> Result<(Topology, Vec<(String, String)>)> {
    let asked = RefCell::new(BTreeMap::new());
    let environment = |name: &str| {
        if let Some((_, value)) = variables.iter().find(|(known, _)| known == name) {
            return Some(value.clone());
        }
        let value = variable(name)?;
        asked.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let topology = file::parse(&file.display().to_string(), bytes, &environment).accepted()?;
    let environment = variables.iter().cloned().chain(asked.take()).collect();
    Ok((topology, environment))
}

fn create_topics(stack: &Stack, topology: &Topology) -> Result<()> {
    let client: BaseConsumer = stack.kafka_client()?.create()?;
    let metadata = client.fetch_metadata(None, REQUEST_MAX)?;
    let there: BTreeSet<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    for topic in topics(topology).iter().filter(|topic| !there.contains(topic.as_str())) {
        stack.create_topic(topic, PARTITIONS, &[])?;
    }
    Ok(())
}

/// Whether the topology can do its work with what a node comes with.
fn check(file: &Path, environment: &[(String, String)]) -> Result<()> {
    let program = std::env::current_exe().context("find this program's file")?;
    let checked = Command::new(program)
        .arg("check")
        .arg(file)
        .arg("--connect")
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("start a command")?;
    if checked.success() {
        return Ok(());
    }
    crate::output::say!(
        "the topology cannot do its work on a staging, as said above: name its servers and logins by the variables of \
         `aqueduct staging env`, as config/topologies/staging does"
    );
    Err(RefusedConfiguration.into())
}

/// The same stack with its nodes; those that run with something else than is said now are drained first.
fn nodes(
    mut options: Options,
    servers: &Stack,
    (place, file): (&Place, &Path),
    environment: Vec<(String, String)>,
    progress: &dyn Progress,
) -> Result<Stack> {
    let text = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let digest = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let told = Told { topology: file.to_owned(), digest, nodes: environment.clone(), ..place.told()? };
    options.parts.extend(Part::NODES);
    options.nodes = Some(Nodes {
        program: std::env::current_exe().context("find this program's file")?,
        arguments: ["run".into(), file.into(), "--config".into(), place.settings().into()].to_vec(),
        environment,
        name: NAME.to_owned(),
    });
    if told != place.told()? {
        for node in Part::NODES {
            servers.stop(node)?;
        }
    }
    place.tell(&told)?;
    progress.note("nodes");
    Ok(Stack::begin(&options, progress)?)
}

/// Has Prometheus ask the nodes and judge by our rules; how many those are.
fn watch(stack: &Stack) -> Result<usize> {
    let prometheus = stack.prometheus()?;
    let files: Vec<(&str, String)> =
        monitoring::rules().into_iter().map(|rule| (rule.name, rule.text.to_owned())).collect();
    let lines = files.iter().flat_map(|(_, text)| text.lines()).map(str::trim_start);
    let count = lines.filter(|line| line.starts_with("- alert:") || line.starts_with("- record:")).count();
    prometheus.judge_by(&files)?;
    let target = |node: Part| {
        let labels = BTreeMap::from([("node".to_owned(), stack.node_name(node)?)]);
        Some(Target { address: stack.address(node)?, labels })
    };
    prometheus.watch(&Part::NODES.into_iter().filter_map(target).collect::<Vec<_>>())?;
    Ok(count)
}
