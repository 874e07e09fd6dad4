//! Compares what is wrong with what was said, and queues messages for the channels.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::catalog::{self, Catalog};
use crate::domain::{Clock, Timestamp, with_causes};
use crate::policy::Problem;

use super::Channels;
use super::outbox::Outbox;
use super::unrecorded::Unrecorded;

/// The longest wait between two looks: a backup that is missing is noticed within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The shortest, however often something happens.
const SHORTEST_WAIT: Duration = Duration::from_secs(2);

/// How long after a start no alert is over: what the last process knew without having it recorded, such as a full disk,
/// has to be found again first.
const NO_END: Duration = Duration::from_secs(60);

/// What is wrong now.
pub type Problems = Box<dyn Fn() -> catalog::Result<Vec<Problem>> + Send>;

pub struct Notifier {
    catalog: Arc<Catalog>,
    pub(super) clock: Arc<dyn Clock>,
    problems: Problems,
    pub(super) outbox: Outbox,
    started: Option<Timestamp>,
    looked: Option<Timestamp>,
    unrecorded: Unrecorded,
    /// Whether the last look failed, which was logged then.
    failing: bool,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Notifier").field("looked", &self.looked).finish_non_exhaustive()
    }
}

impl Notifier {
    /// The bell is rung when a channel may get its next message.
    pub fn new(
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        channels: Arc<Channels>,
        bell: Arc<Bell>,
        problems: Problems,
    ) -> Self {
        let outbox = Outbox::new(Arc::clone(&catalog), Arc::clone(&clock), channels, bell);
        let (started, looked, unrecorded, failing) = Default::default();
        Self { catalog, clock, problems, outbox, started, looked, unrecorded, failing }
    }

    /// Checks, queues messages for the channels, and says when to check again at the latest.
    pub fn tick(&mut self) -> Timestamp {
        let now = self.clock.now();
        let lately =
            self.looked.is_some_and(|looked| looked <= now && now < looked.plus(SHORTEST_WAIT));
        let again = if lately { SHORTEST_WAIT } else { LONGEST_WAIT };
        if !lately {
            self.looked = Some(now);
            let result = self.look(now);
            self.report(result);
        }
        let due = self.outbox.send_due(now).unwrap_or_else(|error| {
            log::debug!("the messages that wait cannot be read: {}", with_causes(&error));
            None
        });
        let next = now.plus(again);
        due.map_or(next, |due| due.min(next))
    }

    fn look(&mut self, now: Timestamp) -> catalog::Result<()> {
        let started = *self.started.get_or_insert(now);
        // A clock that was put back proves nothing.
        let may_end = now >= started.plus(NO_END) || now < started;
        let problems = (self.problems)()?;
        self.unrecorded.record(&self.catalog);
        match self.catalog.update_alerts(problems.clone(), may_end) {
            Err(error) if error.outage().is_some() => {
                self.unrecorded.say((&self.catalog, &self.outbox), &problems, now)?;
                Err(error)
            }
            other => other.and_then(|_changed| self.catalog.queue_digests()),
        }
    }

    fn report(&mut self, result: catalog::Result<()>) {
        match result {
            Ok(()) => self.failing = false,
            // Whoever watches the disk has logged it.
            Err(error) if error.outage().is_some() => {
                log::debug!("alerts are not recorded: {}", with_causes(&error));
            }
            Err(error) => {
                if !self.failing {
                    let error = with_causes(&error);
                    log::error!(
                        "alerts: what is wrong cannot be compared with what was said: {error}"
                    );
                }
                self.failing = true;
            }
        }
    }
}
