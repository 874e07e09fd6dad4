//! The archive format.

mod basis;
mod bytes;
mod chain;
mod encode;
mod error;
mod finish;
mod frame;
mod hash;
mod index;
mod load;
mod manifest;
mod output;
mod patch;
mod pending;
mod pool;
mod prove;
mod reader;
mod seek_table;
mod sparse;
mod tar_header;
mod trailer;
mod walk;
mod writer;

pub use basis::Basis;
pub use bytes::Bytes;
pub use chain::{Chain, RestoreReport, VerifyReport};
pub use error::{ArchiveError, Cancelled};
pub use finish::Finished;
pub use index::{Entries, Record};
pub use manifest::{BackupFacts, IndexFacts, Manifest, ManifestDraft, Totals};
pub use prove::prove;
pub use reader::Reader;
pub use walk::{Outlet, WriteAt};
pub use writer::{Writer, WriterOptions};

#[cfg(test)]
mod tests;
