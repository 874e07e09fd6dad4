//! The archive format: one backup is one file. Knows nothing of engines, catalogs or where files lie.
//!
//! Every archive is a legal zstd stream whose visible content is a legal tar: `zstd -t FILE` and
//! `tar --zstd -tf FILE` take it, and `tar --zstd -xf FILE` of a full backup gives back the data below
//! `data/` with modes, times, links, extended attributes (`--xattrs`) and holes. What is Coffer's own
//! lies in skippable frames, which zstd passes over.
//!
//! # The file
//!
//! | part | frames | content |
//! |---|---|---|
//! | tar | zstd frames | `.coffer/RESTORE.txt`; in a full backup the data; `.coffer/manifest.json`; end of tar |
//! | patches | skippable, magic `0x184D2A5B` | an incremental's data, between the first and the last member |
//! | index | skippable, magic `0x184D2A5C` | blocks of up to 256 KiB, each a zstd frame, an incremental's after the root's index: see `index` |
//! | trailer | one skippable, magic `0x184D2A5D` | 192 bytes, see below |
//! | seek table | one skippable, magic `0x184D2A5E` | stored and visible length of every frame before it |
//!
//! All zstd frames have their content's length and a checksum in them. Nothing follows the seek table, so
//! the file is read from its end: seek table, trailer, manifest, index.
//!
//! The trailer; numbers are little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 16 | `coffer archive\r\n` |
//! | 16 | 4 | format (1) |
//! | 20 | 4 | the oldest format a reader must know (1) |
//! | 24 | 4, 4 | the frame the manifest starts in, and where in its content; it may go on in the next frames |
//! | 32 | 8, 32 | the manifest's length and BLAKE3 |
//! | 72 | 4, 4 | the index' first frame, and how many |
//! | 80 | 8, 32 | the index' length before compression, and the BLAKE3 of its frames |
//! | 120 | 32 | BLAKE3 of the seek table's whole frame |
//! | 152 | 8 | zeros |
//! | 160 | 32 | BLAKE3 of the 160 bytes before |
//!
//! # Segments
//!
//! Files are cut at fixed positions, every MiB ([`crate::domain::SEGMENT_BYTES`]). In a full backup a whole segment is a
//! zstd frame of its own; shorter ones, small files and tar's headers share frames of up to a MiB. The
//! index has for each segment its hash and its place (frame, offset in the decompressed frame, length).
//!
//! The hash of a file's only segment is the file's BLAKE3. With more of them it is the segment's
//! *chaining value* in the file's BLAKE3 tree, from which the file's BLAKE3 is put together: what
//! `b3sum` prints for the restored file is recorded without a second pass.
//!
//! Of a file with holes only the data ranges are stored; what is hashed are the bytes a program reads, zeros
//! included. Its tar member is GNU tar's sparse format 1.0.
//!
//! # Order
//!
//! Entries come by path where the engine gives them so, and else as they come ([`Order`], in the manifest);
//! a folder before what is in it, a file before its hard links, no path twice. The tar's members and the index
//! have the same order.
//!
//! # Incrementals
//!
//! A segment with its parent's hash is not stored: its line is copied from the parent's index. A changed one is
//! compared with the *root's* (the full backup the chain begins with), and only its changed pages are
//! stored, with the root's versions of these pages as zstd prefix (see `patch`). What the root does not have
//! is stored whole. An index names root places and patch places in any archive of the chain, so that it,
//! read with the root's, tells where everything is: a restore decompresses at most two frames a segment,
//! however long the chain, and the next incremental needs only its parent's index and the root. Files are
//! matched by path, in whatever order (see `aside` for what that costs); one that was renamed is stored anew.
//!
//! Why the root and not the parent, measured on a SQLite database of 97 MiB (38 MiB as a full), 1 % of its
//! rows changed all over before each incremental; processor time for all patches of one restore:
//!
//! | depth | patch on the root | patch on the parent | decoded: root | decoded: all parents |
//! |---|---|---|---|---|
//! | 1 | 0.57 MiB | 0.57 MiB | 0.02 s | 0.01 s |
//! | 7 | 3.2 MiB | 0.47 MiB | 0.03 s | 0.08 s |
//! | 30 | 9.5 MiB | 0.35 MiB | 0.13 s | 0.41 s |
//!
//! So a patch on the root grows with all that changed since the full, and a database that changes all over
//! wants a new full after some weeks (`catalog.max_chain`). In return a restore takes two decodes a segment
//! whatever the depth, and a patch is made from two archives, however many there are.
//!
//! # What may be relied on
//!
//! * [`Reader::open`] succeeds only if manifest, index and seek table are what was written.
//! * Nothing is restored before its hash was compared with the one taken from the source.
//! * Numbers in a file are not trusted: memory taken is bounded, whatever a file says.
//! * The BLAKE3 of the whole file ([`Finished::checksum`]) is what `b3sum FILE` prints.
//!
//! Sources: RFC 8878 (zstd, 3.1.2: skippable frames); zstd's `contrib/seekable_format`; POSIX.1-2001 (pax);
//! the GNU tar manual ("Basic Tar Format", "Storing Sparse Files", "PAX 1").

mod aside;
mod basis;
mod bytes;
mod chain;
mod current;
mod encode;
mod error;
mod finish;
mod frame;
mod hash;
mod index;
mod load;
mod manifest;
mod order;
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
mod tried;
mod walk;
mod writer;

pub use basis::Basis;
pub use chain::{Chain, RestoreReport, VerifyReport};
pub use error::{ArchiveError, Cancelled};
pub use finish::Finished;
pub use index::{Entries, Record};
pub use manifest::{BackupFacts, IndexFacts, Manifest, ManifestDraft, Totals};
pub use order::Order;
pub use prove::{prove, recheck};
pub use reader::Reader;
pub use walk::Outlet;
pub use writer::{Writer, WriterOptions};

#[cfg(test)]
mod tests;
