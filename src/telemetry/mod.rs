//! What the process tells about itself: log lines on stderr, panics among them.
//!
//! ```text
//! 2026-11-23T19:13:14.250001Z INFO  coffer::server: listening on 127.0.0.1:8779     a terminal or a file
//! <6>coffer::server: listening on 127.0.0.1:8779                                    the journal
//! ```

mod batch;
mod logging;
mod panics;

use std::sync::Once;

use log::LevelFilter;

/// A `log_level` that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log_level is {text:?}; it must be one of off, error, warn, info, debug, trace")]
pub struct BadLevel {
    /// As it came, cut to 80 characters.
    pub text: String,
}

static STARTED: Once = Once::new();

/// Sends log lines and panics to stderr. `level` is the configuration's `log_level`; the environment's
/// `RUST_LOG`, where it is set, says it instead, in `env_logger`'s terms. Only the first call has an
/// effect, and none if the program has a logger already.
pub fn start(level: &str) -> Result<(), BadLevel> {
    let level = parse(level)?;
    STARTED.call_once(|| {
        if let Err(error) = logging::builder(level).try_init() {
            log::debug!("log lines go where they went before: {error}");
        }
        panics::report_to_log();
    });
    Ok(())
}

fn parse(text: &str) -> Result<LevelFilter, BadLevel> {
    let bad = |_reason| BadLevel { text: text.chars().take(80).collect() };
    text.trim().parse().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_level_is_told_with_the_right_ones() {
        assert_eq!(parse(" Info "), Ok(LevelFilter::Info));
        for wrong in ["", "loud", "info,coffer=debug"] {
            let error = start(wrong).unwrap_err().to_string();
            assert!(error.contains("off, error, warn, info, debug, trace"), "{error}");
        }
    }
}
