//! Reading a full archive whose index, manifest or end is lost: its frames from the beginning on, and the tar in them.
//!
//! Of each frame there is zstd's own checksum, but nothing of what was read from the source: what comes back here was
//! compared with no hash of it.

mod frames;
mod members;
mod salvage;
mod tar_header;
mod window;

pub use salvage::{Unindexed, salvage_unindexed};
