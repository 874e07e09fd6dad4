//! Messages on their way: each channel gets its own one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::catalog::{self, Catalog};
use crate::domain::{Clock, Timestamp, with_causes};
use crate::policy::{AlertEvent, Delivery};

use super::{Channel, Channels};

/// Attempts for a message that its receiver refuses for what it is.
const ATTEMPTS_IF_REFUSED: u32 = 3;

/// How long a channel waits when nothing can be recorded: the disk is read-only, say.
const HELD: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(super) struct Outbox {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    pub(super) channels: Arc<Channels>,
    bell: Arc<Bell>,
    /// The channels that get a message just now.
    busy: Arc<Mutex<BTreeSet<String>>>,
    /// The channels that wait, since nothing could be recorded of their last message.
    held: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    stopping: Arc<AtomicBool>,
}

/// Takes a channel off the list of busy ones, also after a panic.
struct Busy {
    outbox: Outbox,
    channel: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.outbox.busy.lock().remove(&self.channel);
        self.outbox.bell.ring();
    }
}

impl Outbox {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        channels: Arc<Channels>,
        bell: Arc<Bell>,
    ) -> Self {
        let (busy, held, stopping) = Default::default();
        Self { catalog, clock, channels, bell, busy, held, stopping }
    }

    /// Starts to send what is due; when more is, as far as is known.
    pub(super) fn send_due(&self, now: Timestamp) -> catalog::Result<Option<Timestamp>> {
        let mut next: Option<Timestamp> = None;
        for channel in self.channels.all().iter() {
            if self.busy.lock().contains(&channel.name) {
                // Its end rings the bell.
                continue;
            }
            let Some(delivery) = self.catalog.next_delivery(&channel.name)? else { continue };
            let held = self.held.lock().get(&channel.name).copied().filter(|it| *it > now);
            match held {
                None if delivery.is_due(now) => self.start(channel.clone()),
                _ => {
                    let at = held.unwrap_or(delivery.next_attempt);
                    next = Some(next.map_or(at, |next| next.min(at)));
                }
            }
        }
        Ok(next)
    }

    fn start(&self, channel: Channel) {
        self.busy.lock().insert(channel.name.clone());
        let busy = Busy { outbox: self.clone(), channel: channel.name.clone() };
        let work = move || {
            let outbox = &busy.outbox;
            let mut held = None;
            if let Err(error) = outbox.send_all(&channel) {
                log::debug!("channel {:?} waits: {}", channel.name, with_causes(&error));
                held = Some(outbox.clock.now().plus(HELD));
            }
            let mut all = outbox.held.lock();
            match held {
                Some(until) => all.insert(channel.name.clone(), until),
                None => all.remove(&channel.name),
            };
        };
        spawn(work);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Sends what is due, oldest first, until there is no more or one fails.
    fn send_all(&self, channel: &Channel) -> catalog::Result<()> {
        while !self.is_stopping() {
            let Some(delivery) = self.catalog.next_delivery(&channel.name)? else { break };
            if !delivery.is_due(self.clock.now()) || !self.send(channel, &delivery)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the next one may follow at once.
    fn send(&self, channel: &Channel, delivery: &Delivery) -> catalog::Result<bool> {
        if !self.catalog.attempt_delivery(delivery).wait()? {
            return Ok(true);
        }
        let (id, name) = (delivery.id, &channel.name);
        let all_well = !channel.is_monitor() || self.is_all_well(channel, delivery)?;
        match channel.send(id, &delivery.message, all_well) {
            Ok(answer) => {
                log::info!(
                    "channel {name:?}: message {id}, {:?}: {answer}",
                    delivery.message.title
                );
                self.catalog.remove_delivery(id).wait()?;
                Ok(true)
            }
            Err(error) => {
                let attempts = delivery.attempts.saturating_add(1);
                let refused = error.is_about_the_message() && attempts >= ATTEMPTS_IF_REFUSED;
                if refused || self.clock.now() >= delivery.attempted_until() {
                    log::error!(
                        "channel {name:?}: message {id}, {:?}, is given up after {attempts} attempts: {error}",
                        delivery.message.title
                    );
                    self.catalog.remove_delivery(id).wait()?;
                    return Ok(true);
                }
                if attempts == 1 {
                    log::warn!(
                        "channel {name:?}: message {id}, {:?}, is not delivered, and is attempted again: {error}; coffer \
                         alert test {name} tries the channel",
                        delivery.message.title
                    );
                }
                self.catalog.delivery_failed(id, error.to_string()).wait()?;
                Ok(false)
            }
        }
    }

    /// Whether nothing critical is wrong that this monitor stands for, once what the message says is so.
    fn is_all_well(&self, channel: &Channel, delivery: &Delivery) -> catalog::Result<bool> {
        let message = &delivery.message;
        let own = message.instance.as_ref().map(|it| it.id);
        let per_instance = channel.is_per_instance();
        let succeeded = message.event == AlertEvent::BackupSucceeded;
        let open = self.catalog.open_alerts()?;
        Ok(!open.iter().filter(|it| it.is_critical() && it.channels.contains(&channel.name)).any(
            |it| {
                let same = it.instance.as_ref().map(|it| it.id) == own;
                // What the success ends may not be recorded yet.
                let ends = succeeded && same && it.kind.ends_with_success();
                !ends && (same || !per_instance)
            },
        ))
    }

    /// Begins nothing more, and waits for what is being sent, but not for long: what was not accepted by then is sent
    /// after the next start.
    pub(super) fn stop(&self, longest: Duration) {
        self.stopping.store(true, Ordering::Release);
        let mut left = longest;
        while !self.busy.lock().is_empty() && left > Duration::ZERO {
            let step = left.min(Duration::from_millis(100));
            let seen = self.bell.count();
            if !self.busy.lock().is_empty() {
                self.bell.wait_past(seen, step);
            }
            left = left.saturating_sub(step);
        }
    }
}

/// Runs this beside everything else.
pub(super) fn spawn(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = Builder::new().name("alert".to_owned()).spawn(work) {
        log::warn!("alerts wait: no thread could be started: {error}");
    }
}
