//! What the process reports about itself: log lines on stderr, panics among them.
//!
//! ```text
//! 2026-11-23T19:13:14.250001Z INFO  coffer::server: listening on 127.0.0.1:8779     a terminal or a file
//! <6>coffer::server: listening on 127.0.0.1:8779                                    the journal
//! ```

mod logging;
mod panics;
mod writer;

use std::sync::Once;

use log::LevelFilter;

static STARTED: Once = Once::new();

/// Sends log lines and panics to stderr. `level` is the configuration's `log_level`; the environment
/// variable `RUST_LOG` overrides it, with `env_logger`'s filters. Only the first call has an effect.
/// Whoever calls this calls [`flush`] before the process exits.
pub fn start(level: LevelFilter) {
    STARTED.call_once(|| {
        if let Err(error) = logging::builder(level).try_init() {
            log::debug!("the program has a logger already: {error}");
        }
        panics::report_to_log();
    });
}

/// Waits until all log lines so far are written, for two seconds at most.
pub fn flush() {
    writer::flush();
}
