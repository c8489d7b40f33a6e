//! How a panic in an actor becomes one line in the log, written by its supervisor.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static SUPERVISED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Where no hook has kept what it said.
const UNKNOWN: &str = "unknown";

/// Makes panics in supervised code keep what they say for their supervisor, and
/// all others an error in the log. For the whole process; more calls change nothing.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("a panic that says nothing");
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let panic = format!("{text} (at {place})");
            if SUPERVISED.get() {
                LAST_PANIC.set(Some(panic));
            } else if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!(panic, thread = std::thread::current().name(), "panicked");
            } else {
                // Nothing logs, as in a test: what it says must not be lost.
                previous(info);
            }
        }));
    });
}

/// Runs an actor's handler under its supervisor's eyes.
pub fn supervised<R>(handle: impl FnOnce() -> R) -> R {
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            SUPERVISED.set(false);
        }
    }
    let _ends = Ends;
    SUPERVISED.set(true);
    handle()
}

/// Runs a handler of an actor that goes on after a panic.
///
/// # Errors
/// What the panic said.
pub fn survived<R>(handle: impl FnOnce() -> R) -> Result<R, String> {
    panic::catch_unwind(AssertUnwindSafe(|| supervised(handle)))
        .map_err(|_| LAST_PANIC.take().unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// What the panic said that this thread is unwinding from; `None` if it is not.
pub fn panic_of_this_thread() -> Option<String> {
    std::thread::panicking().then(|| LAST_PANIC.take().unwrap_or_else(|| UNKNOWN.to_owned()))
}
