//! Crashes, and what supervisors make of them.

use super::support::*;
use crate::{Class, Error, Handle};
use aqueduct_topology::model::Strategy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Panics on `offset` the first `times` times, else notes and settles.
fn panics_on(offset: i64, times: u32, journal: &Journal) -> Behaviour {
    let (journal, left) = (journal.clone(), Arc::new(AtomicU32::new(times)));
    behaviour(move |cx| {
        let (journal, left) = (journal.clone(), left.clone());
        Box::pin(async move {
            journal.note("history built");
            while let Some(lease) = cx.lease().await {
                // The record, not its range: what is left of its batch on probation is harmless.
                let again = lease.raw.position(offset).is_some()
                    && left
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                        .is_ok();
                assert!(!again, "cannot bear offset {offset}");
                journal.note(format!("history {}", lease.origin.first));
                cx.settle_written(lease);
            }
            Ok(())
        })
    })
}

/// Ends as `how` says whenever poked; else serves until stopped.
fn crasher(poke: &Arc<tokio::sync::Notify>, journal: &Journal) -> Behaviour {
    let (poke, journal) = (poke.clone(), journal.clone());
    behaviour(move |cx| {
        let (poke, journal) = (poke.clone(), journal.clone());
        Box::pin(async move {
            let name = cx.identity.name.clone();
            journal.note(format!("+{name}"));
            let status = cx.status.clone();
            tokio::select! {
                biased;
                () = status.stopped() => {
                    journal.note(format!("-{name}"));
                    Ok(())
                }
                () = poke.notified() => Err(Error::new(Class::Bug, "poked")),
            }
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_panic_rebuilds_the_actor_and_its_batch_comes_again() {
    let journal = Journal::default();
    let world = World::line(source(5), pass(&journal), panics_on(2, 1, &journal));
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "all written", |_| journal.count("history 4") == 1).await;
        let history = handle.observe("history").unwrap();
        assert_eq!(history.restarts, 1);
        let exit = history.last_exit.unwrap();
        assert!(exit.contains("cannot bear offset 2") && exit.contains("restart.rs:"), "{exit}");
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    assert_eq!(journal.count("history built"), 2, "rebuilt from its factory");
    for offset in 0..5 {
        assert_eq!(journal.count(&format!("history {offset}")), 1, "{:?}", journal.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_always_has_more_to_do_stops_all_the_same() {
    let journal = Journal::default();
    let busy = {
        let journal = journal.clone();
        behaviour(move |cx| {
            let journal = journal.clone();
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    let status = cx.status.clone();
                    status.stopped().await;
                    lease.settle();
                    journal.note(if cx.try_lease().is_none() { "none" } else { "more" });
                }
                Ok(())
            })
        })
    };
    let world = World::line(source(8), pass(&journal), busy);
    perform(world.builder().build().unwrap(), async |handle| {
        let waiting = |handle: &Handle| handle.observe("history").unwrap().inputs[0].batches > 3;
        until(&handle, "more waits", waiting).await;
        handle.stop_actor("history").await.unwrap();
        until(&handle, "it is down", |handle| state(handle, "history") == "stopped").await;
        handle.abort().await;
    })
    .await;
    assert_eq!(journal.count("none"), 1, "{:?}", journal.lines());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_always_kills_its_actor_becomes_a_dead_letter() {
    let journal = Journal::default();
    let letters = {
        let journal = journal.clone();
        behaviour(move |cx| {
            let journal = journal.clone();
            Box::pin(async move {
                let status = cx.status.clone();
                loop {
                    let request = tokio::select! {
                        biased;
                        () = status.stopped() => return Ok(()),
                        request = cx.letters.next() => request,
                    };
                    for letter in &request.letters {
                        journal.note(format!("{} {} {}", letter.actor, letter.offset, letter.reason));
                        assert!(letter.detail.contains("cannot bear offset 2"), "{}", letter.detail);
                    }
                    request.stored.give();
                }
            })
        })
    };
    let world = World::line(source(5), pass(&journal), panics_on(2, u32::MAX, &journal))
        .behaving("dead_letter", letters);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "the rest is written", |_| journal.count("history 4") == 1).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, 0, "{:?}", outcome.reasons);
    assert_eq!(journal.count("history 2 crash"), 1, "{:?}", journal.lines());
    let row = &outcome.ledger[0];
    assert_eq!((row.read, row.dead_lettered, row.in_flight, row.unaccounted), (5, 1, 0, 0), "{row:?}");
}

#[tokio::test(start_paused = true)]
async fn one_crash_more_than_the_intensity_ends_with_70() {
    let (journal, poke) = (Journal::default(), Arc::new(tokio::sync::Notify::new()));
    let world = World::new().source("ticks", crasher(&poke, &journal));
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        for crash in 1..=4 {
            until(&handle, "up", |handle| {
                handle.registry().is_alive()
                    && journal.count("+ticks") == crash
                    && state(handle, "ticks") == "running"
            })
            .await;
            poke.notify_one();
        }
    })
    .await;
    assert_eq!(outcome.exit_code, 70);
    assert!(outcome.reasons[0].contains("`root` gave up: `ticks` ended too often"), "{:?}", outcome.reasons);
    assert_eq!(journal.count("+ticks"), 4, "three restarts are borne");
}

#[tokio::test(start_paused = true)]
async fn an_escalation_is_one_crash_of_a_child_to_the_supervisor_above() {
    let (journal, poke) = (Journal::default(), Arc::new(tokio::sync::Notify::new()));
    let world = World::new()
        .source("ticks", crasher(&poke, &journal))
        .source("quotes", crasher(&Arc::default(), &journal))
        .supervisor("ingest", &["ticks", "quotes"], |ingest| ingest.intensity = 0);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "up", |_| journal.count("+quotes") == 1).await;
        poke.notify_one();
        until(&handle, "up again", |_| journal.count("+quotes") == 2).await;
        assert!(handle.registry().events().after(0).iter().any(|event| event.what == "gave_up"));
        handle.stop().await;
    })
    .await;
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(journal.lines(), ["+ticks", "+quotes", "-quotes", "+ticks", "+quotes", "-quotes", "-ticks"]);
}

