//! The checksum of an archive file.

use std::sync::Arc;

use super::reader::Reader;
use crate::archive::error::ArchiveError;
use crate::archive::hash::{self, Digest};
use crate::archive::index::{segment_length, segment_start};
use crate::archive::pool::Pool;
use crate::domain::SEGMENT_BYTES;
use crate::domain::num::{saturating_usize, to_u64};

impl Reader {
    /// BLAKE3 of the file in hex, as `b3sum` prints it. Several threads read and hash a MiB each; 32 bytes for each
    /// MiB are kept. `progress` is called with the number of bytes that are done.
    pub fn checksum(
        self: &Arc<Self>,
        workers: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<String, ArchiveError> {
        let length = self.stored_bytes();
        let pool = Pool::start(workers, || {
            let (reader, mut buffer) = (Arc::clone(self), Vec::new());
            Ok(move |number: usize| -> Result<Digest, ArchiveError> {
                buffer.resize(segment_length(length, number), 0);
                reader.read_at(&mut buffer, segment_start(number))?;
                Ok(hash::segment(&buffer, number, length <= to_u64(SEGMENT_BYTES)))
            })
        })?;
        let count = saturating_usize(length.div_ceil(to_u64(SEGMENT_BYTES)));
        let mut hashes = Vec::new();
        pool.run((0..count).map(Ok::<_, ArchiveError>), |hash| {
            hashes.push(hash?);
            progress(segment_start(hashes.len()).min(length));
            Ok(())
        })?;
        Ok(hex::encode(hash::file(&hashes)))
    }
}
