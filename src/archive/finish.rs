//! The end of an archive: manifest, index, trailer, seek table.

use std::io::Write;
use std::sync::Arc;

use super::bytes::wide;
use super::error::ArchiveError;
use super::manifest::{IndexFacts, Manifest, ManifestDraft, Totals};
use super::tar_header::{self, BLOCK, filling};
use super::trailer::{FORMAT, TRAILER_BYTES, Trailer};
use super::tried::Tried;
use super::writer::Writer;
use crate::domain::{Kind, SEGMENT_BYTES};

/// What there is to say of an archive that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// How long the file is.
    pub stored_bytes: u64,
    /// How many bytes of content it restores to.
    pub source_bytes: u64,
    /// BLAKE3 of the file, in hex.
    pub checksum: String,
    /// The manifest in it.
    pub manifest: Manifest,
    /// Its patches.
    pub(super) tried: Arc<Tried>,
}

impl<W: Write> Writer<W> {
    /// Ends the archive: gives back what it was written to.
    pub fn finish(mut self, draft: ManifestDraft) -> Result<(W, Finished), ArchiveError> {
        self.complete()?;
        self.drain()?;
        let (index, totals) = self.pending.finish()?;
        let facts = IndexFacts {
            blake3: hex::encode(index.hash),
            raw_bytes: index.raw_bytes,
            order: self.options.order,
        };
        let manifest = self.manifest(draft, totals, facts);
        let json = manifest.to_json()?;

        self.visible = true;
        let manifest_frame = self.out.table().count();
        let head = tar_header::own_member(".coffer/manifest.json", json.len());
        self.push(&head)?;
        self.push(&json)?;
        self.zeros(wide(filling(wide(json.len())) + 2 * BLOCK))?;
        self.drain()?;

        let index_frame = self.out.table().count();
        for frame in &index.frames {
            self.out.skippable(frame)?;
        }
        let mut trailer = Trailer {
            manifest_frame,
            manifest_offset: u32::try_from(head.len()).unwrap_or(u32::MAX),
            manifest_bytes: wide(json.len()),
            manifest_hash: *blake3::hash(&json).as_bytes(),
            index_frame,
            index_count: u32::try_from(index.frames.len()).unwrap_or(u32::MAX),
            index_bytes: index.raw_bytes,
            index_hash: index.hash,
            seek_hash: [0; 32],
        };
        self.out.note(u32::try_from(TRAILER_BYTES).unwrap_or(u32::MAX), 0)?;
        let table = self.out.table().to_frame();
        trailer.seek_hash = *blake3::hash(&table).as_bytes();
        self.out.raw(&trailer.to_frame())?;
        self.out.raw(&table)?;
        let (sink, stored_bytes, checksum) = self.out.finish()?;
        let source_bytes = totals.content_bytes;
        let tried = Arc::new(self.tried);
        Ok((sink, Finished { stored_bytes, source_bytes, checksum, manifest, tried }))
    }

    fn manifest(&self, draft: ManifestDraft, totals: Totals, index: IndexFacts) -> Manifest {
        let id = draft.backup.id;
        let mut chain = self.basis.as_ref().map_or_else(Vec::new, |it| it.chain().to_vec());
        chain.push(id);
        let parent = self.basis.as_ref().map(super::basis::Basis::parent);
        let mut backup = draft.backup;
        backup.parent_id = parent.map(|it| it.id());
        Manifest {
            format: FORMAT,
            min_reader: FORMAT,
            producer: concat!("coffer ", env!("CARGO_PKG_VERSION")).to_owned(),
            kind: if parent.is_some() { Kind::Incremental } else { Kind::Full },
            backup,
            datastore: draft.datastore,
            root_id: chain.first().copied().unwrap_or(id),
            chain,
            parent_manifest: parent.map(|it| it.manifest_hash()),
            page_bytes: self.options.page_bytes,
            segment_bytes: u32::try_from(SEGMENT_BYTES).unwrap_or(u32::MAX),
            started: draft.started,
            finished: draft.finished,
            source: draft.source,
            totals,
            index,
            restore: draft.restore,
            further: std::collections::BTreeMap::new(),
        }
    }
}
