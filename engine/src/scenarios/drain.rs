//! How an application ends.

use super::support::*;
use crate::lifecycle::{EXIT_CUT, EXIT_OK};
use crate::{Class, Error};
use aqueduct_topology::model::Policy;

/// Takes one batch and waits for a database that never comes back.
fn away() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            let _held = cx.lease().await;
            let attempt = async || Err::<(), _>(Error::new(Class::Transient, "the database is away"));
            let _ = cx.until_ok(secs(1), attempt).await;
            Ok(())
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_in_data_order_and_loses_nothing() {
    let journal = Journal::default();
    let world = World::line(source(100), pass(&journal), sink(&journal));
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "under way", |_| journal.count("history 3") == 1).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_OK, "{:?}", outcome.reasons);
    let lines = journal.lines();
    assert_eq!(lines[lines.len() - 2..], ["trades done", "history done"]);
    let row = &outcome.ledger[0];
    assert_eq!(row.read, lines.len() as u64 - 2, "what was read was written");
    assert_eq!((row.in_flight, row.unaccounted), (0, 0), "{row:?}");
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_waits_ends_the_drain_at_once_with_a_manifest() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), away());
    let clock = crate::Clock::system();
    let before = clock.now();
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "waiting", |handle| state(handle, "history") == "waiting").await;
        tokio::time::sleep(secs(2)).await;
        handle.drain().await;
    })
    .await;
    assert!(clock.now().duration_since(before) < secs(10), "the deadline is not waited out");
    assert_eq!(outcome.exit_code, EXIT_CUT);
    assert_eq!(outcome.reasons.last().unwrap(), "`history` is waiting: the database is away");
    assert_eq!(outcome.manifest.len(), 1);
    assert_eq!((outcome.manifest[0].source.as_ref(), outcome.manifest[0].in_flight), ("ticks", 3));
}

#[tokio::test(start_paused = true)]
async fn a_best_effort_branch_that_waits_is_left_behind() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), sink(&journal))
        .sink("cache", "trades", away())
        .with(|cache| cache.policy = Policy::BestEffort);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "waiting", |handle| state(handle, "cache") == "waiting").await;
        tokio::time::sleep(secs(2)).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_OK, "{:?}", outcome.reasons);
    assert_eq!(journal.count("history done"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_a_drain() {
    let journal = Journal::default();
    let slow = behaviour(|cx| {
        Box::pin(async move {
            let _held = cx.lease().await;
            std::future::pending().await
        })
    });
    let world = World::line(source(1), pass(&journal), slow);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "caught up", |_| true).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_CUT);
    assert!(outcome.reasons.last().unwrap().contains("deadline passed before history finished"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn data_that_ends_ends_the_application() {
    let journal = Journal::default();
    let replay = behaviour(|cx| {
        Box::pin(async move {
            for offset in 0..20 {
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
            }
            Ok(())
        })
    });
    let world = World::line(replay, pass(&journal), sink(&journal));
    let outcome = perform(world.builder().build().unwrap(), async |_| {}).await;
    assert_eq!(outcome.exit_code, EXIT_OK);
    assert_eq!(outcome.ledger[0].read, 20);
    assert_eq!(journal.count("history 19"), 1);
    assert_eq!(journal.count("trades done"), 1, "nobody whose data ended is started again");
}

#[tokio::test(start_paused = true)]
async fn idle_long_enough_drains_by_itself() {
    let journal = Journal::default();
    let world = World::line(source(10), pass(&journal), sink(&journal));
    let clock = crate::Clock::system();
    let before = clock.now();
    let outcome = perform(world.builder().build().unwrap(), async |handle| handle.drain_when_idle(secs(5)).await).await;
    assert_eq!(outcome.exit_code, EXIT_OK);
    assert!(clock.now().duration_since(before) >= secs(5));
    assert_eq!(journal.count("history 9"), 1);
}
