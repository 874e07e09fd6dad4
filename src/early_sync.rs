//! Syncing while there is still more to write.
//!
//! Asked to write back, the system hands bytes to the disk, which keeps them in a cache of its own; only a sync
//! empties that. Left to the end it takes as long as the disk needs for all of it, and whoever else syncs
//! meanwhile, the database above all, waits too.

use std::fs::File;
use std::io;
use std::thread::{Builder, JoinHandle};

/// How much is written between the begins of two syncs.
const STEP: u64 = 32 << 20;

/// The sync under way, of which there is one at most.
#[derive(Debug, Default)]
pub struct EarlySync {
    running: Option<JoinHandle<io::Result<()>>>,
    /// How much was written since it began.
    since: u64,
}

impl EarlySync {
    /// So many bytes `more` are written, to `file`: begins a sync of that if it is time. Never waits.
    ///
    /// An error is that of an earlier sync. The system tells it once and then forgets it: what is on the disk is
    /// unknown from here on.
    pub fn wrote(&mut self, file: &File, more: u64) -> io::Result<()> {
        self.since = self.since.saturating_add(more);
        if self.since < STEP {
            return Ok(());
        }
        if self.running.as_ref().is_some_and(|it| !it.is_finished()) {
            return Ok(());
        }
        self.end()?;
        self.since = 0;
        let Ok(same) = file.try_clone() else { return Ok(()) };
        let thread = Builder::new().name("early-sync".to_owned());
        // Without a thread the sync at the end has more to do.
        self.running = thread.spawn(move || same.sync_data()).ok();
        Ok(())
    }

    /// Waits until none is under way. Errors as for [`EarlySync::wrote`].
    pub fn end(&mut self) -> io::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.join().unwrap_or_else(|_panic| Err(io::Error::other("an early sync panicked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that cannot be synced.
    fn unsyncable() -> File {
        let (_reader, writer) = rustix::pipe::pipe().unwrap();
        File::from(writer)
    }

    #[test]
    fn the_error_of_an_early_sync_is_told_by_whatever_comes_next() {
        let file = unsyncable();
        let mut early = EarlySync::default();
        early.wrote(&file, STEP).unwrap();
        early.end().unwrap_err();
        early.wrote(&file, STEP).unwrap();
        while early.running.as_ref().is_some_and(|it| !it.is_finished()) {
            std::thread::yield_now();
        }
        early.wrote(&file, STEP).unwrap_err();
    }

    #[test]
    fn what_is_small_is_not_synced_early_until_there_is_much_of_it() {
        let file = unsyncable();
        let mut early = EarlySync::default();
        early.wrote(&file, STEP - 1).unwrap();
        early.end().unwrap();
        early.wrote(&file, 1).unwrap();
        early.end().unwrap_err();
    }
}
