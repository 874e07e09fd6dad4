//! Writing a backup again, as an archive that stands alone.

use std::io::Write;
use std::sync::Arc;

use super::writer::Writer;
use crate::archive::error::{Damage, Result};
use crate::archive::index::{Piece, Stored};
use crate::archive::read::{Chain, Reader, SegmentReader};
use crate::domain::num::to_u64;

impl Chain {
    /// Gives the content of the backup to `writer`, as an engine would: with a writer of a full backup this makes one
    /// of any point. `progress` is called with the number of bytes of content that are done.
    pub fn export<W: Write>(
        &self,
        writer: &mut Writer<W>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let mut done = 0_u64;
        let mut reader = SegmentReader::new(Arc::clone(self.readers()))?;
        let mut scratch = Vec::new();
        let mut entries = self.last().entries(Some(self.readers().root()?))?;
        let mut is_wanted = false;
        while let Some(piece) = entries.piece()? {
            let (position, segment) = match piece {
                Piece::Entry(entry) => {
                    is_wanted = writer.entry(&entry, false)?;
                    continue;
                }
                Piece::Segment(..) if !is_wanted => continue,
                Piece::Segment(position, segment) => (position, segment),
            };
            if segment.stored == Stored::Hole {
                writer.hole()?;
            } else {
                let mut content = writer.buffer();
                content.extend_from_slice(reader.read(&segment, position, &mut scratch)?);
                writer.segment(content)?;
            }
            done = done.saturating_add(to_u64(position.length));
            progress(done);
        }
        Ok(())
    }
    /// Fails unless `copy`, a full backup, has the same entries as this backup, and the same hash of each segment. It
    /// compares the indexes: that the bytes are those of the hashes, [`prove`](crate::archive::prove) shows.
    pub fn require_same(&self, copy: &Arc<Reader>) -> Result<()> {
        let differs =
            || copy.damaged(Damage::new("it differs from the backup that it was made of"));
        let mut mine = self.last().entries(Some(self.readers().root()?))?;
        let mut others = copy.entries(None)?;
        loop {
            let is_same = match (mine.piece()?, others.piece()?) {
                (None, None) => return Ok(()),
                (Some(Piece::Entry(mine)), Some(Piece::Entry(other))) => mine == other,
                (Some(Piece::Segment(at, mine)), Some(Piece::Segment(other_at, other))) => {
                    // The holes of a large file have no hash.
                    let both_holes = mine.stored == Stored::Hole && other.stored == Stored::Hole;
                    (at.number, at.length) == (other_at.number, other_at.length)
                        && (both_holes || mine.hash == other.hash)
                }
                _ => false,
            };
            if !is_same {
                return Err(differs());
            }
        }
    }
}
