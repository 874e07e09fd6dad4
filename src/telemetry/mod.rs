//! What the process reports about itself: log lines on stderr. A panic is logged as one.
//!
//! ```text
//! 2026-11-23T19:13:14.250001Z INFO  coffer::server::serve: stopped     in a terminal or a file
//! <6>coffer::server::serve: stopped                                    in the journal
//! {"time":"2026-11-23T19:13:14.250001Z","level":"INFO",…               as JSON
//! ```

mod logging;
mod subject;
mod writer;

use std::panic::PanicHookInfo;
use std::sync::Once;
use std::thread;

use log::LevelFilter;

use crate::domain::LogFormat;

pub use subject::Subject;

static STARTED: Once = Once::new();

/// Sends log lines and panics to stderr. `level` is the configuration's `log_level`, `format` its `log_format`;
/// the environment variable `RUST_LOG` overrides it, with `env_logger`'s filters. Only the first call has an effect.
/// The caller also calls [`flush`] before the process exits.
pub fn start(level: LevelFilter, format: LogFormat) {
    STARTED.call_once(|| {
        if let Err(error) = logging::builder(level, format).try_init() {
            log::debug!("the program has a logger already: {error}");
        }
        std::panic::set_hook(Box::new(log_panic));
    });
}

/// Waits until all log lines so far are written, for two seconds at most.
pub fn flush() {
    writer::flush();
}

fn log_panic(info: &PanicHookInfo<'_>) {
    log::error!("{}", sentence(thread::current().name(), &info.to_string()));
    flush();
}

/// `panic` is like "panicked at src/x.rs:1:2:\nmessage".
fn sentence(thread: Option<&str>, panic: &str) -> String {
    let thread = thread.unwrap_or("without a name");
    format!("the thread {thread} {}", panic.replacen(":\n", ": ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_logged_with_thread_place_and_message() {
        assert_eq!(
            sentence(Some("executor-0"), "panicked at src/x.rs:1:2:\nno way"),
            "the thread executor-0 panicked at src/x.rs:1:2: no way"
        );
        assert_eq!(
            sentence(None, "panicked at src/x.rs:1:2"),
            "the thread without a name panicked at src/x.rs:1:2"
        );
    }
}
