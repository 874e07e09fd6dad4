//! A server without HTTP, on a clock that is set forward step by step: it does in seconds what a server does in weeks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::catalog::CatalogError;
use crate::config::Config;
use crate::domain::{Clock, Timestamp};
use crate::executor::{self, Context, Executor};
use crate::notify::{Channels, Notifier, Problems};
use crate::scheduler::Scheduler;
use crate::storage::DataDirLock;

use super::{ServerError, alerts, open, policies};

/// How long after the scheduler the notifier looks: no sooner than it looks twice.
const NOTIFIED_AFTER: Duration = Duration::from_secs(3);

/// How long a wait for a job may take at a time.
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// The running server. Ended with [`TimeLapse::stop`].
pub struct TimeLapse {
    context: Context,
    clock: Arc<SetClock>,
    scheduler: Scheduler,
    notifier: Notifier,
    executor: Executor,
    /// Whether the notifier looked since the clock was set.
    looked: bool,
    lock: DataDirLock,
}

impl fmt::Debug for TimeLapse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TimeLapse").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl TimeLapse {
    /// Starts at this time, on the data directory of the configuration, which it has for itself.
    pub fn start(config: &Config, at: Timestamp) -> Result<Self, ServerError> {
        let new_channels = alerts::channels(config)?;
        let clock = Arc::new(SetClock(AtomicI64::new(at.as_micros())));
        let shown: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
        let (context, lock) = open::open_and_lock_with(config, Arc::clone(&shown))?;
        executor::settle(&context, &|_done, _total| ())?;
        let executor = Executor::start(&context).map_err(ServerError::Run)?;
        let scheduler = policies::scheduler(&context);
        let channels = Arc::new(Channels::default());
        alerts::apply(new_channels, config, &context, &channels);
        let (asked, bell) = (Arc::clone(&context.catalog), Arc::clone(&context.bell));
        let problems: Problems = Box::new(move || asked.problems());
        let notifier = Notifier::new(Arc::clone(&context.catalog), shown, channels, bell, problems);
        Ok(Self { context, clock, scheduler, notifier, executor, looked: false, lock })
    }

    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// It is this time: what is due begins. [`Self::is_done`] says when it has ended.
    pub fn set(&mut self, at: Timestamp) {
        self.clock.0.store(at.as_micros(), Ordering::SeqCst);
        self.looked = false;
        self.scheduler.tick();
    }

    /// Whether all that was due has ended, and all messages of it were sent. If not, this has waited for a moment.
    pub fn is_done(&mut self) -> Result<bool, CatalogError> {
        let catalog = &self.context.catalog;
        let seen = self.context.bell.count();
        let again = self.scheduler.tick() <= self.clock.now();
        while self.scheduler.retention().work_one() {}
        if !again && catalog.is_idle()? {
            if !std::mem::replace(&mut self.looked, true) {
                let later = self.clock.now().plus(NOTIFIED_AFTER);
                self.clock.0.store(later.as_micros(), Ordering::SeqCst);
            }
            self.notifier.tick();
            if catalog.count_undelivered()? == 0 {
                return Ok(true);
            }
        }
        self.context.bell.wait_past(seen, if again { Duration::ZERO } else { POLL });
        Ok(false)
    }

    /// Ends it, and closes the catalog.
    pub fn stop(self) {
        self.executor.drain(Duration::from_secs(60));
        self.context.catalog.close();
        drop(self.lock);
    }
}