/// What `a`, `b`, `c` do when `b` crashes under `strategy`.
async fn when_b_crashes(strategy: Strategy) -> Vec<String> {
    let (journal, poke) = (Journal::default(), Arc::new(tokio::sync::Notify::new()));
    let world = World::new()
        .source("a", crasher(&Arc::default(), &journal))
        .source("b", crasher(&poke, &journal))
        .source("c", crasher(&Arc::default(), &journal))
        .root(|root| root.strategy = strategy);
    perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "up", |_| journal.count("+c") == 1).await;
        poke.notify_one();
        until(&handle, "up again", |handle| {
            journal.count("+b") == 2 && state(handle, "c") == "running" && state(handle, "a") == "running"
        })
        .await;
        journal.note("stop");
        handle.stop().await;
    })
    .await;
    let lines = journal.lines();
    let stop = lines.iter().position(|line| line == "stop").unwrap();
    assert_eq!(lines[..3], ["+a", "+b", "+c"], "started in order");
    assert_eq!(lines[stop + 1..], ["-c", "-b", "-a"], "stopped in reverse");
    lines[3..stop].to_vec()
}

#[tokio::test(start_paused = true)]
async fn the_strategy_says_who_is_restarted() {
    assert_eq!(when_b_crashes(Strategy::OneForOne).await, ["+b"]);
    assert_eq!(when_b_crashes(Strategy::RestForOne).await, ["-c", "+b", "+c"]);
    assert_eq!(when_b_crashes(Strategy::OneForAll).await, ["-c", "-a", "+a", "+b", "+c"]);
}

