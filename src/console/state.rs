//! What every page can reach. Built once, shared by all workers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::access::{AlertChannels, ArchiveAccess, SlowDown};
use crate::catalog::Catalog;
use crate::domain::{Clock, Timestamp};
use crate::keystone::Keystone;

use super::session::Sessions;

/// Pages that are kept up to date at once. Others are loaded again by hand.
const LIVE_PAGES: usize = 64;

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// Whether one signs in with a token; otherwise anybody may do everything, on loopback addresses only.
    pub needs_token: bool,
    /// Whose tokens are taken besides our own.
    pub keystone: Option<Arc<Keystone>>,
    /// How clients reach this server, if that is not by its own address.
    pub public_url: Option<String>,
    /// Whether the port speaks TLS.
    pub is_tls: bool,
    /// Names of this server, besides those of this machine's own loopback.
    pub hosts: Vec<String>,
    /// How long a client may take to send a form.
    pub body_timeout: Duration,
    /// How long the answer to a wrong token waits.
    pub wrong_token_wait: Duration,
    /// Archives that may be downloaded at once.
    pub downloads: usize,
    /// How long deleted archives can be brought back.
    pub trash_window: Duration,
    /// The description of the API as an `OpenAPI` document.
    pub reference: fn() -> &'static str,
    pub version: &'static str,
}

/// What pages are made of.
#[derive(Debug)]
pub struct Console {
    pub(super) catalog: Arc<Catalog>,
    pub(super) archives: Arc<dyn ArchiveAccess>,
    pub(super) channels: Arc<dyn AlertChannels>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: ConsoleSettings,
    pub(super) sessions: Sessions,
    pub(super) slow_down: Arc<SlowDown>,
    pub(super) downloads: Arc<Semaphore>,
    pub(super) live_pages: Arc<Semaphore>,
    /// The description of the API, once a page has shown it.
    pub(super) reference: OnceLock<Value>,
}

impl Console {
    pub fn new(
        catalog: Arc<Catalog>,
        archives: Arc<dyn ArchiveAccess>,
        channels: Arc<dyn AlertChannels>,
        (clock, slow_down): (Arc<dyn Clock>, Arc<SlowDown>),
        settings: ConsoleSettings,
    ) -> Self {
        Self {
            catalog,
            archives,
            channels,
            clock,
            sessions: Sessions::default(),
            slow_down,
            downloads: Arc::new(Semaphore::new(settings.downloads)),
            live_pages: Arc::new(Semaphore::new(LIVE_PAGES)),
            reference: OnceLock::new(),
            settings,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Keystone, if its tokens are taken.
    pub(super) fn keystone(&self) -> Option<&Keystone> {
        self.settings.keystone.as_deref()
    }

    /// Whether browsers reach this server over TLS.
    pub(super) fn is_https(&self) -> bool {
        let settings = &self.settings;
        settings.is_tls || settings.public_url.as_ref().is_some_and(|it| it.starts_with("https://"))
    }
}
