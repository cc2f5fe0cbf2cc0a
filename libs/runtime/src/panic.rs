use std::{backtrace::Backtrace, panic::PanicHookInfo};

/// From now on a panic is one log line with its place, and the backtrace if RUST_BACKTRACE asks for one.
///
/// Only a message without values is shown: formatted ones (`unwrap` on an error, an assertion) may hold a row or a text.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => {
                tracing::error!(panic.place = place, panic.backtrace = %backtrace, "panic: {}", message(info));
            }
            _ => tracing::error!(panic.place = place, "panic: {}", message(info)),
        }
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("message withheld, it may hold data")
}
