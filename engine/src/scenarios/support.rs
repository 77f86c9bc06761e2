//! Scripted actors, small topologies, and a way to wait for what is seen from outside.

use crate::batch::{Batch, Origin, PartitionKey, RawRecords};
use crate::{
    Actor, Builder, Catalog, Clock, Context, Error, Factory, Handle, Next, Outcome, RuntimeApplication,
};
use aqueduct_topology::model::{
    self, Backoff, Coding, Connections, DeadLetter, KafkaSink, Kind, LinkBounds, MatchMode, Normalizer,
    Policy, ReplayFormat, ReplaySource, Restart, Strategy, Supervisor, TimeUnit, Topology,
};
use aqueduct_topology::{Span, Spanned};
use arrow_array::{BinaryArray, Int64Array};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) type Behaviour =
    Arc<dyn for<'a> Fn(&'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> + Send + Sync>;

struct Scripted(Behaviour);

impl Actor for Scripted {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        (self.0)(cx)
    }
}

/// What happened, in order, as the actors themselves tell it.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(super) fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|known| *known == line).count()
    }
}

pub(super) fn behaviour<F>(run: F) -> Behaviour
where
    F: for<'a> Fn(&'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> + Send + Sync + 'static,
{
    Arc::new(run)
}

/// One record per batch, at `offset` of the only partition of source `ticks`.
pub(super) fn record(offset: i64) -> Batch {
    let key = PartitionKey { source: "ticks".into(), topic: "md".into(), partition: 0 };
    let raw = RawRecords {
        offsets: Int64Array::from(vec![offset]),
        keys: BinaryArray::from(vec![None::<&[u8]>]),
        values: BinaryArray::from(vec![Some(&b"{}"[..])]),
        times_ms: Int64Array::from(vec![Some(0)]),
        headers: None,
    };
    Batch::raw(Origin { key, epoch: 1, first: offset, next: offset + 1 }, raw)
}

/// Pushes `records`, says again and again that it is caught up, waits for the drain.
pub(super) fn source(records: i64) -> Behaviour {
    behaviour(move |cx| {
        Box::pin(async move {
            for offset in 0..records {
                if cx.status.is_draining() {
                    return Ok(());
                }
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
            }
            let (status, clock) = (cx.status.clone(), cx.clock.clone());
            loop {
                status.caught_up(true);
                tokio::select! {
                    biased;
                    () = status.draining() => return Ok(()),
                    () = status.stopped() => return Ok(()),
                    () = clock.sleep(Duration::from_millis(50)) => {}
                }
            }
        })
    })
}

/// Hands on every batch.
pub(super) fn pass(journal: &Journal) -> Behaviour {
    let journal = journal.clone();
    behaviour(move |cx| {
        let journal = journal.clone();
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                cx.push(Batch::clone(&lease)).await?;
                lease.settle();
            }
            journal.note(format!("{} done", cx.identity.name));
            Ok(())
        })
    })
}

/// Notes every offset.
pub(super) fn sink(journal: &Journal) -> Behaviour {
    let journal = journal.clone();
    behaviour(move |cx| {
        let journal = journal.clone();
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                journal.note(format!("{} {}", cx.identity.name, lease.origin.first));
                cx.settle_written(lease);
            }
            journal.note(format!("{} done", cx.identity.name));
            Ok(())
        })
    })
}

/// Serves until told to stop.
pub(super) fn idle() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            cx.status.stopped().await;
            Ok(())
        })
    })
}

/// A topology in the making.
pub(super) struct World {
    actors: Vec<model::Actor>,
    supervisors: Vec<Supervisor>,
    behaviours: BTreeMap<String, Behaviour>,
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::default())
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn supervisor(name: &str, children: &[&str]) -> Supervisor {
    Supervisor {
        name: spanned(name.to_owned()),
        strategy: Strategy::OneForOne,
        intensity: 3,
        period: secs(30),
        backoff: Backoff::default(),
        children: children.iter().map(|child| spanned((*child).to_owned())).collect(),
        span: Span::default(),
    }
}

impl World {
    /// A root and a dead letter.
    pub(super) fn new() -> Self {
        let world = Self {
            actors: Vec::new(),
            supervisors: vec![supervisor("root", &[])],
            behaviours: BTreeMap::new(),
        };
        world.actor("dead_letter", &[], Kind::DeadLetter(DeadLetter::default()), idle())
    }

    /// `ticks -> trades -> history`, of which only the behaviours are said.
    pub(super) fn line(ticks: Behaviour, trades: Behaviour, history: Behaviour) -> Self {
        Self::new()
            .source("ticks", ticks)
            .transform("trades", "ticks", trades)
            .sink("history", "trades", history)
    }

