//! Writing a backup again, as an archive that stands alone.

use std::io::Write;
use std::sync::Arc;

use super::writer::Writer;
use crate::archive::error::Result;
use crate::archive::index::{Piece, Stored};
use crate::archive::read::{Chain, SegmentReader};
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
}
