//! The content of one file, while somebody may be writing to it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use crate::domain::{Extent, SEGMENT_BYTES, num};
use crate::engine::Intake;
use crate::engine::file_stat::{FileStat, now_ns, stat_open};
use crate::engine::pour::PourError;
use crate::engine::pulse::Pulse;

/// One attempt to read an open file.
#[derive(Debug)]
pub(super) struct ReadAttempt<'file> {
    pub(super) file: &'file OwnedFd,
    /// The file's metadata when the attempt began.
    pub(super) found: FileStat,
    /// Whether any change since then would show in the metadata.
    pub(super) changes_show: bool,
    /// Where the file holds data; `None` if it has no holes.
    pub(super) extents: Option<&'file [Extent]>,
    /// Whether times do not show every change, so that the content is read again to compare it.
    pub(super) compare: bool,
    /// Beats for each segment that is read to compare it; those that are given beat by themselves.
    pub(super) pulse: &'file Pulse,
    /// Read exactly as many bytes as the file had, even if it changes: cut off, or filled with zeros.
    pub(super) is_last: bool,
}

impl ReadAttempt<'_> {
    /// Gives the content to `intake`, segment by segment. Returns whether the file stayed unchanged; if it did not,
    /// and this is not the last attempt, the rest was not read.
    pub(super) fn pour(&self, intake: &mut dyn Intake) -> Result<bool, PourError<Errno>> {
        let segment = num::to_u64(SEGMENT_BYTES);
        let mut unchanged = self.changes_show;
        let mut hasher = self.compare.then(blake3::Hasher::new);
        let mut offset = 0;
        while offset < self.found.size {
            let hole = self.hole_at(offset);
            let is_hole = hole > 0;
            let wanted = if is_hole { hole } else { segment.min(self.found.size - offset) };
            let mut buffer = if is_hole { Vec::new() } else { intake.buffer() };
            if !is_hole {
                unchanged &= self.read(&mut buffer, offset, wanted).map_err(PourError::Read)?;
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&buffer);
            }
            offset += wanted;
            // Checked before the last segment is given, so that a small file that changed is not given at all.
            if offset == self.found.size {
                let now = stat_open(self.file.as_fd()).map_err(PourError::Read)?;
                unchanged &= now.same_content(&self.found);
                if let (true, Some(hasher)) = (unchanged, &hasher) {
                    unchanged = self.digest().map_err(PourError::Read)? == hasher.finalize();
                }
            }
            if !unchanged && !self.is_last {
                return Ok(false);
            }
            if is_hole {
                intake.hole(wanted)?;
            } else {
                intake.segment(buffer)?;
            }
        }
        Ok(unchanged)
    }

    /// Reads one segment. Returns whether the file was long enough; if not, the rest is zeros.
    fn read(&self, buffer: &mut Vec<u8>, offset: u64, wanted: u64) -> Result<bool, Errno> {
        let length = usize::try_from(wanted).map_err(|_reason| Errno::OVERFLOW)?;
        buffer.clear();
        while buffer.len() < length {
            let done = u64::try_from(buffer.len()).map_err(|_reason| Errno::OVERFLOW)?;
            match pread(self.file, spare_capacity(buffer), offset + done) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        let complete = buffer.len() >= length;
        buffer.resize(length, 0);
        Ok(complete)
    }

    /// The hash of what the file holds now.
    fn digest(&self) -> Result<blake3::Hash, Errno> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = Vec::with_capacity(SEGMENT_BYTES);
        let segment = num::to_u64(SEGMENT_BYTES);
        let mut offset = 0;
        while offset < self.found.size {
            let wanted = segment.min(self.found.size - offset);
            if !self.is_hole(offset, wanted) {
                self.pulse.beat();
                self.read(&mut buffer, offset, wanted)?;
                hasher.update(&buffer);
            }
            offset += wanted;
        }
        Ok(hasher.finalize())
    }

    /// How many bytes from here on are a hole: whole segments, or all up to the end.
    fn hole_at(&self, offset: u64) -> u64 {
        let Some(extents) = self.extents else { return 0 };
        let next = extents.partition_point(|it| it.offset.saturating_add(it.length) <= offset);
        let length = match extents.get(next).filter(|it| it.offset < self.found.size) {
            None => return self.found.size - offset,
            Some(data) => data.offset.saturating_sub(offset),
        };
        length - length % num::to_u64(SEGMENT_BYTES)
    }

    fn is_hole(&self, offset: u64, length: u64) -> bool {
        let Some(extents) = self.extents else { return false };
        let next = extents.partition_point(|it| it.offset.saturating_add(it.length) <= offset);
        extents.get(next).is_none_or(|it| it.offset >= offset.saturating_add(length))
    }
}

