//! A drill that is told to end: the servers that it started are ended and deleted before the program is.
//!
//! Nodes and commands of the drill die with us ([`Stage::command`](super::stage::Stage::command)), and a server of the stack
//! would too; but its folder would stay until the next private stack is brought up.

use crate::output::say;
use anyhow::Result;
use aqueduct_stack::Stack;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a program that ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// The stack of the drill that is carried out now; one after another.
static STACK: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
static LISTENS: Once = Once::new();
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// From now on a signal to end ends `stack` first.
pub(super) fn ends(stack: &Arc<Stack>) {
    *STACK.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(stack);
    LISTENS.call_once(|| {
        let body = || {
            if told().is_ok() {
                end();
            }
        };
        // Without a thread a signal has its usual effect.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(body);
    });
}

/// Does not come back once the program is being ended: a drill whose servers are being taken away has nothing more to say,
/// and the next one is not to begin.
pub(super) fn hold() {
    while IS_ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

fn told() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn end() -> ! {
    IS_ENDING.store(true, Ordering::SeqCst);
    let stack = STACK.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(stack) = stack {
        say!("interrupted: the drill's servers are ended and deleted");
        if let Err(error) = stack.purge() {
            say!("they are ended with this program, and deleted by the next drill: {error}");
        }
    }
    exit(INTERRUPTED)
}
