//! Background syncs while data is still being written.
//!
//! Write-back alone only moves data into the disk's own cache; a sync empties that too. If the only sync came at the
//! end, it would take as long as the disk needs for all of the data, and delay everyone else who syncs, such as a
//! database.

use std::fs::File;
use std::io;
use std::thread::{Builder, JoinHandle};

/// How many bytes are written before the next background sync starts.
const STEP: u64 = 32 << 20;

/// Starts background syncs, one at a time.
#[derive(Debug, Default)]
pub struct EarlySync {
    running: Option<JoinHandle<io::Result<()>>>,
    unsynced: u64,
}

impl EarlySync {
    /// Records `more` written bytes; starts a background fsync of `file` every 32 MiB. Never blocks.
    ///
    /// Fails if an earlier background sync failed. The kernel reports such an error only once, so it is final: what
    /// is on the disk is unknown from then on.
    pub fn wrote(&mut self, file: &File, more: u64) -> io::Result<()> {
        self.count(more, file, File::sync_data)
    }

    /// The same for a file that is one of many: syncs the filesystem it is on. syncfs(2) reports errors since Linux 5.8.
    pub fn wrote_among_others(&mut self, file: &File, more: u64) -> io::Result<()> {
        self.count(more, file, |file| Ok(rustix::fs::syncfs(file)?))
    }

    fn count(
        &mut self,
        more: u64,
        file: &File,
        sync: fn(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        self.unsynced = self.unsynced.saturating_add(more);
        if self.unsynced < STEP || self.running.as_ref().is_some_and(|it| !it.is_finished()) {
            return Ok(());
        }
        self.finish()?;
        self.unsynced = 0;
        let Ok(file) = file.try_clone() else { return Ok(()) };
        let thread = Builder::new().name("early-sync".to_owned());
        // If no thread can be started, more is left for the sync at the end.
        self.running = thread.spawn(move || sync(&file)).ok();
        Ok(())
    }

    /// Waits for the background sync, if one is running. Fails like [`EarlySync::wrote`].
    pub fn finish(&mut self) -> io::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.join().unwrap_or_else(|_panic| Err(io::Error::other("a background sync panicked")))
    }
}