/// Whether anything can be read of a file.
fn has_content(file: &OwnedFd) -> Result<bool, Errno> {
    let mut byte = [0_u8];
    match pread(file, &mut byte, 0) {
        Ok(length) => Ok(length > 0),
        // It has nothing yet, as files of the kernel's may.
        Err(Errno::AGAIN | Errno::INTR | Errno::NXIO | Errno::SPIPE) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a file that was empty as `found` can be read all the same, although nobody wrote to it since.
pub(super) fn hides_its_length(file: &OwnedFd, found: &FileStat) -> Result<bool, Errno> {
    if found.size > 0 || !has_content(file)? {
        return Ok(false);
    }
    let later = stat_open(file.as_fd())?;
    Ok(later.size == 0 && later.ctime_ns == found.ctime_ns)
}

/// The metadata of an open file that is about to be read. If the file was changed within the last tick of the
/// filesystem's clock, waits for the next tick, so that a change during the read gets a different time. Also returns
/// whether such a change would show: it would not if the file was changed during the wait.
pub(super) fn stat_after_tick(file: BorrowedFd<'_>) -> Result<(FileStat, bool), Errno> {
    let found = stat_open(file)?;
    let now = now_ns();
    let tick = found.tick_ns();
    // A clock that is further ahead is another machine's, and tells nothing.
    let wait = found.ctime_ns + tick - now;
    if wait <= 0 || wait > 2 * tick {
        return Ok((found, true));
    }
    let deadline = now + wait;
    loop {
        match u64::try_from(deadline - now_ns()) {
            Ok(left) if left > 0 => {
                // Bounded, in case the clock is set back meanwhile.
                let left = left.min(u64::try_from(2 * tick).unwrap_or(u64::MAX));
                std::thread::park_timeout(std::time::Duration::from_nanos(left));
            }
            _ => break,
        }
    }
    let later = stat_open(file)?;
    Ok((later, later.same_content(&found)))
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_is_read_again_to_compare_it_answers_meanwhile() {
        let written = tempfile::NamedTempFile::new().unwrap();
        written.as_file().write_all(b"content").unwrap();
        let file = OwnedFd::from(File::open(written.path()).unwrap());
        let (found, changes_show) = stat_after_tick(file.as_fd()).unwrap();
        let pulse = Pulse::default();
        pulse.watch(written.path(), std::time::Duration::from_secs(60));
        pulse.rest();
        let attempt = ReadAttempt {
            file: &file,
            found,
            changes_show,
            extents: None,
            compare: true,
            pulse: &pulse,
            is_last: false,
        };
        assert_eq!(attempt.digest().unwrap(), blake3::hash(b"content"));
        assert!(pulse.is_asking());
    }

    #[test]
    fn a_file_that_was_written_to_meanwhile_is_not_called_one_of_unknown_length() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = OwnedFd::from(File::open(file.path()).unwrap());
        let (found, _shows) = stat_after_tick(open.as_fd()).unwrap();
        assert_eq!(hides_its_length(&open, &found), Ok(false));
        OpenOptions::new().append(true).open(file.path()).unwrap().write_all(b"more").unwrap();
        assert_eq!(hides_its_length(&open, &found), Ok(false));
        let kernels = OwnedFd::from(File::open("/proc/version").unwrap());
        let found = stat_open(kernels.as_fd()).unwrap();
        assert_eq!((found.size, hides_its_length(&kernels, &found)), (0, Ok(true)));
    }
}
