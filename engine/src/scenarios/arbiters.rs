//! What needs real threads, in real time: stuck arbiters.

use super::support::*;
use crate::{Handle, Outcome, Placement, Settings};
use aqueduct_topology::placement::ARBITERS_USUAL;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

fn perform_on_arbiters<Fut: Future<Output = ()>>(
    world: World,
    arbiters: usize,
    play: impl FnOnce(Handle) -> Fut,
) -> Outcome {
    let settings = Settings { stuck_after: Duration::from_millis(500), ..Settings::default() };
    let application =
        world.builder().settings(settings).placement(Placement::arbiters(arbiters)).build().unwrap();
    actix_rt::System::new().block_on(perform(application, play))
}

#[test]
fn a_handler_that_never_yields_is_abandoned_and_its_neighbours_move() {
    let journal = Journal::default();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let first = Arc::new(AtomicBool::new(true));
    let blocks_once = {
        let (journal, gate, first) = (journal.clone(), gate.clone(), first.clone());
        behaviour(move |cx| {
            let (journal, gate, first) = (journal.clone(), gate.clone(), first.clone());
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    if first.swap(false, Ordering::SeqCst) {
                        let mut open = gate.0.lock().unwrap();
                        while !*open {
                            open = gate.1.wait(open).unwrap();
                        }
                        drop(open);
                        journal.note("zombie woke");
                    }
                    journal.note(format!("history {}", lease.origin.first));
                    cx.settle_written(lease);
                }
                Ok(())
            })
        })
    };
    let world = World::line(source(3), pass(&journal), blocks_once);
    let outcome = perform_on_arbiters(world, 1, async |handle| {
        until(&handle, "written by the new one", |_| journal.count("history 2") == 1).await;
        let exit = handle.observe("history").unwrap().last_exit.unwrap();
        assert!(exit.contains("did not yield"), "{exit}");
        let exits = handle.registry().events().after(0);
        assert_eq!(
            exits.iter().filter(|event| event.what == "exited").count(),
            1,
            "only the stuck one ended"
        );
        assert!(exits.iter().any(|event| event.what == "displaced" && &*event.subject == "trades"));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        handle.drain().await;
    });
    assert_eq!(outcome.exit_code, 0, "{:?}", outcome.reasons);
}

/// A sink that keeps its thread for itself for so long, once.
fn hogs_once(lasting: Duration, journal: &Journal) -> Behaviour {
    let (journal, first) = (journal.clone(), Arc::new(AtomicBool::new(true)));
    behaviour(move |cx| {
        let (journal, first) = (journal.clone(), first.clone());
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                if first.swap(false, Ordering::SeqCst) {
                    journal.note("hogs");
                    std::thread::sleep(lasting);
                    journal.note("yields");
                }
                cx.settle_written(lease);
            }
            Ok(())
        })
    })
}

#[test]
fn while_one_does_not_yield_orders_reach_all_others_at_once() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), hogs_once(Duration::from_secs(5), &journal));
    let settings = Settings { stuck_after: Duration::from_secs(60), ..Settings::default() };
    let placement = Placement::arbiters(ARBITERS_USUAL as usize);
    let application = world.builder().settings(settings).placement(placement).build().unwrap();
    let outcome = actix_rt::System::new().block_on(perform(application, async |handle| {
        until(&handle, "hogs", |_| journal.count("hogs") == 1).await;
        let began = tokio::time::Instant::now();
        handle.restart_actor("trades").await.unwrap();
        until(&handle, "restarted", |handle| handle.observe("trades").unwrap().restarts == 1).await;
        // 100 ms are promised; a busy machine is given more, but not as much as the one that hogs takes.
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(journal.count("yields"), 0, "it still hogs");
        until(&handle, "yields", |_| journal.count("yields") == 1).await;
        handle.drain().await;
    }));
    assert_eq!(outcome.exit_code, 0, "{:?}", outcome.reasons);
}

#[test]
fn a_line_over_three_arbiters_loses_nothing() {
    let journal = Journal::default();
    let world = World::line(source(2_000), pass(&journal), sink(&journal));
    let outcome = perform_on_arbiters(world, 3, async |handle| {
        until(&handle, "all written", |_| journal.count("history 1999") == 1).await;
        handle.drain().await;
    });
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(journal.lines().len(), 2_002);
}
