//! What is said while nothing can be recorded: the catalog's disk is read-only or full, or the catalog was taken away.
//! That is when it matters most, so it is said from memory, of the server alone.

use std::sync::Arc;

use crate::bell::Bell;
use crate::catalog::{self, Catalog};
use crate::domain::{DeliveryId, Timestamp};
use crate::policy::{
    Alert, AlertChange, AlertEvent, Message, OpenAlert, Problem, alert_changes, wait_after,
};

use super::outbox::{Outbox, spawn};

/// Attempts for such a message. They end with the process.
const ATTEMPTS: u32 = 6;

/// Problems that were said and are not recorded yet.
#[derive(Debug, Default)]
pub(super) struct Unrecorded(Vec<(Problem, Timestamp)>);

impl Unrecorded {
    /// Records what was said meanwhile, so that it is not said again and its end is.
    pub(super) fn record(&mut self, catalog: &Catalog) {
        let problems = self.0.iter().map(|(problem, _said)| problem.clone()).collect();
        if !self.0.is_empty() && catalog.record_said(problems).wait().is_ok() {
            self.0.clear();
        }
    }

    /// Says what is new of the server as a whole.
    pub(super) fn say(
        &mut self,
        (catalog, outbox): (&Catalog, &Outbox),
        problems: &[Problem],
        now: Timestamp,
    ) -> catalog::Result<()> {
        let mut known: Vec<_> = catalog.open_alerts()?.iter().map(Alert::to_open).collect();
        known.extend(self.0.iter().map(|(problem, said)| OpenAlert {
            kind: problem.kind,
            instance: None,
            said: *said,
        }));
        let of_server: Vec<_> =
            problems.iter().filter(|it| it.instance.is_none()).cloned().collect();
        let route = catalog.alert_routes().default.clone();
        for change in alert_changes(&known, &of_server, now, |_server| route.reminder) {
            let AlertChange::Begin(problem) = change else { continue };
            let message = Message::about(AlertEvent::Began, problem, None, now);
            log::info!("alert, not recorded: {}: {}", message.title, problem.message);
            for channel in &route.channels {
                outbox.send_unrecorded(channel, &message);
            }
            self.0.push((problem.clone(), now));
        }
        Ok(())
    }
}

impl Outbox {
    /// Sends a message that is in no queue, in a thread of its own.
    fn send_unrecorded(&self, name: &str, message: &Message) {
        let all = self.channels.all();
        let Some(channel) = all.iter().find(|it| it.name == name).cloned() else { return };
        let (message, outbox) = (message.clone(), self.clone());
        spawn(move || {
            let (id, pause) = (DeliveryId::generate(), Arc::new(Bell::default()));
            for attempt in 1..=ATTEMPTS {
                match channel.send(id, &message, false) {
                    Ok(answer) => {
                        log::info!(
                            "channel {:?}: message {id}, {:?}: {answer}",
                            channel.name,
                            message.title
                        );
                        return;
                    }
                    Err(error) if attempt == 1 => log::warn!(
                        "channel {:?}: message {id}, {:?}, is not delivered, and is attempted again: {error}",
                        channel.name,
                        message.title
                    ),
                    Err(_again) => {}
                }
                if outbox.is_stopping() {
                    return;
                }
                pause.wait_past(0, wait_after(attempt));
            }
        });
    }
}
