//! Ctrl-C: the tour ends at the next step, and everything it made is removed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::cli::CommandError;

/// Takes the signals that would end the process, until dropped.
#[derive(Debug)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    wake: Receiver<()>,
    handle: Handle,
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.handle.close();
    }
}

impl Interrupt {
    /// From now on a signal no longer ends the process by itself.
    pub(super) fn listen() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        let asked = Arc::new(AtomicBool::new(false));
        let (sender, wake) = bounded(1);
        let seen = Arc::clone(&asked);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _signal in signals.forever() {
                seen.store(true, Ordering::SeqCst);
                // Full means that one wake-up waits already.
                sender.try_send(()).ok();
            }
        })?;
        Ok(Self { asked, wake, handle })
    }

    /// Whether a signal came.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// An error once a signal came.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.was_asked() {
            let text = "interrupted; the server is stopped and the temporary data removed";
            return Err(CommandError::Failed(text.to_owned()));
        }
        Ok(())
    }

    /// Waits this long, less if a signal comes.
    pub(super) fn pause(&self, span: Duration) -> Result<(), CommandError> {
        match self.wake.recv_timeout(span) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.check()
            }
        }
    }
}
