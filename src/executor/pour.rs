//! From engine to archive: what an engine reads goes into the writer, segment by segment, watched for
//! cancellation and counted for progress.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::archive::{ArchiveError, Writer};
use crate::domain::{BackupId, Entry, EntryKind};
use crate::engine::{Intake, Refused, Wants};
use crate::storage::{Pending, StorageError};

use super::chain::blame;
use super::{Context, JobError};

/// Room that is kept ahead of the writer, in bytes: a full disk is met here, and not inside a frame.
const RESERVED_AHEAD: u64 = 64 << 20;
/// The least room reserved at a time; no frame is larger.
const RESERVED_LEAST: u64 = 4 << 20;

#[derive(Debug)]
struct Slot {
    pending: Box<dyn Pending>,
    written: u64,
    reserved: u64,
    /// How much one step reserves: no more than the source could ever need.
    step: u64,
    /// Why the last write failed, in the storage's own words.
    refusal: Option<StorageError>,
}

/// An archive being written, shared between the writer and the job that will publish it.
#[derive(Debug, Clone)]
pub(super) struct SharedPending(Arc<Mutex<Option<Slot>>>);

impl SharedPending {
    pub(super) fn new(pending: Box<dyn Pending>) -> Self {
        let slot = Slot { pending, written: 0, reserved: 0, step: RESERVED_LEAST, refusal: None };
        Self(Arc::new(Mutex::new(Some(slot))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Slot>> {
        self.0.lock()
    }

    /// The source says how much is to come: reserves a first piece of it.
    fn expect(&self, bytes: u64) -> Result<(), StorageError> {
        let mut guard = self.lock();
        let Some(slot) = guard.as_mut() else { return Ok(()) };
        slot.step = bytes.clamp(RESERVED_LEAST, RESERVED_AHEAD);
        slot.ahead(0)
    }

    /// Takes the archive back from the writer.
    pub(super) fn take(&self) -> Option<Box<dyn Pending>> {
        self.lock().take().map(|slot| slot.pending)
    }

    /// The storage's own words for a write that failed.
    pub(super) fn refusal(&self) -> Option<StorageError> {
        self.lock().as_mut().and_then(|slot| slot.refusal.take())
    }
}

impl Slot {
    /// Reserves on, so that `more` further bytes certainly fit.
    fn ahead(&mut self, more: u64) -> Result<(), StorageError> {
        if self.written + more + RESERVED_LEAST / 2 > self.reserved {
            let least = more + RESERVED_LEAST / 2;
            let mut step = self.step.max(least);
            match self.pending.reserve(step) {
                // The source may compress: only what is really about to be written has to fit.
                Err(error) if error.is_full() && step > least => {
                    step = least;
                    self.pending.reserve(step)?;
                }
                other => other?,
            }
            self.reserved = self.written + step;
        }
        Ok(())
    }
}

impl Write for SharedPending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut guard = self.lock();
        let slot = guard.as_mut().ok_or_else(|| io::Error::other("the archive was taken away"))?;
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Err(error) = slot.ahead(more) {
            let kind =
                if error.is_full() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
            slot.refusal = Some(error);
            return Err(kind.into());
        }
        let written = slot.pending.write(bytes)?;
        slot.written += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().as_mut().map_or(Ok(()), |slot| slot.pending.flush())
    }
}

/// The intake of one backup.
pub(super) struct Pour<'a> {
    writer: &'a mut Writer<SharedPending>,
    pending: SharedPending,
    context: &'a Context,
    backup: BackupId,
    expected: u64,
    poured: u64,
    file_bytes: u64,
    error: Option<JobError>,
}

impl<'a> Pour<'a> {
    pub(super) fn new(
        writer: &'a mut Writer<SharedPending>,
        pending: SharedPending,
        context: &'a Context,
        backup: BackupId,
    ) -> Self {
        Self {
            writer,
            pending,
            context,
            backup,
            expected: 0,
            poured: 0,
            file_bytes: 0,
            error: None,
        }
    }

    /// Why the intake refused, if it did.
    pub(super) fn into_error(self) -> Option<JobError> {
        self.error
    }

    fn refuse(&mut self, error: JobError) -> Refused {
        self.error.get_or_insert(error);
        Refused
    }

    fn watch(&mut self) -> Result<(), Refused> {
        if self.context.cancel.is_cancelled() {
            Err(self.refuse(JobError::Cancelled))
        } else {
            Ok(())
        }
    }

    /// The archive's error, or the storage's behind it.
    fn explain(&mut self, error: ArchiveError) -> Refused {
        let error = match self.pending.refusal() {
            Some(refusal) => refusal.into(),
            None => blame(error),
        };
        self.refuse(error)
    }

    fn count(&mut self, bytes: u64) {
        self.poured = self.poured.saturating_add(bytes);
        if self.expected > 0 {
            self.context.catalog.progress(self.backup, share(self.poured, self.expected));
        }
    }
}

/// `part` of `whole`, 0 to 1, to a tenth of a percent.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    let per_mille = (u128::from(part) * 1000).checked_div(u128::from(whole)).unwrap_or(0);
    f64::from(u16::try_from(per_mille.min(1000)).unwrap_or(1000)) / 1000.0
}

impl Intake for Pour<'_> {
    fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        self.watch()?;
        self.expected = bytes;
        self.pending.expect(bytes).map_err(|error| self.refuse(error.into()))
    }

    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<Wants, Refused> {
        self.watch()?;
        let wanted = self.writer.entry(entry, trust_stamp).map_err(|error| self.explain(error))?;
        self.file_bytes = 0;
        if !wanted && let EntryKind::File { size, .. } = entry.kind {
            self.count(size);
        }
        Ok(if wanted { Wants::Content } else { Wants::Nothing })
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.writer.buffer()
    }

    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Refused> {
        self.watch()?;
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        self.writer.segment(bytes).map_err(|error| self.explain(error))?;
        self.file_bytes += length;
        self.count(length);
        self.context.settings.pace.limit(length, &self.context.cancel);
        crate::failpoint::reached("mid-dump");
        Ok(())
    }

    fn retract(&mut self) -> Result<(), Refused> {
        self.watch()?;
        self.poured = self.poured.saturating_sub(self.file_bytes);
        self.file_bytes = 0;
        self.writer.retract().map_err(|error| self.explain(error))
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn progress_is_a_share_between_nothing_and_all() {
        for (part, whole, expected) in [(0, 10, 0.0), (5, 10, 0.5), (11, 10, 1.0), (1, 0, 0.0)] {
            assert!((share(part, whole) - expected).abs() < 1e-9, "{part} of {whole}");
        }
        assert!((share(u64::MAX, u64::MAX) - 1.0).abs() < 1e-9);
    }
}
