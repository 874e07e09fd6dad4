//! What systemd hears: that the server is ready, reloads, stops, and, at intervals, that it answers. One that hangs is ended and
//! started again (`WatchdogSec=` of the unit).

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use sd_notify::NotifyState;

use crate::catalog::Catalog;

/// How often it is said within the time that systemd waits.
const TIMES: u32 = 3;

/// Notifies systemd, if it runs this process.
pub(super) fn notify(state: NotifyState<'_>) {
    notify_all(&[state]);
}

fn notify_all(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd could not be notified: {error}");
    }
}

/// Reloads, and says when that begins and ends: `systemctl reload` waits for the end.
pub(super) fn while_reloading(reload: impl FnOnce()) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify_all(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("no time for systemd: {error}"),
    }
    reload();
    notify(NotifyState::Ready);
}

/// Begins to say that it answers, on this thread, which answers the requests, if systemd asks for it.
pub(super) fn start_watchdog(catalog: &Arc<Catalog>) {
    if let Some(longest) = sd_notify::watchdog_enabled() {
        drop(rt::spawn(say_so(Arc::clone(catalog), longest / TIMES)));
    }
}

/// A disk that is gone is an answer of the catalog, too: a start would not bring it back, and the alerts about it come
/// from this process. Only one that does not return is not.
async fn say_so(catalog: Arc<Catalog>, interval: Duration) {
    loop {
        rt::time::sleep(interval).await;
        if let Err(error) = catalog.ping() {
            log::debug!("the catalog answers with an error: {error}");
        }
        notify(NotifyState::Watchdog);
    }
}
