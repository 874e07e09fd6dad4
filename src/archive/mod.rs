//! The archive format: one backup is one file. This room knows nothing of engines, catalogs or where files are kept.
//!
//! Every archive is a legal zstd stream whose decompressed content is a legal tar: `zstd -t FILE` and
//! `tar --zstd -tf FILE` accept it, and `tar --zstd -xf FILE` of a full backup restores the data below `data/` with
//! modes, times, links, extended attributes (`--xattrs`) and holes. Everything that only Coffer reads is in skippable
//! frames, which zstd passes over.
//!
//! This page, with those of `index`, `index::block` and `frame::patch`, is enough to write a reader. All numbers are
//! little-endian. Hashes are BLAKE3.
//!
//! # The file
//!
//! The file is a sequence of frames, numbered from 0:
//!
//! | part | frames | content |
//! |---|---|---|
//! | tar | zstd frames | `.coffer/RESTORE.txt`; in a full backup the data; if something was left out a longer `.coffer/RESTORE.txt`; `.coffer/manifest.json`; the end of the tar |
//! | patches | skippable, magic `0x184D2A5B` | the data of an incremental, between the two members of its tar, see `frame::patch` |
//! | index | skippable, magic `0x184D2A5C` | all entries, and where their content is, see `index` and `index::block` |
//! | signature | at most one skippable frame, magic `0x184D2A5A` | who made the archive: what this room is given for the hash of the manifest, at most 4 KiB |
//! | trailer | one skippable frame, magic `0x184D2A5D` | 192 bytes, see below |
//! | seek table | one skippable frame, magic `0x184D2A5E` | stored length and content length of every frame before it |
//!
//! Each zstd frame states the length of its content and has a checksum, and its content is at most 1 MiB. A skippable
//! frame starts with its magic (4 bytes) and the length of its content (4 bytes).
//!
//! The seek table is that of zstd's seekable format: 8 bytes for each frame (stored length, and content length, which is
//! 0 for a skippable frame), then a footer of 9 bytes: the number of frames (4), a byte of 0, and the magic
//! `0x8F92EAB1`. It is the last frame, so that the footer is the end of the file, and the trailer is the frame before.
//!
//! The content of the trailer:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 16 | `coffer archive\r\n` |
//! | 16 | 4 | format (1) |
//! | 20 | 4 | the oldest format that a reader must know (1) |
//! | 24 | 4, 4 | the frame that the manifest starts in, and the offset in its content; it may continue in the next frames |
//! | 32 | 8, 32 | length and hash of the manifest |
//! | 72 | 4, 4 | the first frame of the index, and the number of its frames |
//! | 80 | 8, 32 | the length of the index before compression, and the hash of its frames |
//! | 120 | 32 | hash of the seek table's frame |
//! | 152 | 8 | zeros |
//! | 160 | 32 | hash of the 160 bytes before |
//!
//! So a reader starts at the end: it reads the seek table, the trailer, the manifest ([`Manifest`], which is JSON), and
//! then the index. The index leads to the segments.
//!
//! # Segments
//!
//! Files are cut at fixed positions, every MiB ([`SEGMENT_BYTES`](crate::domain::SEGMENT_BYTES)). In a full backup a
//! segment of a MiB is a zstd frame of its own; shorter ones, small files and tar headers share frames of up to a MiB.
//! The index has the hash of every segment, and where it is: a frame, an offset in the frame's content, and a length.
//!
//! The hash of a file's only segment is the hash of the file. If there are more, the hash of a segment is its *chaining
//! value* in the file's BLAKE3 tree, from which the hash of the file is computed: what `b3sum` prints for the restored
//! file is known without reading it twice.
//!
//! Of a file with holes only the data ranges are stored, but what is hashed are the bytes that a program reads, zeros
//! included. Its tar member has GNU tar's sparse format 1.0.
//!
//! # Order
//!
//! Entries come by path if the engine gives them so, and otherwise in any order ([`Order`], in the manifest); a folder
//! comes before what is in it, a file before its hard links, and no path comes twice. The tar members and the index are
//! in the same order.
//!
//! # Incrementals
//!
//! A segment with the hash of the parent's is not stored: what the parent's index says of it is copied. A changed segment
//! is compared with that of the *root* (the full backup that the chain starts with), and only its changed pages are
//! stored, in a patch frame that has the root's versions of these pages as zstd prefix. A segment that the root does not
//! have is stored completely. An index names frames of the root and patch frames in any archive of the chain. So it
//! is enough to know where all content is: a restore decompresses two frames for a segment at most, however long the
//! chain, and the next incremental needs only its parent's index and the root. Files are matched by path, in whatever
//! order they come (see `write::skipped_records` for what that costs). A file that was renamed is stored again.
//!
//! Patches are made from the root and not from the parent because of this measurement on a SQLite database of 97 MiB,
//! whose full backup has 38 MiB. Before each incremental 1 % of its rows, spread all over, were changed; the times are
//! processor time for all patches of one restore:
//!
//! | depth | patch on the root | patch on the parent | decoding: root | decoding: all parents |
//! |---|---|---|---|---|
//! | 1 | 0.57 MiB | 0.57 MiB | 0.02 s | 0.01 s |
//! | 7 | 3.2 MiB | 0.47 MiB | 0.03 s | 0.08 s |
//! | 30 | 9.5 MiB | 0.35 MiB | 0.13 s | 0.41 s |
//!
//! A patch on the root grows with everything that has changed since the full backup, so that a database that changes all
//! over needs a new full backup after some weeks (`catalog.max_chain`). In return a restore decodes at most two frames
//! for a segment at any depth, and a patch is made from two archives, however long the chain.
//!
//! A full backup can also be made of a chain: [`Chain::export`] gives a writer the content of any point, and
//! [`Chain::require_same`] shows that the two have the same entries and hashes. The chain stays as it is, because what is
//! built on that point needs the chain's own root. The manifest of the new backup says what it was made of.
//!
//! # What callers can rely on
//!
//! * Of a full archive whose index is lost, [`salvage_unindexed`] restores what its frames hold, and says that nothing
//!   vouches for it.
//! * [`Reader::open`] succeeds only if manifest, index and seek table are what was written.
//! * Nothing is restored before its hash was compared with the one taken from the source.
//! * Numbers in a file are not trusted: memory is bounded, whatever a file says.
//! * The checksum of the file ([`Finished::checksum`]) is what `b3sum FILE` prints.
//!
//! Sources: RFC 8878 (zstd; 3.1.2 for skippable frames); zstd's `contrib/seekable_format`; POSIX.1-2001 (pax);
//! the GNU tar manual ("Basic Tar Format", "Storing Sparse Files", "PAX 1").

mod error;
mod frame;
mod hash;
mod index;
mod manifest;
mod order;
mod pool;
mod read;
mod sparse;
mod write;

pub use error::{ArchiveError, Result};
pub use index::{Entries, Record};
pub use manifest::{
    BackupDescription, Consolidated, IndexSummary, Manifest, ManifestDraft, Totals,
};
pub use order::Order;
pub use read::{
    Chain, Counts, Finished, Lost, Reader, Unindexed, file_checksum, prove, salvage_unindexed,
    verify_file,
};
pub use write::{ParentIndex, Sign, Writer, WriterOptions};
