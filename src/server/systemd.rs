//! What systemd hears: that the server is ready, stops, and, at intervals, that it answers. One that hangs is ended and
//! started again (`WatchdogSec=` of the unit).

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;

use crate::catalog::Catalog;

/// How often it is said within the time that systemd waits.
const TIMES: u32 = 3;

/// Notifies systemd, if it runs this process.
pub(super) fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("systemd could not be notified: {error}");
    }
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
        notify(sd_notify::NotifyState::Watchdog);
    }
}
