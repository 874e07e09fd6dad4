//! SIGTERM and SIGINT: the first asks for an orderly end, the second for a quick one.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use actix_web::dev::ServerHandle;

use crate::domain::Cancel;

/// Listens for signals until dropped.
#[derive(Debug)]
pub(super) struct Listening(Handle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The first signal stops the HTTP server, which lets requests end; a second one interrupts running jobs.
pub(super) fn listen(server: ServerHandle, cancel: Cancel) -> io::Result<Listening> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let handle = signals.handle();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if stopping {
                log::info!("second signal: running jobs are interrupted");
                cancel.cancel();
            } else {
                stopping = true;
                log::info!("signal {signal}: stopping");
                // The command goes out with the call; the answer is not needed here.
                drop(server.stop(true));
            }
        }
    })?;
    Ok(Listening(handle))
}