#[tokio::test(start_paused = true)]
async fn an_operators_stop_is_sticky_and_costs_nothing() {
    let (journal, poke) = (Journal::default(), Arc::new(tokio::sync::Notify::new()));
    let world = World::new()
        .source("a", crasher(&poke, &journal))
        .source("b", crasher(&Arc::default(), &journal))
        .root(|root| (root.strategy, root.intensity) = (Strategy::OneForAll, 1));
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "up", |_| journal.count("+b") == 1).await;
        for restart in 2..6 {
            handle.restart_actor("b").await.unwrap();
            until(&handle, "b again", |_| journal.count("+b") == restart).await;
        }
        handle.stop_actor("b").await.unwrap();
        until(&handle, "b stopped", |handle| state(handle, "b") == "stopped").await;
        poke.notify_one();
        until(&handle, "a again", |_| journal.count("+a") == 2).await;
        assert_eq!(state(&handle, "b"), "stopped", "a sibling's restart does not start it");
        assert_eq!(handle.registry().not_ready()[0].actor.as_ref(), "b");
        handle.start_actor("b").await.unwrap();
        until(&handle, "b once more", |_| journal.count("+b") == 6).await;
        assert!(handle.start_actor("nobody").await.is_err());
        handle.stop().await;
    })
    .await;
    assert_eq!(outcome.exit_code, 0, "{:?}", outcome.reasons);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_state_and_burns_no_restart() {
    let journal = Journal::default();
    let history = behaviour(|cx| {
        Box::pin(async move {
            let away = async || Err::<(), _>(Error::new(Class::Transient, "no answer from 127.0.0.1:5432"));
            let _ = cx.until_ok(secs(1), away).await;
            Ok(())
        })
    });
    let world = World::line(source(0), pass(&journal), history);
    perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "waiting", |handle| state(handle, "history") == "waiting").await;
        tokio::time::sleep(secs(600)).await;
        let not_ready = handle.registry().not_ready();
        assert_eq!(not_ready.len(), 1, "{not_ready:?}");
        assert_eq!((not_ready[0].actor.as_ref(), not_ready[0].state), ("history", "waiting"));
        assert_eq!(not_ready[0].reason, "no answer from 127.0.0.1:5432");
        assert!(handle.registry().is_alive());
        assert_eq!(handle.observe("history").unwrap().restarts, 0);
        handle.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stop_in_time_is_killed() {
    let journal = Journal::default();
    let deaf = behaviour(|_| Box::pin(std::future::pending()));
    let world = World::new().source("deaf", deaf).source("b", crasher(&Arc::default(), &journal));
    let clock = crate::Clock::system();
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "up", |_| journal.count("+b") == 1).await;
        let before = clock.now();
        handle.stop().await;
        until(&handle, "over", |handle| !handle.registry().is_alive()).await;
        assert!(clock.now().duration_since(before) >= secs(5), "it had its shutdown time");
        let exit = handle.observe("deaf").unwrap().last_exit.unwrap();
        assert!(exit.contains("did not stop within 5s"), "{exit}");
    })
    .await;
    assert_eq!(outcome.exit_code, 0);
}

#[tokio::test(start_paused = true)]
async fn who_makes_no_progress_discards_its_connections_then_is_restarted_alone() {
    let journal = Journal::default();
    let stuck = {
        let journal = journal.clone();
        behaviour(move |cx| {
            let journal = journal.clone();
            Box::pin(async move {
                journal.note("+history");
                let _lease = cx.lease().await;
                let mut discard = cx.status.discard_requested();
                discard.changed().await.unwrap();
                journal.note("discard");
                std::future::pending().await
            })
        })
    };
    let world = World::line(source(1), pass(&journal), stuck);
    perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "first remedy", |_| journal.count("discard") == 1).await;
        assert_eq!(handle.observe("history").unwrap().restarts, 0);
        until(&handle, "second remedy", |_| journal.count("+history") == 2).await;
        assert_eq!(handle.observe("trades").unwrap().restarts, 0);
        handle.abort().await;
    })
    .await;
}
