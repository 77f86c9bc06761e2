//! One actor between real links.

use super::probe::{Probe, Seen, Shared};
use crate::actor::{Actor, ActorIdentity, Context};
use crate::claim::Claims;
use crate::class::Error;
use crate::clock::Clock;
use crate::ledger::{Ledger, SinkIndex};
use crate::letter::DeadLetterPort;
use crate::link::{Bounds, Link, Receiver};
use crate::port::{Edge, Inputs, Outputs};
use crate::status::Status;
use futures::FutureExt;
use futures::future::{Either, join_all, select};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// Says how the actor under test stands between its links. See [`Harness::builder`].
#[derive(Clone, Debug)]
pub struct HarnessBuilder {
    name: Arc<str>,
    kind: &'static str,
    inputs: usize,
    outputs: usize,
    sink: Option<bool>,
    bounds: Bounds,
    clock: Clock,
    letters_answered: bool,
    decides: bool,
}

impl HarnessBuilder {
    /// Its kind. Default `test`.
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// How many links lead into it. Default 1.
    pub fn inputs(mut self, inputs: usize) -> Self {
        self.inputs = inputs;
        self
    }

    /// How many edges lead out of it. Default 1.
    pub fn outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs;
        self
    }

    /// It is a sink, required or best effort: it settles in the ledger itself and has no outputs.
    pub fn sink(mut self, required: bool) -> Self {
        self.sink = Some(required);
        self.outputs = 0;
        self
    }

    /// The bounds of every link. Default: wider than any test.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// It lies on a best-effort branch beside a required one: what it rejects decides no record's fate.
    pub fn beside(mut self) -> Self {
        self.decides = false;
        self
    }

    /// Leaves letter requests in their port: for the `dead_letter` kind, which answers them itself.
    pub fn letters_left(mut self) -> Self {
        self.letters_answered = false;
        self
    }

    /// The harness.
    pub fn build(self) -> Harness {
        let link = |_| Link::new(self.bounds);
        let input_links: Vec<_> = (0..self.inputs).map(link).collect();
        let output_links: Vec<_> = (0..self.outputs).map(link).collect();
        let sinks = match self.sink {
            Some(required) => vec![(self.name.clone(), required)],
            None => (0..self.outputs).map(|output| (format!("output{output}").into(), true)).collect(),
        };
        let receivers = output_links.iter().map(Link::receiver).collect();
        let shared = Shared {
            senders: input_links.iter().map(Link::sender).collect(),
            input_links,
            output_links,
            ledger: Ledger::new("test".into(), sinks),
            claims: Claims::default(),
            name: self.name.clone(),
            port: DeadLetterPort::default(),
            status: Status::new(self.clock.clone()),
            outputs_are_sinks: self.sink.is_none(),
            outputs_held: AtomicBool::new(false),
            seen: Mutex::new(Seen::default()),
            changed: tokio::sync::Notify::new(),
        };
        let probe = Probe { shared: Arc::new(shared) };
        let context = self.context(&probe);
        Harness { context, probe, receivers, builder: self }
    }

    /// New ends on the same links: what a restarted actor gets.
    fn context(&self, probe: &Probe) -> Context {
        let shared = &probe.shared;
        Context {
            identity: ActorIdentity {
                topology: "test".into(),
                name: self.name.clone(),
                id: self.name.clone(),
                kind: self.kind,
                clone: 0,
            },
            inputs: Inputs::new(shared.input_links.iter().map(Link::receiver).collect()),
            outputs: Outputs::new(
                shared.output_links.iter().map(|link| Edge::new(vec![link.sender()], false)).collect(),
            ),
            clock: self.clock.clone(),
            ledger: shared.ledger.clone(),
            sink: self.sink.map(|_| SinkIndex(0)),
            decides: self.decides,
            claims: shared.claims.clone(),
            letters: shared.port.clone(),
            status: shared.status.clone(),
        }
    }
}

