//! The content of one file, while somebody may be writing to it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use crate::domain::{Extent, SEGMENT_BYTES};
use crate::engine::look::{Look, look_open, now_ns};
use crate::engine::{Intake, Refused};

/// Why content did not come to its end.
#[derive(Debug)]
pub(super) enum Cut {
    /// The system could not read.
    Read(Errno),
    /// The archive does not take more.
    Refused(Refused),
}

impl From<Errno> for Cut {
    fn from(error: Errno) -> Self {
        Self::Read(error)
    }
}

impl From<Refused> for Cut {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// One reading of an open file.
#[derive(Debug)]
pub(super) struct Reading<'file> {
    pub(super) file: &'file OwnedFd,
    /// How the file was when the reading began.
    pub(super) found: Look,
    /// Whether a change from then on shows; if not, the reading proves nothing.
    pub(super) quiet: bool,
    /// Where it holds data.
    pub(super) extents: Option<&'file [Extent]>,
    /// Whether to give exactly as many bytes as it had, whatever becomes of it: cut, or with zeros.
    pub(super) last_try: bool,
}

impl Reading<'_> {
    /// Gives the content, a segment at a time. Says whether the file stayed as it was; if not, and this
    /// is not the last try, the rest was not given.
    pub(super) fn pour(&self, intake: &mut dyn Intake) -> Result<bool, Cut> {
        let segment = u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX);
        let mut steady = self.quiet;
        let mut offset = 0;
        while offset < self.found.size {
            let wanted = segment.min(self.found.size - offset);
            let mut buffer = intake.buffer();
            steady &= self.read(&mut buffer, offset, wanted)?;
            offset += wanted;
            // Asked before the last segment is given: a small file is thus looked at again before
            // anything of it has left.
            if offset == self.found.size {
                steady &= look_open(self.file.as_fd())?.same_content(&self.found);
            }
            if !steady && !self.last_try {
                return Ok(false);
            }
            intake.segment(buffer)?;
        }
        Ok(steady)
    }

    /// Reads one segment. Says whether the file was long enough; if not, zeros take the place.
    fn read(&self, buffer: &mut Vec<u8>, offset: u64, wanted: u64) -> Result<bool, Errno> {
        let length = usize::try_from(wanted).map_err(|_reason| Errno::OVERFLOW)?;
        buffer.clear();
        if self.is_hole(offset, wanted) {
            buffer.resize(length, 0);
            return Ok(true);
        }
        while buffer.len() < length {
            let done = u64::try_from(buffer.len()).map_err(|_reason| Errno::OVERFLOW)?;
            match pread(self.file, spare_capacity(buffer), offset + done) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        let enough = buffer.len() >= length;
        buffer.resize(length, 0);
        Ok(enough)
    }

    fn is_hole(&self, offset: u64, length: u64) -> bool {
        let Some(extents) = self.extents else { return false };
        let next = extents.partition_point(|it| it.offset.saturating_add(it.length) <= offset);
        extents.get(next).is_none_or(|it| it.offset >= offset.saturating_add(length))
    }
}

/// Looks at an open file before it is read. If it was changed within the last tick of the filesystem's
/// clock, waits for the next: a change while it is read then gets another time and shows. Says whether it
/// does: not if the file was changed while this waited.
pub(super) fn settled(file: BorrowedFd<'_>) -> Result<(Look, bool), Errno> {
    let found = look_open(file)?;
    let now = now_ns();
    let tick = found.tick_ns();
    // Filesystems that keep whole seconds would take too long to wait for.
    let wait = found.ctime_ns + tick - now;
    if tick > 100_000_000 || wait <= 0 || wait > 2 * tick {
        return Ok((found, true));
    }
    let deadline = now + wait;
    loop {
        match u64::try_from(deadline - now_ns()) {
            Ok(left) if left > 0 => {
                // Bounded even if the machine's clock is set back meanwhile.
                let left = left.min(u64::try_from(2 * tick).unwrap_or(u64::MAX));
                std::thread::park_timeout(std::time::Duration::from_nanos(left));
            }
            _ => break,
        }
    }
    let later = look_open(file)?;
    Ok((later, later.same_content(&found)))
}
