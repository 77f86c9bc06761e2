//! Two regions on one machine: what is where, and the links between them.
//!
//! Each region has a node, a database, a Redis and a broker. A third broker is elsewhere, as a witness: without it the
//! loss of either region would leave no majority. What goes from one region to the other goes by Toxiproxy: it is late,
//! loses a segment now and then, and can be made to fall silent. Deliberately absent: links between brokers, which tell
//! each other their addresses; a broker is lost with its region all the same.

use crate::drill::stage::Stage;
use anyhow::Result;
use aqueduct_stack::toxiproxy::{Direction, Proxy, Toxic, ToxicName};
use aqueduct_stack::{Part, with_hosts};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Everything that runs.
pub(super) const PARTS: [Part; 8] = [
    Part::Kafka,
    Part::Broker2,
    Part::Broker3,
    Part::Timescale,
    Part::Standby,
    Part::Redis,
    Part::Replica,
    Part::Toxiproxy,
];
/// How long anything takes from one region to the other.
const DELAY: Duration = Duration::from_millis(40);
const JITTER: Duration = Duration::from_millis(5);
/// A segment that was lost comes again after so long: the least that Linux waits before it sends anew.
const RETRANSMITTED_AFTER: Duration = Duration::from_millis(200);
/// How often one link loses something, and for how long.
const LOSS_EVERY: Duration = Duration::from_millis(700);
const LOSS_LASTS: Duration = Duration::from_millis(50);

/// One of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Region {
    /// Where the primaries are when the drill begins.
    #[default]
    #[value(name = "region-a")]
    A,
    /// Where the followers are.
    #[value(name = "region-b")]
    B,
}

impl Region {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "region-a",
            Self::B => "region-b",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(super) fn database(self) -> Part {
        match self {
            Self::A => Part::Timescale,
            Self::B => Part::Standby,
        }
    }

    pub(super) fn cache(self) -> Part {
        match self {
            Self::A => Part::Redis,
            Self::B => Part::Replica,
        }
    }

    pub(super) fn broker(self) -> Part {
        match self {
            Self::A => Part::Kafka,
            Self::B => Part::Broker2,
        }
    }

    /// The servers that are lost with it.
    pub(super) fn parts(self) -> [Part; 3] {
        [self.database(), self.cache(), self.broker()]
    }
}

/// What leads from one region into the other: by the region it leads into.
struct Entry {
    database: Proxy,
    cache: Proxy,
}

/// Every link.
pub(super) struct Links {
    into_a: Entry,
    into_b: Entry,
    /// By which the standby hears the primary.
    replication: Proxy,
    /// What makes them silent, each with the number of its link.
    holes: Mutex<Vec<(usize, ToxicName)>>,
}

impl Links {
    /// Lays them, and has the followers hear their leaders by them.
    pub(super) fn lay(stage: &Stage) -> Result<Self> {
        let stack = &stage.stack;
        let entry = |region: Region| -> Result<Entry> {
            let database = stack.through_toxiproxy(region.database())?;
            Ok(Entry { database, cache: stack.through_toxiproxy(region.cache())? })
        };
        let (into_a, into_b) = (entry(Region::A)?, entry(Region::B)?);
        let links = Self {
            into_a,
            into_b,
            replication: stack.through_toxiproxy(Part::Timescale)?,
            holes: Mutex::default(),
        };
        for proxy in links.all() {
            for direction in [Direction::Up, Direction::Down] {
                proxy.add(direction, Toxic::Latency { delay: DELAY, jitter: JITTER })?;
            }
        }
        stack.follow_by(Part::Standby, &links.replication)?;
        stack.follow_by(Part::Replica, &links.into_a.cache)?;
        Ok(links)
    }

    fn all(&self) -> [&Proxy; 5] {
        let Self { into_a, into_b, replication, .. } = self;
        [&into_a.database, &into_a.cache, &into_b.database, &into_b.cache, replication]
    }

    fn entry(&self, region: Region) -> &Entry {
        match region {
            Region::A => &self.into_a,
            Region::B => &self.into_b,
        }
    }