/// One actor between real links. It dereferences to its [`Probe`]: send, receive, read letters and the ledger there.
#[derive(Debug)]
pub struct Harness {
    context: Context,
    probe: Probe,
    /// The far ends of the outputs.
    receivers: Vec<Receiver>,
    builder: HarnessBuilder,
}

impl Deref for Harness {
    type Target = Probe;

    fn deref(&self) -> &Probe {
        &self.probe
    }
}

impl Harness {
    /// An actor called `name` with one input and one output.
    pub fn new(name: &str) -> Self {
        Self::builder(name).build()
    }

    /// A sink called `name`: one input, no output, index 0 in the ledger.
    pub fn sink(name: &str, required: bool) -> Self {
        Self::builder(name).sink(required).build()
    }

    /// A source called `name`: no input, one output.
    pub fn source(name: &str) -> Self {
        Self::builder(name).inputs(0).build()
    }

    /// Anything else.
    pub fn builder(name: &str) -> HarnessBuilder {
        HarnessBuilder {
            name: name.into(),
            kind: "test",
            inputs: 1,
            outputs: 1,
            sink: None,
            bounds: Bounds { batches: 4096, bytes: 1 << 30 },
            clock: Clock::system(),
            letters_answered: true,
            decides: true,
        }
    }

    /// The outside, to use while the actor runs.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// What the actor sees.
    pub fn context(&mut self) -> &mut Context {
        &mut self.context
    }

    /// Runs `actor` until it ends by itself, as its host would: letters are answered, what it pushes is taken, a panic
    /// is an error of class bug. If it ended well, its outputs are closed afterwards. If not, running again is a restart
    /// with what it had not settled; crashing on the same batch again and again puts it on probation, as in production.
    pub async fn run(&mut self, actor: impl Actor) -> Result<(), Error> {
        self.run_while(actor, async {}).await.0
    }

    /// Like [`run`](Self::run), with `script` beside it. Ends when both have.
    pub async fn run_while<T>(
        &mut self,
        mut actor: impl Actor,
        script: impl Future<Output = T>,
    ) -> (Result<(), Error>, T) {
        let probe = self.probe.clone();
        let (ended, value) = {
            let collect = |(output, receiver)| probe.collect_output(output, receiver);
            let outputs = join_all(self.receivers.iter_mut().enumerate().map(collect));
            let letters = async {
                match self.builder.letters_answered {
                    true => probe.collect_letters().await,
                    false => std::future::pending().await,
                }
            };
            let run = AssertUnwindSafe(actor.run(&mut self.context)).catch_unwind();
            let both = pin!(futures::future::join(run, script));
            let surroundings = pin!(futures::future::join(outputs, letters));
            match select(both, surroundings).await {
                Either::Left((both, _)) => both,
                Either::Right(_) => unreachable!("letters are collected for ever"),
            }
        };
        let result = ended.unwrap_or_else(|panic| Err(Error::bug(panic_message(panic.as_ref()))));
        self.end(&result);
        (result, value)
    }

