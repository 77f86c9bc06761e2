//! What becomes of claims whose client is gone and whose partitions the group has given to somebody else.
//!
//! What was read under them is on its way, and is written if the claim still holds when it comes to that. Then, or once a
//! sink has found that it does not, it is nobody's here any more: left in the ledger, it would count as in flight for ever.

use super::session::{IDLE_MAX, LOOK_EVERY};
use aqueduct_engine::{Claim, Claims, Clock, Context, Ledger, Status};
use futures::FutureExt;
use std::sync::Arc;

/// Where such claims are noted.
#[derive(Clone)]
pub(super) struct Leaving {
    claims: Claims,
    ledger: Ledger,
    clock: Clock,
    status: Status,
    source: Arc<str>,
}

impl Leaving {
    pub(super) fn new(cx: &Context, source: &Arc<str>) -> Self {
        let (claims, ledger) = (cx.claims.clone(), cx.ledger.clone());
        Self { claims, ledger, clock: cx.clock.clone(), status: cx.status.clone(), source: source.clone() }
    }

    /// Every claim this process holds for the source.
    pub(super) fn held(&self) -> Vec<Arc<Claim>> {
        self.claims.all().into_iter().filter(|claim| claim.key.source == self.source).collect()
    }

    /// Lets go at once of those which `is_lost` names: what of them is on its way is written nowhere.
    pub(super) fn end_all(&self, is_lost: impl Fn(&Claim) -> bool) {
        self.held().iter().filter(|claim| is_lost(claim)).for_each(|claim| self.end(claim));
    }

    /// Lets go of `left`, each once nothing of it is in flight, or a while later.
    pub(super) async fn let_go(self, left: Vec<Arc<Claim>>) {
        self.release(left, |_| false).await;
    }

    /// The same for all there are, where nobody else hears what sinks find.
    pub(super) async fn let_all_go(self) {
        let (claims, source) = (self.claims.clone(), self.source.clone());
        let mut lost = Vec::new();
        let is_lost = move |claim: &Claim| {
            lost.extend(claims.take_rewinds(&source));
            lost.iter().any(|(key, epoch, _)| (key, *epoch) == (&claim.key, claim.epoch))
        };
        let left = self.held();
        self.release(left, is_lost).await;
    }

    async fn release(&self, mut left: Vec<Arc<Claim>>, mut is_lost: impl FnMut(&Claim) -> bool) {
        let until = self.clock.now() + IDLE_MAX;
        loop {
            left.retain(|claim| {
                let idle = || self.ledger.idle(&claim.key, claim.epoch).now_or_never().is_some();
                let stays = !is_lost(claim) && !idle() && self.clock.now() < until;
                if !stays {
                    self.end(claim);
                }
                stays
            });
            if left.is_empty() {
                return;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    fn end(&self, claim: &Claim) {
        let key = &claim.key;
        if self.claims.get(key).is_some_and(|newest| newest.epoch == claim.epoch) {
            self.status.lag().remove(&key.topic, key.partition);
        }
        self.claims.release(key, claim.epoch);
        self.ledger.release(key, claim.epoch);
    }
}