    /// Nothing passes between the regions any more. Nobody is told: connections stay open, and are silent.
    pub(super) fn cut(&self) -> Result<()> {
        let mut holes = self.holes.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, proxy) in self.all().into_iter().enumerate() {
            for direction in [Direction::Up, Direction::Down] {
                holes.push((index, proxy.add(direction, Toxic::BlackHole)?));
            }
        }
        Ok(())
    }

    /// They are as before; what was silent is closed.
    pub(super) fn mend(&self) -> Result<()> {
        let mut holes = self.holes.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, hole) in holes.drain(..) {
            self.all()[index].remove(&hole)?;
        }
        Ok(self.replication.up()?)
    }

    /// The standby hears nothing of the primary any more.
    pub(super) fn hold_replication(&self) -> Result<()> {
        Ok(self.replication.down()?)
    }

    /// Starts the Redis and the database of `region` as followers of the other's, which they hear by the links. Redis first:
    /// a node that finds the new primary writes to the Redis of its region as long as that says it leads.
    pub(super) fn follow(&self, stage: &Stage, region: Region) -> Result<()> {
        let (stack, leader) = (&stage.stack, region.other());
        let entry = self.entry(leader);
        for (part, leader, link) in [
            (region.cache(), leader.cache(), &entry.cache),
            (region.database(), leader.database(), &entry.database),
        ] {
            stack.follow(part, leader)?;
            stack.follow_by(part, link)?;
        }
        Ok(())
    }

    /// The variables by which a node of `region` finds its servers: those of its own region, and the others by the links.
    pub(super) fn variables(&self, stage: &Stage, region: Region) -> Vec<(&'static str, String)> {
        let entry = self.entry(region.other());
        let both = |address: &str, own: Part, link: &Proxy| {
            with_hosts(address, &[&host(stage, own), link.address()])
        };
        let brokers = [region.broker(), region.other().broker(), Part::Broker3];
        vec![
            ("KAFKA_BOOTSTRAP", brokers.map(|broker| address(stage, broker)).join(",")),
            ("TIMESCALE_URL", both(stage.database_url(), region.database(), &entry.database)),
            ("REDIS_URL", both(&address(stage, Part::Redis), region.cache(), &entry.cache)),
        ]
    }
}

/// The database, as whoever is in no region finds it: by both servers.
pub(super) fn database_url(stage: &Stage) -> String {
    let hosts = [Region::A, Region::B].map(|region| host(stage, region.database()));
    with_hosts(stage.database_url(), &hosts.each_ref().map(String::as_str))
}

/// Redis, in the same way.
pub(super) fn redis_url(stage: &Stage) -> String {
    let hosts = [Region::A, Region::B].map(|region| host(stage, region.cache()));
    with_hosts(&address(stage, Part::Redis), &hosts.each_ref().map(String::as_str))
}

/// The database of one region alone.
pub(super) fn database_of(stage: &Stage, region: Region) -> String {
    with_hosts(stage.database_url(), &[&host(stage, region.database())])
}

fn address(stage: &Stage, part: Part) -> String {
    stage.stack.address(part).expect("invariant: the drill's stack has every part")
}

/// `host:port` of a part.
fn host(stage: &Stage, part: Part) -> String {
    let address = address(stage, part);
    let rest = address.split_once("://").map_or(&*address, |(_, rest)| rest);
    let place = rest.split('/').next().unwrap_or(rest);
    place.rsplit_once('@').map_or(place, |(_, place)| place).to_owned()
}

/// Loses a segment now and then, on one link or another: whoever waits for it waits until it is sent again.
pub(super) struct Loss {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loss {
    pub(super) fn begin(links: Arc<Links>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let all = links.all();
                let proxy = all[fastrand::usize(..all.len())];
                let late = Toxic::Latency { delay: RETRANSMITTED_AFTER, jitter: Duration::ZERO };
                // A link that is cut loses everything anyhow.
                if let Ok(toxic) = proxy.add(Direction::Down, late) {
                    std::thread::sleep(LOSS_LASTS);
                    let _ = proxy.remove(&toxic);
                }
                std::thread::sleep(LOSS_EVERY);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed; the drill does not depend on it.
            let _ = thread.join();
        }
    }
}
