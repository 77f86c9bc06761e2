//! `aqueduct rotate FILE --what ..`: another login takes the place of the one in use, while data flows.
//!
//! Create, verify, switch, wait, revoke: what goes is taken away only once every node has left it. Each step may be done
//! again, and what was begun lies beside the secret's own files ([`state`]): interrupted anywhere, the same command goes on.
//! Why it takes two users or two passwords: ADR 0022. For people: `config/runbooks/rotation.md`.
//!
//! Deliberately absent: passwords among the arguments, and a way to revoke without the nodes' word.

mod admin;
mod nodes;
mod state;

use crate::exit::Exit;
use crate::output::say;
use crate::{file, stores};
use anyhow::{Context, Result};
use aqueduct_actors::rotation::{self, Admin, Change, Part};
use aqueduct_engine::Clock;
use aqueduct_engine::clock::Instant;
use aqueduct_topology::model::Topology;
use nodes::Nodes;
use secrecy::SecretString;
use state::State;
pub(crate) use state::random_password;
use std::path::PathBuf;
use std::time::Duration;

/// How often servers are asked.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// Whose login.
    #[arg(long, value_enum)]
    what: What,
    /// The admin endpoint of every node that uses it; repeat it for each.
    #[arg(
        long = "node",
        value_name = "URL",
        env = "AQUEDUCT_NODE_URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:9464"
    )]
    nodes: Vec<String>,
    /// The user that shall log in next, instead of the one whose turn it is.
    #[arg(long, value_name = "USER")]
    to: Option<String>,
    /// How long nodes may take to come with the new login, such as `60s`.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    wait: Duration,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    Timescale,
    Kafka,
    Redis,
}

impl From<What> for Part {
    fn from(what: What) -> Self {
        match what {
            What::Timescale => Part::Timescale,
            What::Kafka => Part::Kafka,
            What::Redis => Part::Redis,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    aqueduct_topology::duration(text).ok_or_else(|| format!("`{text}` is no duration; write 30s or 5m"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let part = Part::from(arguments.what);
    let files = rotation::login_files(&topology, part)?;
    let admin = admin::of(&topology, part)?;
    let mut nodes = Nodes::new(&arguments.nodes);
    // Before anything is changed: whom it concerns is there, and has the login that is to go.
    nodes.know(&topology)?;
    let mut state = State::open(&topology, part, files, arguments.to.as_deref())?;
    if arguments.dry_run {
        say_plan(part, &state, &nodes, arguments.wait);
        return Ok(Exit::Ok);
    }
    stores::block_on(async {
        let _alone = nodes::alone(&topology, part, &admin).await?;
        carry_out(&topology, part, &admin, &mut state, &mut nodes, arguments.wait).await
    })
}

fn say_plan(part: Part, state: &State, nodes: &Nodes, wait: Duration) {
    let Change { from, to, .. } = state.change();
    let name = part.name();
    if state.is_begun() {
        say!("a rotation of {name} was begun before; it would be gone on with");
    }
    if part.alternates() {
        say!("create:  user `{to}` of {name} gets a new password and what `{from}` may");
    } else {
        say!("create:  user `{to}` of {name} gets a second password");
    }
    say!("verify:  log in with it, from {}", state.staged().password.display());
    say!("switch:  write {}", state.written());
    say!("wait:    up to {wait:?} until these come with it and have left the former one: {nodes}");
    if part.alternates() {
        say!("revoke:  `{from}` may log in no longer");
    } else {
        say!("revoke:  the first password is taken away");
    }
}

async fn carry_out(
    topology: &Topology,
    part: Part,
    admin: &Admin,
    state: &mut State,
    nodes: &mut Nodes,
    wait: Duration,
) -> Result<Exit> {
    let (clock, change) = (Clock::system(), state.change().clone());
    let Change { from, to, .. } = &change;
    let password = state.stage()?;
    say!(
        "create:  {}",
        if part.alternates() { format!("user `{to}`") } else { format!("a second password of `{to}`") }
    );
    stores::answered(admin.create(&change, &password, clock.clone()).await)
        .context("the new login could not be made everywhere, so nothing was switched and nothing revoked")?;
    let staged = rotation::with_login_files(topology, part, state.staged());
    verify(&staged, part, &clock).await?;
    say!("verify:  the server lets it in, and to where the topology has to go");
    let generation = rotation::generation(&staged, part)?;
    state.switch()?;
    say!("switch:  {}; generation {generation}", state.written());
    let until = clock.now() + wait;
    let lagging = nodes.wait_for(part, &generation, wait, &clock).await;
    let strangers = nodes.strangers(topology, admin).await?;
    let lacking = lacking(admin, &change, &password, until, &clock).await;
    if !lagging.is_empty() || !strangers.is_empty() || !lacking.is_empty() {
        for told in lagging.iter().chain(&strangers).chain(&lacking) {
            say!("wait:    {told}");
        }
        let whose = if part.alternates() {
            format!("`{from}` still logs in")
        } else {
            "both passwords hold".to_owned()
        };
        say!(
            "error: not every {} has come over, so nothing is revoked: {whose}. Mend what is said above and run the same \
             command again; it goes on from here",
            if lacking.is_empty() { "node" } else { "node and server" }
        );
        return Ok(Exit::Failed);
    }
    say!("wait:    every node has come over: {nodes}");
    let note = stores::answered(admin.revoke(&change, clock).await).context(
        "the former login still holds somewhere; run the same command again, it goes on from here",
    )?;
    say!(
        "revoke:  {}",
        if part.alternates() {
            format!("`{from}` logs in no longer")
        } else {
            "the former password".to_owned()
        }
    );
    if let Some(note) = note {
        say!("         {note}");
    }
    state.done()?;
    say!("done:    {} comes as `{to}`, generation {generation}", part.name());
    Ok(Exit::Ok)
}

/// What is to be said of servers that do not know the new login at `until`, which are waited for.
async fn lacking(
    admin: &Admin,
    change: &Change,
    password: &SecretString,
    until: Instant,
    clock: &Clock,
) -> Vec<String> {
    loop {
        let lacking = admin.lacking(change, password, clock.clone()).await;
        if lacking.is_empty() || clock.now() >= until {
            return lacking;
        }
        clock.sleep(ASK_EVERY).await;
    }
}

/// What was created may take a moment to be known to all of a cluster.
async fn verify(staged: &Topology, part: Part, clock: &Clock) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let until = clock.now() + PATIENCE;
    loop {
        match rotation::prove(staged, part, clock.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) if clock.now() >= until => {
                let error = anyhow::Error::from(error);
                return Err(error
                    .context("the new login does not hold, so nothing was switched; the one in use stays"));
            }
            Err(_) => clock.sleep(ASK_EVERY).await,
        }
    }
}