    /// What its host would do now. After a good end: close the outputs. After a bad one: count the crash against what it
    /// had on lease, reject the culprit if one was found, and make new ends, unless it was told to stop.
    fn end(&mut self, result: &Result<(), Error>) {
        if result.is_ok() {
            self.context.outputs.close();
        }
        for (output, receiver) in self.receivers.iter_mut().enumerate() {
            // One poll takes all there is: it waits only where the output is empty.
            self.probe.collect_output(output, receiver).now_or_never();
        }
        if let Err(error) = result
            && !self.probe.status().stopping()
        {
            self.probe.crashed(&self.builder.name, &error.message);
            self.context = self.builder.context(&self.probe);
        }
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;
    use crate::letter::Letter;
    use crate::testing::raw_batch;
    use futures::future::LocalBoxFuture;

    /// Passes batches on; rejects records `bad`; fails on `fatal`, and panics on `panic`.
    struct Judge;

    impl Actor for Judge {
        fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    let mut letters = Vec::new();
                    for index in 0..lease.raw.len() {
                        match lease.raw.value(index) {
                            Some(b"bad") => letters.push(Letter::for_record(
                                &cx.identity.id,
                                &lease,
                                (lease.raw.offsets.value(index), 0),
                                (Class::Data, "bad".into()),
                                "bad".into(),
                            )),
                            Some(b"fatal") => return Err(Error::bug("fatal")),
                            Some(b"panic") => panic!("this is the end"),
                            _ => {}
                        }
                    }
                    cx.reject(letters).await;
                    cx.push((*lease).clone()).await?;
                    lease.settle();
                }
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn a_batch_comes_out_and_its_rejects_are_collected() {
        let mut harness = Harness::new("judge");
        harness.send(raw_batch(0, 5, &["good", "bad"]));
        harness.send(raw_batch(1, 9, &["good"]));
        harness.close_inputs();
        harness.run(Judge).await.unwrap();
        let received: Vec<_> = harness.received().iter().map(|batch| batch.origin.first).collect();
        assert_eq!(received, [5, 9]);
        let letters = harness.letters();
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].offset, letters[0].payload.as_deref()), (6, Some(&b"bad"[..])));
    }

    #[tokio::test]
    async fn what_a_best_effort_branch_rejects_decides_no_fate() {
        let branches = [(Harness::builder("judge"), 1), (Harness::builder("judge").beside(), 0)];
        for (branch, dead_lettered) in branches {
            let mut harness = branch.build();
            harness.send(raw_batch(0, 5, &["bad"]));
            harness.close_inputs();
            harness.run(Judge).await.unwrap();
            harness.received();
            assert_eq!(harness.letters().len(), 1);
            assert_eq!(harness.ledger().totals().dead_lettered, dead_lettered);
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_that_says_what_it_said() {
        let mut harness = Harness::new("judge");
        harness.send(raw_batch(0, 0, &["panic"]));
        let error = harness.run(Judge).await.unwrap_err();
        assert_eq!((error.class, &*error.message), (Class::Bug, "this is the end"));
    }

    #[tokio::test]
    async fn crashing_again_and_again_ends_in_a_letter_for_the_culprit() {
        let mut harness = Harness::new("judge");
        harness.send(raw_batch(0, 0, &["a", "b", "fatal", "c"]));
        harness.close_inputs();
        let mut crashes = 0;
        while harness.run(Judge).await.is_err() {
            crashes += 1;
        }
        assert!(
            crashes <= u64::from(crate::limits::DELIVERIES_MAX) + crate::invariants::probation_crashes_max(4)
        );
        let letters = harness.letters();
        assert_eq!((letters.len(), letters[0].offset, &*letters[0].reason), (1, 2, "crashed_actor"));
        assert_eq!((&*letters[0].detail, letters[0].payload.as_deref()), ("fatal", Some(&b"fatal"[..])));
        let passed: Vec<_> =
            harness.received().iter().flat_map(|batch| batch.raw.offsets.values().to_vec()).collect();
        assert_eq!(passed, [0, 1, 3]);
        let totals = harness.ledger().totals();
        assert_eq!((totals.dead_lettered, totals.in_flight, totals.unaccounted()), (1, 0, 0));
    }

    #[tokio::test]
    async fn a_script_runs_beside_the_actor() {
        let mut harness = Harness::new("judge");
        let probe = harness.probe();
        let script = async {
            probe.send(raw_batch(0, 0, &["one"]));
            probe.until(|probe| probe.received().len() == 1).await;
            probe.send(raw_batch(0, 1, &["fatal"]));
        };
        let (result, ()) = harness.run_while(Judge, script).await;
        assert_eq!(&*result.unwrap_err().message, "fatal");
    }
}
