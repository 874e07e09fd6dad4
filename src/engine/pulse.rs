//! Whether a source still answers while it is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::EngineError;
use crate::domain::FailureCode;

/// Shorter waits would take a busy disk for one that is gone.
const LEAST_WAIT: Duration = Duration::from_secs(5);

/// By when a source has to give the next sign of life. Clones share one. Nothing is due until an engine
/// says what it reads.
///
/// If a file server is gone, a call on its filesystem may wait for ever. Only another thread can notice that, by this.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    source: PathBuf,
    within: Option<Duration>,
    due: Option<Instant>,
}

impl Pulse {
    /// From now on the source at this path has to answer again and again within this time.
    pub(super) fn watch(&self, source: &Path, within: Duration) {
        let within = Some(within.max(LEAST_WAIT));
        *self.0.lock() = State { source: source.to_owned(), within, due: None };
        self.beat();
    }

    /// The source answered, or is asked now.
    pub fn beat(&self) {
        self.beat_for(Duration::ZERO);
    }

    /// The source is asked for something that may take so long.
    pub(super) fn beat_for(&self, at_least: Duration) {
        let mut state = self.0.lock();
        state.due = state.within.and_then(|it| Instant::now().checked_add(it.max(at_least)));
    }

    /// Allows this much more time: so long this process did not run itself, and could not have heard the answer.
    pub fn postpone(&self, by: Duration) {
        let mut state = self.0.lock();
        state.due = state.due.and_then(|it| it.checked_add(by));
    }

    /// Nothing is asked of the source until the next [`Pulse::beat`].
    pub fn rest(&self) {
        self.0.lock().due = None;
    }

    /// Whether the source is asked, and did not answer yet.
    pub fn is_asking(&self) -> bool {
        self.0.lock().due.is_some()
    }

    /// The failure of a source that should have answered by now.
    pub fn overdue(&self) -> Option<EngineError> {
        let state = self.0.lock();
        let within = state.within.filter(|_| state.due.is_some_and(|due| Instant::now() >= due))?;
        Some(EngineError::known(
            FailureCode::SourceMissing,
            format!(
                "{} was given up: while it was read, its filesystem has not answered for {} s. Is its file \
                 server up? For one that is slow, raise source.answer_wait_s",
                state.source.display(),
                within.as_secs()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_this_process_was_stopped_is_not_silence_of_the_source() {
        let pulse = Pulse::default();
        pulse.watch(Path::new("/a"), LEAST_WAIT);
        pulse.0.lock().due = Some(Instant::now());
        assert!(pulse.overdue().is_some());
        pulse.postpone(LEAST_WAIT);
        assert!(pulse.overdue().is_none());
        pulse.rest();
        pulse.postpone(LEAST_WAIT);
        assert!(!pulse.is_asking());
    }
}
