//! Ctrl-C and SIGTERM as a cancellation, so that a command can clean up before it exits.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::domain::Cancel;

use super::error::{CommandError, Result, failed};

/// How often [`Interrupt::wait_for`] tries again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Receives the signals that would otherwise end the process, until dropped.
#[derive(Debug)]
pub(super) struct Interrupt {
    cancel: Cancel,
    wake: Receiver<()>,
    handle: Handle,
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.handle.close();
    }
}

impl Interrupt {
    /// Starts to listen. From here on a signal no longer ends the process.
    pub(super) fn listen() -> Result<Self> {
        let doing = "listening for signals";
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed(doing))?;
        let (handle, cancel, (waker, wake)) = (signals.handle(), Cancel::default(), bounded(1));
        let requested = cancel.clone();
        let listener = move || {
            for _signal in signals.forever() {
                requested.cancel();
                // Full means that a wake-up is waiting already.
                waker.try_send(()).ok();
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listener).map_err(failed(doing))?;
        Ok(Self { cancel, wake, handle })
    }

    /// Cancelled once a signal came.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Waits for this long, or until a signal comes.
    pub(super) fn pause(&self, time: Duration) {
        self.wake.recv_timeout(time).ok();
    }

    /// Fails once a signal came.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(CommandError::Failed("interrupted".to_owned()));
        }
        Ok(())
    }

    /// Calls `attempt` until it returns something. Fails after `timeout`, or once a signal came.
    pub(super) fn wait_for<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(result) = attempt()? {
                return Ok(result);
            }
            self.check()?;
            if Instant::now() >= deadline {
                let seconds = timeout.as_secs();
                return Err(CommandError::Failed(format!("{what} took over {seconds} seconds")));
            }
            self.pause(POLL_INTERVAL);
        }
    }
}
