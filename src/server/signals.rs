//! SIGTERM and SIGINT: the first shuts the server down, the second also cancels running jobs. SIGHUP: the
//! configuration is read again.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use actix_web::dev::ServerHandle;

use crate::bell::Changes;
use crate::domain::Cancel;

/// Receives signals until dropped.
#[derive(Debug)]
pub(super) struct SignalListener(Handle);

impl Drop for SignalListener {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl SignalListener {
    /// The first signal stops the HTTP server, which lets requests finish; a second one cancels the jobs.
    pub(super) fn start(
        server: ServerHandle,
        (cancel, changes): (Cancel, Arc<Changes>),
        reload: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let handle = signals.handle();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut stopping = false;
            for signal in signals.forever() {
                if signal == SIGHUP {
                    reload();
                } else if stopping {
                    log::info!("second signal: interrupting running jobs");
                    cancel.cancel();
                } else {
                    stopping = true;
                    log::info!("signal {signal}: stopping");
                    // Pages that follow changes would hold it up.
                    changes.end();
                    // The call sends the command; its answer is not needed here.
                    drop(server.stop(true));
                }
            }
        })?;
        Ok(Self(handle))
    }
}
