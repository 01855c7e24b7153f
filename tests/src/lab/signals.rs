//! SIGINT, SIGTERM and SIGHUP end the labs of this process before they end the
//! process: Ctrl-C in the demo, and the test runner's time-out, leave nothing.
//!
//! tokio's signal handling is used because it is at hand and safe; the runtime
//! lives in a thread of its own and does nothing else.

use std::sync::{Mutex, Once, PoisonError, Weak};

use tokio::signal::unix::{SignalKind, signal};

use super::state::State;

/// The labs to end; `None` once a signal has come.
static LABS: Mutex<Option<Vec<Weak<State>>>> = Mutex::new(Some(Vec::new()));

/// Has the lab ended by a signal. False when one has come already: then nobody
/// would end this one.
pub(super) fn register(lab: &std::sync::Arc<State>) -> bool {
    let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(labs) = labs.as_mut() else {
        return false;
    };
    labs.retain(|lab| lab.strong_count() > 0);
    labs.push(std::sync::Arc::downgrade(lab));
    true
}

/// Starts the thread, once a process.
pub(super) fn clean_up_on_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It ends with the process. Without it (out of threads) a signal ends
        // the process at once, and the next lab cleans up.
        let _ = std::thread::Builder::new()
            .name("lab-signals".into())
            .spawn(wait);
    });
}

fn wait() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let Ok(runtime) = runtime else { return };
    let Ok(received) = runtime.block_on(next_signal()) else {
        return;
    };
    // Only the test runner's time-out is a failure worth a look.
    let failed = received == SignalKind::terminate();
    let labs = LABS.lock().unwrap_or_else(PoisonError::into_inner).take();
    for lab in labs.iter().flatten().filter_map(Weak::upgrade) {
        if failed {
            lab.fail();
        }
        lab.tear_down();
    }
    std::process::exit(128 + received.as_raw_value());
}

async fn next_signal() -> std::io::Result<SignalKind> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
        _ = hangup.recv() => SignalKind::hangup(),
    })
}
