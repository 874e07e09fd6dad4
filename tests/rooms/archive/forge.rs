//! Archives with a made-up index in which every hash is right. Written from the description of the format, without
//! the code that it tests.

use coffer::domain::SEGMENT_BYTES;
use coffer::domain::num::to_u64;
use serde_json::Value;
use zstd_safe::DCtx;

const INDEX_MAGIC: u32 = 0x184D_2A5C;
const TRAILER_MAGIC: u32 = 0x184D_2A5D;
const SEEK_MAGIC: u32 = 0x184D_2A5E;
const SEEK_FOOTER: &[u8] = &[0, 0xB1, 0xEA, 0x92, 0x8F];
const BLOCK_BYTES: usize = 256 << 10;

/// A frame of an archive, and the length of its content, which is 0 for a skippable frame.
#[derive(Clone)]
struct Frame {
    stored: Vec<u8>,
    content_bytes: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn index_at(bytes: &[u8], at: usize) -> usize {
    u32_at(bytes, at).try_into().unwrap()
}

fn length_of(bytes: &[u8]) -> u32 {
    bytes.len().try_into().unwrap()
}

/// The frames that the seek table lists; the trailer is the last.
fn frames_of(archive: &[u8]) -> Vec<Frame> {
    let count = index_at(archive, archive.len() - 9);
    let table = &archive[archive.len() - 9 - 8 * count..archive.len() - 9];
    let mut rest = archive;
    let frames = table.chunks_exact(8).map(|lengths| {
        let (stored, behind) = rest.split_at(index_at(lengths, 0));
        rest = behind;
        Frame { stored: stored.to_vec(), content_bytes: u32_at(lengths, 4) }
    });
    frames.collect()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut out, bytes, 3).unwrap();
    out
}

fn decompressed(frame: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let mut context = DCtx::create();
    context.ref_prefix(prefix).unwrap();
    context.decompress(&mut out, frame).unwrap();
    out
}

fn skippable(magic: u32, content: &[u8]) -> Vec<u8> {
    [&magic.to_le_bytes(), &length_of(content).to_le_bytes(), content].concat()
}

/// The index of an archive, decompressed; `root` is that of the full backup that an incremental is built on.
pub(super) fn raw_index(archive: &[u8], root: Option<&[u8]>) -> Vec<u8> {
    let frames = frames_of(archive);
    let trailer = &frames[frames.len() - 1].stored[8..];
    let blocks = frames.iter().skip(index_at(trailer, 72)).take(index_at(trailer, 76));
    let content = blocks.flat_map(|block| match (root, &block.stored[8..]) {
        (None, frame) => decompressed(frame, &[]),
        (Some(root), block) => {
            let start =
                usize::try_from(u64::from_le_bytes(block[..8].try_into().unwrap())).unwrap();
            let prefix = root.get(start..).unwrap_or_default();
            decompressed(&block[8..], prefix.get(..2 * BLOCK_BYTES).unwrap_or(prefix))
        }
    });
    content.collect()
}

/// The archive with this index instead of its own.
pub(super) fn with_index(archive: &[u8], index: &[u8]) -> Vec<u8> {
    with_manifest(archive, index, |_manifest| {})
}

/// The archive with this index instead of its own, and a manifest that was changed.
pub(super) fn with_manifest(
    archive: &[u8],
    index: &[u8],
    change: impl FnOnce(&mut Value),
) -> Vec<u8> {
    let mut frames = frames_of(archive);
    let mut trailer = frames[frames.len() - 1].stored[8..].to_vec();
    let manifest_frame = index_at(&trailer, 24);
    let tail = decompressed(&frames[manifest_frame].stored, &[]);
    let start = index_at(&trailer, 28);
    let mut manifest: Value =
        serde_json::from_slice(&tail[start..start + index_at(&trailer, 32)]).unwrap();
    frames.truncate(manifest_frame);

    // A prefix that starts beyond the end of the root's index is empty.
    let prefix_start: &[u8] = if manifest["kind"] == "full" { &[] } else { &[0xFF; 8] };
    let blocks: Vec<_> = index
        .chunks(BLOCK_BYTES)
        .map(|block| skippable(INDEX_MAGIC, &[prefix_start, &compressed(block)].concat()))
        .collect();
    let index_hash = blake3::hash(&blocks.concat());
    manifest["index"]["blake3"] = index_hash.to_hex().as_str().into();
    manifest["index"]["raw_bytes"] = index.len().into();
    change(&mut manifest);
    let json = serde_json::to_vec(&manifest).unwrap();

    for part in json.chunks(SEGMENT_BYTES) {
        frames.push(Frame { stored: compressed(part), content_bytes: length_of(part) });
    }
    let index_frame = u32::try_from(frames.len()).unwrap();
    let index_count = u32::try_from(blocks.len()).unwrap();
    frames.extend(blocks.into_iter().map(|stored| Frame { stored, content_bytes: 0 }));
    frames.push(Frame { stored: vec![0; 200], content_bytes: 0 });
    let mut table = Vec::new();
    for Frame { stored, content_bytes } in &frames {
        table.extend_from_slice(&length_of(stored).to_le_bytes());
        table.extend_from_slice(&content_bytes.to_le_bytes());
    }
    table.extend_from_slice(&u32::try_from(frames.len()).unwrap().to_le_bytes());
    table.extend_from_slice(SEEK_FOOTER);
    let table = skippable(SEEK_MAGIC, &table);

    let mut set = |at: usize, field: &[u8]| trailer[at..at + field.len()].copy_from_slice(field);
    set(28, &[0; 4]);
    set(32, &to_u64(json.len()).to_le_bytes());
    set(40, blake3::hash(&json).as_bytes());
    set(72, &index_frame.to_le_bytes());
    set(76, &index_count.to_le_bytes());
    set(80, &to_u64(index.len()).to_le_bytes());
    set(88, index_hash.as_bytes());
    set(120, blake3::hash(&table).as_bytes());
    let hash = blake3::hash(&trailer[..160]);
    trailer[160..].copy_from_slice(hash.as_bytes());
    frames.pop();
    let stored = frames.into_iter().flat_map(|frame| frame.stored);
    stored.chain(skippable(TRAILER_MAGIC, &trailer)).chain(table).collect()
}

/// The archive with so many more frames, which are empty, and another manifest than its trailer says. They stand before the
/// trailer, so that the number of every other frame is as it was.
pub(super) fn with_many_frames(archive: &[u8], count: usize) -> Vec<u8> {
    let before = index_at(archive, archive.len() - 9);
    let table_at = archive.len() - 9 - 8 * before - 8;
    let (data, trailer) = archive[..table_at].split_at(table_at - 200);
    let entries = &archive[table_at + 8..archive.len() - 9];
    let (others, of_trailer) = entries.split_at(entries.len() - 8);
    let empty = skippable(TRAILER_MAGIC - 5, &[]);
    let more = [length_of(&empty).to_le_bytes(), [0; 4]].concat().repeat(count);
    let all = u32::try_from(before + count).unwrap().to_le_bytes();
    let table = skippable(SEEK_MAGIC, &[others, &more, of_trailer, &all, SEEK_FOOTER].concat());
    let mut trailer = trailer[8..].to_vec();
    trailer[40] ^= 1;
    trailer[120..152].copy_from_slice(blake3::hash(&table).as_bytes());
    let hash = blake3::hash(&trailer[..160]);
    trailer[160..].copy_from_slice(hash.as_bytes());
    [data, &empty.repeat(count), &skippable(TRAILER_MAGIC, &trailer), &table].concat()
}
