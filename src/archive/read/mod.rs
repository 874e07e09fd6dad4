//! Reading archives: one alone, or a chain of them.

mod archive_file;
mod chain;
mod outline;
mod prove;
mod reader;
mod segment_reader;
mod unindexed;
mod verified_patches;
mod walk;

pub use chain::Chain;
pub use prove::{Finished, file_checksum, prove, verify_file};
pub use reader::Reader;
pub(super) use segment_reader::{ChainReaders, SegmentReader};
pub use unindexed::{Unindexed, salvage_unindexed};
pub(super) use verified_patches::{PatchDigest, VerifiedPatches};
pub use walk::Counts;
pub use walk::Lost;
