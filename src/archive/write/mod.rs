//! Writing archives.

mod encoder;
mod export;
mod finish;
mod open_entry;
mod output;
mod parent_index;
mod pending_records;
mod tar_header;
mod writer;

pub use finish::Sign;
pub use parent_index::ParentIndex;
pub use writer::{Writer, WriterOptions};
