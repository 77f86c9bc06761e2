//! The actor: judges what it is given as it comes, and says on its beat what it makes of it.
//!
//! It settles what it reads at once and keeps nothing of it for its next life, which begins cautiously: a key not seen
//! since has no verdict. It waits for nobody: where its outputs are full it says nothing new until they have room, and
//! goes on judging meanwhile.

use super::Plan;
use super::judge::{Judge, Moment};
use super::output::Form;
use super::partitions::Partitions;
use super::voices::Voices;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::{Actor, Context, Error, Lease};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Verdicts of one batch.
const BATCH_ROWS: usize = 4_096;
/// How soon it is tried again to hand on what there was no room for.
const ROOM_EVERY: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Gate {
    plan: Arc<Plan>,
}

impl Gate {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self { plan }
    }
}

impl Actor for Gate {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let ended = Run::new(&self.plan, cx).until_done(cx).await;
            cx.status.quality().clear();
            cx.unless_stopping(ended)
        })
    }
}

enum Event {
    Stop,
    Beat,
    /// There may be room again.
    Room,
    Leased(Option<Lease>),
}

/// One life of the actor.
struct Run {
    every: Duration,
    born: Instant,
    beat_at: Instant,
    judge: Judge,
    partitions: Partitions,
    voices: Voices,
    form: Form,
}

impl Run {
    fn new(plan: &Plan, cx: &Context) -> Self {
        // Nobody speaks under the claims of a life before this one any more.
        cx.disown(&cx.identity.id, |_| false);
        let born = cx.clock.now();
        let name = cx.identity.name.clone();
        Self {
            every: plan.gate.every.value,
            born,
            beat_at: born + plan.gate.every.value,
            judge: Judge::new(name, &plan.gate, plan.event_time.as_deref(), plan.json.clone()),
            partitions: Partitions::default(),
            voices: Voices::new(cx.identity.id.clone(), plan.offsets.clone(), plan.form.clone()),
            form: plan.form.clone(),
        }
    }

    fn moment(&self, cx: &Context) -> Moment {
        let now = cx.clock.now().saturating_duration_since(self.born);
        Moment { now_us: i64::try_from(now.as_micros()).unwrap_or(i64::MAX), wall_us: cx.clock.wall_us() }
    }

    async fn until_done(&mut self, cx: &mut Context) -> Result<(), Error> {
        cx.status.running();
        loop {
            match self.next_event(cx).await {
                Event::Stop => return Ok(()),
                Event::Beat => {
                    self.beat(cx).await?;
                    // A beat that was missed is not made up for.
                    self.beat_at = (self.beat_at + self.every).max(cx.clock.now());
                }
                Event::Room => self.voices.hand_on(cx)?,
                Event::Leased(Some(lease)) => {
                    let given = self.partitions.given(&lease.origin);
                    self.judge.observe(&lease, &given, self.moment(cx))?;
                    lease.settle();
                }
                Event::Leased(None) if cx.status.leaving() => return Ok(()),
                Event::Leased(None) => {
                    // What was read last is judged once more, so that nothing is left unsaid.
                    self.beat(cx).await?;
                    return self.voices.hand_on_all(cx).await;
                }
            }
        }
    }

    async fn next_event(&mut self, cx: &mut Context) -> Event {
        let (clock, status) = (cx.clock.clone(), cx.status.clone());
        let beat_in = self.beat_at.saturating_duration_since(clock.now());
        tokio::select! {
            biased;
            () = status.stopped() => Event::Stop,
            () = clock.sleep(beat_in) => Event::Beat,
            () = clock.sleep(ROOM_EVERY), if !self.voices.is_free() => Event::Room,
            lease = cx.lease() => Event::Leased(lease),
        }
    }

    async fn beat(&mut self, cx: &mut Context) -> Result<(), Error> {
        if self.partitions.let_go(&cx.claims) {
            let partitions = &self.partitions;
            self.judge.forget(|home| partitions.is_held(home));
        }
        self.voices.let_go(cx, &self.partitions);
        // Without anybody to hear it there is nothing to claim.
        if !cx.outputs.is_empty() {
            self.voices.claim(cx, &self.judge.spoken_of(&self.partitions)).await?;
        }
        self.speak(cx)?;
        let view = self.judge.view(self.moment(cx), self.partitions.missed());
        cx.status.quality().show(view);
        Ok(())
    }

    fn speak(&mut self, cx: &mut Context) -> Result<(), Error> {
        self.voices.hand_on(cx)?;
        let moment = self.moment(cx);
        let (voices, free) = (&self.voices, self.voices.is_free());
        let given = self.judge.give(moment, &self.partitions, |partition| free && voices.has(partition));
        for (partition, given) in given {
            for given in given.chunks(BATCH_ROWS) {
                let Some(origin) = self.voices.take_offsets(partition, given.len()) else { break };
                self.voices.say(self.form.batch(origin, moment.wall_us, given)?);
            }
        }
        self.voices.hand_on(cx)
    }
}
