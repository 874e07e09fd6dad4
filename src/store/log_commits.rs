//! The commits in SQLite's write-ahead log (`https://sqlite.org/fileformat2.html`, section 4.1). Reading the log beside SQLite ends
//! no lock: it has none.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// The commits of a log, as far as it was read. What was written before it was last begun from its start does not count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LogCommits {
    /// Others whenever it is begun from its start.
    salts: [u8; 8],
    /// Behind the last commit.
    end: u64,
    count: i64,
}

impl LogCommits {
    pub(super) const fn count(self) -> i64 {
        self.count
    }

    /// How many there are more than before, at least.
    pub(super) fn since(&self, before: &Self) -> i64 {
        let known = if self.salts == before.salts { before.count } else { 0 };
        self.count.saturating_sub(known)
    }

    /// Those of the log as it is now.
    pub(super) fn read_on(self, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let (mut header, mut frame) = ([0; 32], [0; 24]);
        if !read_whole(&file, &mut header, 0)? {
            return Ok(Self::default());
        }
        let page_size = u32::from_be_bytes(field(&header, 8));
        let salts = field(&header, 16);
        let mut now = if salts == self.salts && self.end >= HEADER {
            self
        } else {
            Self { salts, end: HEADER, count: 0 }
        };
        let mut at = now.end;
        while read_whole(&file, &mut frame, at)? && field(&frame, 8) == salts {
            at = at.saturating_add(FRAME_HEADER).saturating_add(page_size.into());
            // Only the last frame of a commit has the length of the database. Those behind it may be written again.
            if field(&frame, 4) != [0; 4] {
                now.count = now.count.saturating_add(1);
                now.end = at;
            }
        }
        Ok(now)
    }
}

/// Whether the file has so many bytes there.
fn read_whole(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// The bytes of a field that begins there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.iter_mut().zip(bytes.iter().skip(at)).for_each(|(to, from)| *to = *from);
    field
}
