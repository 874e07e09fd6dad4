//! The end of an archive: manifest, index, trailer, seek table.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use super::parent_index::ParentIndex;
use super::tar_header::{self, BLOCK_BYTES, padding};
use super::writer::{Writer, WriterOptions};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::frame::{
    Compressor, FORMAT, SIGNATURE_MAGIC, TRAILER_BYTES, Trailer, push_skippable,
};
use crate::archive::manifest::{IndexSummary, Manifest, ManifestDraft, Totals};
use crate::archive::read::Finished;
use crate::domain::num::{saturating_u32, to_u64};
use crate::domain::{Kind, SEGMENT_BYTES};

/// Signs the hash of a manifest, which has those of all else.
pub type Sign<'a> = &'a dyn Fn(&[u8; 32]) -> Vec<u8>;

impl<W: Write> Writer<W> {
    /// Ends the archive, and returns what it was written to.
    pub fn finish(self, draft: ManifestDraft) -> Result<(W, Finished)> {
        self.finish_signed(draft, None)
    }

    /// The same with a signature.
    pub fn finish_signed(
        mut self,
        draft: ManifestDraft,
        sign: Option<Sign<'_>>,
    ) -> Result<(W, Finished)> {
        self.close_entry()?;
        self.write_all()?;
        let Self { mut out, pool, options, parent, pending, verified, .. } = self;
        // Ends the workers: their memory is not needed any more.
        drop(pool);
        let (index, totals) = pending.finish()?;
        let facts = IndexSummary {
            blake3: hex::encode(index.hash),
            raw_bytes: index.raw_bytes,
            order: options.order,
        };
        let text = draft.final_text.as_deref().map_or_else(Vec::new, tar_header::restore_txt);
        let manifest = manifest(draft, &options, parent.as_ref(), totals, facts);
        let json = manifest.to_json()?;

        let manifest_frame = out.table().count();
        let mut head = text;
        head.extend(tar_header::own_member(".coffer/manifest.json", json.len()));
        let end_of_tar = padding(to_u64(json.len())) + 2 * BLOCK_BYTES;
        let tail = [head.as_slice(), &json, &vec![0; end_of_tar]].concat();
        let mut compressor = Compressor::new(options.level);
        let mut frame = Vec::new();
        for part in tail.chunks(SEGMENT_BYTES) {
            frame.clear();
            compressor.compress(part, &mut frame)?;
            let lengths = (saturating_u32(frame.len()), saturating_u32(part.len()));
            out.write_frames(&frame, &[lengths])?;
        }

        let index_frame = out.table().count();
        for frame in &index.frames {
            out.write_skippable(frame)?;
        }
        let manifest_hash = *blake3::hash(&json).as_bytes();
        if let Some(sign) = sign {
            out.write_skippable(&signature(&sign(&manifest_hash))?)?;
        }
        let mut trailer = Trailer {
            manifest_frame,
            manifest_offset: saturating_u32(head.len()),
            manifest_bytes: to_u64(json.len()),
            manifest_hash,
            index_frame,
            index_count: saturating_u32(index.frames.len()),
            index_bytes: index.raw_bytes,
            index_hash: index.hash,
            seek_hash: [0; 32],
        };
        // The seek table lists the trailer, and the trailer has the hash of the seek table.
        out.list_frame(saturating_u32(TRAILER_BYTES), 0)?;
        let table = out.table().to_frame();
        trailer.seek_hash = *blake3::hash(&table).as_bytes();
        out.write(&trailer.to_frame())?;
        out.write(&table)?;
        let (sink, stored_bytes, checksum) = out.finish()?;
        let (source_bytes, verified) = (totals.content_bytes, Arc::new(verified));
        Ok((sink, Finished { stored_bytes, source_bytes, checksum, manifest, verified }))
    }
}

fn signature(signature: &[u8]) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    push_skippable(&mut frame, SIGNATURE_MAGIC, |out| {
        out.extend_from_slice(signature);
        Ok::<_, ArchiveError>(())
    })?;
    Ok(frame)
}

fn manifest(
    draft: ManifestDraft,
    options: &WriterOptions,
    parent: Option<&ParentIndex>,
    totals: Totals,
    index: IndexSummary,
) -> Manifest {
    let id = draft.backup.id;
    let mut chain = parent.map_or_else(Vec::new, |it| it.chain().to_vec());
    chain.push(id);
    let parent = parent.map(ParentIndex::parent);
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
        consolidated: draft.consolidated,
        page_bytes: options.page_bytes,
        segment_bytes: saturating_u32(SEGMENT_BYTES),
        started: draft.started,
        finished: draft.finished,
        source: draft.source,
        totals,
        index,
        restore: draft.restore,
        unknown: BTreeMap::new(),
    }
}