    pub(super) fn actor(mut self, name: &str, from: &[&str], kind: Kind, run: Behaviour) -> Self {
        self.actors.push(model::Actor {
            name: spanned(name.to_owned()),
            id: spanned(name.to_owned()),
            adopts: None,
            description: None,
            from: from.iter().map(|from| spanned((*from).to_owned())).collect(),
            restart: Restart::Permanent,
            shutdown: secs(5),
            parallelism: spanned(1),
            load: None,
            link: LinkBounds { batches: 8, bytes: 1 << 20 },
            policy: Policy::Required,
            kind,
            span: Span::default(),
        });
        self.behaviours.insert(name.to_owned(), run);
        self
    }

    pub(super) fn source(self, name: &str, run: Behaviour) -> Self {
        let replay = ReplaySource {
            file: spanned("none".into()),
            format: ReplayFormat::Jsonl,
            topic: "md".into(),
            time: None,
            time_unit: TimeUnit::Millis,
            key: None,
            speed: None,
            partitions: 1,
            repeat: Some(1),
        };
        self.actor(name, &[], Kind::ReplaySource(replay), run)
    }

    pub(super) fn transform(self, name: &str, from: &str, run: Behaviour) -> Self {
        let normalizer = Normalizer {
            coding: Coding::Json,
            columns: vec![],
            cases: vec![],
            match_mode: MatchMode::First,
            event_time: None,
        };
        self.actor(name, &[from], Kind::Normalizer(normalizer), run)
    }

    pub(super) fn sink(self, name: &str, from: &str, run: Behaviour) -> Self {
        let sink = KafkaSink { topic: spanned("out".into()), key: None };
        self.actor(name, &[from], Kind::KafkaSink(sink), run)
    }

    /// Gives an actor another behaviour.
    pub(super) fn behaving(mut self, name: &str, run: Behaviour) -> Self {
        self.behaviours.insert(name.to_owned(), run);
        self
    }

    /// Changes the actor added last.
    pub(super) fn with(mut self, change: impl FnOnce(&mut model::Actor)) -> Self {
        change(self.actors.last_mut().unwrap());
        self
    }

    /// Changes the root.
    pub(super) fn root(mut self, change: impl FnOnce(&mut Supervisor)) -> Self {
        change(&mut self.supervisors[0]);
        self
    }

    /// A supervisor below the root.
    pub(super) fn supervisor(
        mut self,
        name: &str,
        children: &[&str],
        change: impl FnOnce(&mut Supervisor),
    ) -> Self {
        let mut below = supervisor(name, children);
        change(&mut below);
        self.supervisors[0].children.push(spanned(name.to_owned()));
        self.supervisors.push(below);
        self
    }

    pub(super) fn builder(self) -> Builder {
        let (topology, catalog) = self.parts();
        RuntimeApplication::builder(topology).clock(Clock::simulated(0)).catalog(catalog)
    }

    /// This in the place of what is at work in generation `onto`; `restart` did change.
    pub(super) fn next(self, restart: &[&str], onto: u64) -> Next {
        let (topology, catalog) = self.parts();
        let restart = restart.iter().map(|name| (*name).to_owned()).collect();
        Next { topology, canonical: onto.into(), catalog, offsets: None, restart, onto }
    }

    fn parts(self) -> (Arc<Topology>, Catalog) {
        let topology = Topology {
            name: spanned("test".into()),
            connections: Connections::default(),
            supervisors: self.supervisors,
            actors: self.actors,
        };
        let behaviours = self.behaviours;
        let catalog: Catalog = Box::new(move |actor| {
            let behaviour = behaviours[&actor.name.value].clone();
            Ok(Arc::new(move || Box::new(Scripted(behaviour.clone())) as Box<dyn Actor>) as Factory)
        });
        (Arc::new(topology), catalog)
    }
}

/// Runs the application on this thread, with `play` speaking to it; gives its outcome.
pub(super) async fn perform<F, Fut>(application: RuntimeApplication, play: F) -> Outcome
where
    F: FnOnce(Handle) -> Fut,
    Fut: Future<Output = ()>,
{
    let handle = application.handle();
    let both = async { tokio::join!(application.run(), play(handle)).0 };
    tokio::task::LocalSet::new().run_until(both).await
}

/// Waits until `seen` of the application is true. Wakes at each event, and every now and then for what makes none.
pub(super) async fn until(handle: &Handle, what: &str, seen: impl Fn(&Handle) -> bool) {
    let mut newest = handle.registry().events().newest();
    for _ in 0..2_000 {
        if seen(handle) {
            return;
        }
        let _ = tokio::time::timeout(Duration::from_millis(100), newest.changed()).await;
    }
    panic!("not seen: {what}; actors: {:#?}", handle.registry().actors());
}

pub(super) fn state(handle: &Handle, actor: &str) -> &'static str {
    handle.observe(actor).unwrap().state
}
