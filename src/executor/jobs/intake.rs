//! From engine to archive: what an engine reads goes into the writer, segment by segment, with checks for
//! cancellation and a count for progress.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::archive::{ArchiveError, Writer};
use crate::domain::num::to_u64;
use crate::domain::{BackupId, Entry, EntryKind};
use crate::engine::{Intake, NeedsContent, Pulse, Stop};
use crate::executor::chain::job_error;
use crate::executor::{Context, JobError, Result};
use crate::storage::{Pending, StorageError};

/// Room that is allocated ahead of the writer at a time, so that a full disk is noticed between frames.
const MOST_ALLOCATED: u64 = 64 << 20;
/// The least that is allocated at a time; no frame is larger.
const LEAST_ALLOCATED: u64 = 4 << 20;

/// An archive being written, with room allocated ahead of what is written.
#[derive(Debug)]
pub(super) struct Sink {
    pending: SharedPending,
    written: u64,
    allocated_to: u64,
    step: AllocationStep,
}

/// The unfinished archive. Whoever gives a backup up takes it, and with it the file.
pub(super) type SharedPending = Arc<Mutex<Option<Box<dyn Pending>>>>;

/// How much is allocated at a time: no more than the source could need. Shared with the intake, which
/// learns that once the writer has the sink.
#[derive(Debug, Clone)]
pub(super) struct AllocationStep(Arc<AtomicU64>);

impl Sink {
    pub(super) fn new(pending: Box<dyn Pending>) -> Self {
        let step = AllocationStep(Arc::new(AtomicU64::new(LEAST_ALLOCATED)));
        let pending = Arc::new(Mutex::new(Some(pending)));
        Self { pending, written: 0, allocated_to: 0, step }
    }

    pub(super) fn allocation_step(&self) -> AllocationStep {
        self.step.clone()
    }

    pub(super) fn shared(&self) -> SharedPending {
        Arc::clone(&self.pending)
    }

    /// The archive, unless the backup was given up.
    pub(super) fn into_pending(self) -> Result<Box<dyn Pending>> {
        self.pending.lock().take().ok_or(JobError::Cancelled)
    }

    /// Allocates room, so that `more` further bytes certainly fit.
    fn allocate_for(&mut self, more: u64) -> Result<(), StorageError> {
        let needed = more + LEAST_ALLOCATED / 2;
        if self.written + needed <= self.allocated_to {
            return Ok(());
        }
        let mut step = self.step.0.load(Ordering::Relaxed).max(needed);
        let mut pending = self.pending.lock();
        let Some(pending) = pending.as_mut() else { return Ok(()) };
        match pending.allocate(step) {
            // The content may compress well: only what is about to be written has to fit.
            Err(error) if error.is_full() && step > needed => {
                step = needed;
                pending.allocate(step)?;
            }
            other => other?,
        }
        self.allocated_to = self.written + step;
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.allocate_for(to_u64(bytes.len())).map_err(|error| {
            let kind =
                if error.is_full() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
            io::Error::new(kind, error)
        })?;
        let written = self
            .pending
            .lock()
            .as_mut()
            .ok_or_else(|| io::Error::other("given up"))?
            .write(bytes)?;
        self.written += to_u64(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pending.lock().as_mut().map_or(Ok(()), Write::flush)
    }
}

/// An error of the writer: the storage's own, if a [`Sink`] put it there, or the archive's.
pub(super) fn writer_error(error: ArchiveError) -> JobError {
    match error {
        ArchiveError::Io(error) => error
            .downcast::<StorageError>()
            .map_or_else(|other| ArchiveError::Io(other).into(), JobError::Storage),
        other => job_error(other),
    }
}

pub(super) struct BackupIntake<'a> {
    writer: &'a mut Writer<Sink>,
    step: AllocationStep,
    context: &'a Context,
    pulse: Pulse,
    backup: BackupId,
    expected: u64,
    taken: u64,
    file_bytes: u64,
    error: Option<JobError>,
}

impl<'a> BackupIntake<'a> {
    pub(super) fn new(
        writer: &'a mut Writer<Sink>,
        step: AllocationStep,
        context: &'a Context,
        backup: BackupId,
        pulse: Pulse,
    ) -> Self {
        let (expected, taken, file_bytes) = (0, 0, 0);
        Self { writer, step, context, pulse, backup, expected, taken, file_bytes, error: None }
    }

    /// Does this while nothing is asked of the source.
    fn resting<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.pulse.rest();
        let done = work(self);
        self.pulse.beat();
        done
    }

    /// Why the intake refused, if it did.
    pub(super) fn into_error(self) -> Option<JobError> {
        self.error
    }

    fn refuse(&mut self, error: JobError) -> Stop {
        self.error.get_or_insert(error);
        Stop
    }

    fn check_cancel(&mut self) -> Result<(), Stop> {
        if self.context.cancel.is_cancelled() {
            return Err(self.refuse(JobError::Cancelled));
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_add(bytes);
        if self.expected > 0 {
            self.context.catalog.progress(self.backup, share(self.taken, self.expected));
        }
    }
}

/// `part` of `total`, 0 to 1, to a tenth of a percent.
fn share(part: u64, total: u64) -> f64 {
    let per_mille = (u128::from(part) * 1000).checked_div(u128::from(total)).unwrap_or(0);
    f64::from(u16::try_from(per_mille.min(1000)).unwrap_or(1000)) / 1000.0
}

impl Intake for BackupIntake<'_> {
    fn announce(&mut self, bytes: u64) -> Result<(), Stop> {
        self.check_cancel()?;
        self.expected = bytes;
        self.step.0.store(bytes.clamp(LEAST_ALLOCATED, MOST_ALLOCATED), Ordering::Relaxed);
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<NeedsContent, Stop> {
        self.check_cancel()?;
        self.resting(|it| {
            let wanted = it.writer.entry(entry, trust_stamp);
            let wanted = wanted.map_err(|error| it.refuse(writer_error(error)))?;
            it.file_bytes = 0;
            if !wanted && let EntryKind::File { size, .. } = entry.kind {
                it.count(size);
            }
            Ok(if wanted { NeedsContent::Yes } else { NeedsContent::No })
        })
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.writer.buffer()
    }

    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        self.check_cancel()?;
        let length = to_u64(bytes.len());
        self.resting(|it| {
            it.writer.segment(bytes).map_err(|error| it.refuse(writer_error(error)))?;
            it.file_bytes += length;
            it.count(length);
            it.context.settings.pace.wait_for_turn(length, &it.context.cancel);
            crate::failpoint::at("mid-dump");
            Ok(())
        })
    }

    fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Nothing is read, so it takes no share of the permitted speed, and is no progress.
    fn hole(&mut self, length: u64) -> Result<(), Stop> {
        self.check_cancel()?;
        self.resting(|it| it.writer.holes(length).map_err(|error| it.refuse(writer_error(error))))
    }

    fn retract(&mut self) -> Result<(), Stop> {
        self.check_cancel()?;
        self.taken = self.taken.saturating_sub(self.file_bytes);
        self.file_bytes = 0;
        self.writer.retract().map_err(|error| self.refuse(writer_error(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn progress_is_a_share_between_0_and_1() {
        for (part, total, expected) in [(0, 10, 0.0), (5, 10, 0.5), (11, 10, 1.0), (1, 0, 0.0)] {
            assert!((share(part, total) - expected).abs() < 1e-9, "{part} of {total}");
        }
        assert!((share(u64::MAX, u64::MAX) - 1.0).abs() < 1e-9);
    }
}
