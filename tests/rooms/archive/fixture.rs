//! Sources, archives and restore targets in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use coffer::archive::{
    ArchiveError, BackupDescription, Chain, Finished, ManifestDraft, Order, ParentIndex, Reader,
    Writer, WriterOptions, prove, verify_file,
};
use coffer::domain::num::to_u64;
use coffer::domain::{
    BackupId, Cancel, Datastore, Entry, EntryKind, EntryPath, Extent, SEGMENT_BYTES, Stamp,
    Timestamp, WriteAt,
};

/// An entry with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) entry: Entry,
    pub(super) content: Vec<u8>,
}

pub(super) type Tree = Vec<Member>;

pub(super) fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

pub(super) fn entry(at: EntryPath, kind: EntryKind) -> Entry {
    Entry {
        path: at,
        kind,
        mode: 0o640,
        uid: 1000,
        gid: 100,
        mtime_ns: 1_700_000_000_123_456_789,
        xattrs: Vec::new(),
        stamp: None,
    }
}

pub(super) fn file(name: &str, content: impl Into<Vec<u8>>) -> Member {
    let content = content.into();
    let kind = EntryKind::File { size: to_u64(content.len()), extents: None };
    Member { entry: entry(path(name), kind), content }
}

/// An entry without content.
pub(super) fn other(name: &str, kind: EntryKind) -> Member {
    Member { entry: entry(path(name), kind), content: Vec::new() }
}

pub(super) fn sparse(name: &str, content: Vec<u8>, extents: &[(u64, u64)]) -> Member {
    let extents =
        extents.iter().map(|(offset, length)| Extent { offset: *offset, length: *length });
    let kind = EntryKind::File { size: to_u64(content.len()), extents: Some(extents.collect()) };
    Member { entry: entry(path(name), kind), content }
}

pub(super) fn stamped(mut member: Member, ctime_ns: i128) -> Member {
    member.entry.stamp = Some(Stamp { ctime_ns, inode: 77, device: 3, beside: u64::MAX });
    member
}

/// Bytes that compress a little, the same for the same seed.
pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&(state & 0x00FF_FFFF_0FFF_FFFF).to_le_bytes());
    }
    out.truncate(length);
    out
}

pub(super) fn options() -> WriterOptions {
    WriterOptions { workers: 2, level: 3, page_bytes: 4096, order: Order::ByPath }
}

pub(super) fn draft(id: BackupId) -> ManifestDraft {
    ManifestDraft {
        backup: BackupDescription {
            id,
            name: "nightly".to_owned(),
            description: None,
            project_id: "project-a".parse().unwrap(),
            instance_id: None,
            instance_name: "shop".to_owned(),
            parent_id: None,
            container: None,
            created: Timestamp::from_micros(1_700_000_000_000_001),
        },
        datastore: Datastore { engine: "directory".to_owned(), version: "1".to_owned() },
        started: Timestamp::from_micros(1_700_000_000_000_002),
        finished: Timestamp::from_micros(1_700_000_000_000_003),
        source: serde_json::json!({"facts": {"page_size": 4096}}),
        restore: vec!["tar --zstd -xf FILE".to_owned()],
        consolidated: None,
        final_text: None,
    }
}

/// A written archive.
#[derive(Debug, Clone)]
pub(super) struct TestArchive {
    pub(super) bytes: Vec<u8>,
    pub(super) finished: Finished,
    pub(super) reader: Arc<Reader>,
}

pub(super) fn open(bytes: &[u8]) -> Result<Arc<Reader>, ArchiveError> {
    Reader::open(Arc::new(bytes.to_vec()), &Cancel::default()).map(Arc::new)
}

/// Gives a tree to a writer, as an engine does.
pub(super) fn write_tree(writer: &mut Writer<Vec<u8>>, tree: &[Member], trust_stamps: bool) {
    for member in tree {
        if writer.entry(&member.entry, trust_stamps).unwrap() {
            for part in member.content.chunks(SEGMENT_BYTES) {
                let mut buffer = writer.buffer();
                buffer.extend_from_slice(part);
                writer.segment(buffer).unwrap();
            }
        }
    }
}

/// Ends an archive, and proves it with and without what the writer says of it.
pub(super) fn finish(writer: Writer<Vec<u8>>, root: Option<&TestArchive>) -> TestArchive {
    let (bytes, finished) = writer.finish(draft(BackupId::generate())).unwrap();
    let reader = open(&bytes).unwrap();
    assert_eq!(finished.checksum, blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(finished.stored_bytes, to_u64(bytes.len()));
    let root = root.map(|it| &it.reader);
    prove(&reader, root, &finished, 2, &|_| {}).unwrap();
    assert_eq!(verify_file(&reader, root, 2, &|_| {}).unwrap(), finished.checksum);
    TestArchive { bytes, finished, reader }
}

pub(super) fn full(tree: &[Member]) -> TestArchive {
    full_in(Order::ByPath, tree)
}

pub(super) fn full_in(order: Order, tree: &[Member]) -> TestArchive {
    let mut writer = full_writer(order);
    write_tree(&mut writer, tree, true);
    finish(writer, None)
}

pub(super) fn full_writer(order: Order) -> Writer<Vec<u8>> {
    let options = WriterOptions { order, ..options() };
    Writer::full(Vec::new(), &options, "how to restore\n").unwrap()
}

pub(super) fn child_writer(chain: &[TestArchive]) -> Writer<Vec<u8>> {
    child_writer_in(Order::ByPath, chain).unwrap()
}

pub(super) fn child_writer_in(
    order: Order,
    chain: &[TestArchive],
) -> Result<Writer<Vec<u8>>, ArchiveError> {
    let (root, parent) = (&chain[0], &chain[chain.len() - 1]);
    let parent = ParentIndex::open(Arc::clone(&parent.reader), Arc::clone(&root.reader))?;
    let options = WriterOptions { order, ..options() };
    Writer::incremental(Vec::new(), &options, parent, "how to restore\n")
}

pub(super) fn child(chain: &[TestArchive], tree: &[Member], trust_stamps: bool) -> TestArchive {
    child_in(Order::ByPath, chain, tree, trust_stamps)
}

pub(super) fn child_in(
    order: Order,
    chain: &[TestArchive],
    tree: &[Member],
    trust_stamps: bool,
) -> TestArchive {
    let mut writer = child_writer_in(order, chain).unwrap();
    write_tree(&mut writer, tree, trust_stamps);
    finish(writer, chain.first())
}

pub(super) fn chain_of(archives: &[TestArchive]) -> Chain {
    Chain::open(archives.iter().map(|it| Arc::clone(&it.reader)).collect()).unwrap()
}

/// A restored tree.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) entries: Vec<Entry>,
    pub(super) files: BTreeMap<Vec<u8>, Arc<Content>>,
}

#[derive(Debug, Default)]
pub(super) struct Content(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    count: usize,
}

impl WriteAt for Content {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut written = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        written.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        written.count += bytes.len();
        Ok(())
    }
}

impl Content {
    /// The number of bytes that were written, and not left as holes.
    pub(super) fn written(&self) -> usize {
        self.0.lock().unwrap().count
    }
}

impl Target {
    pub(super) fn make(&mut self, entry: &Entry) -> Option<Arc<dyn WriteAt>> {
        self.entries.push(entry.clone());
        let EntryKind::File { size, .. } = entry.kind else { return None };
        let bytes = vec![0; usize::try_from(size).unwrap()];
        let content = Arc::new(Content(Mutex::new(Written { bytes, count: 0 })));
        self.files.insert(entry.path.as_bytes().to_vec(), Arc::clone(&content));
        Some(content)
    }

    pub(super) fn tree(&self) -> Tree {
        let content = |entry: &Entry| {
            let found = self.files.get(entry.path.as_bytes());
            found.map_or_else(Vec::new, |it| it.0.lock().unwrap().bytes.clone())
        };
        self.entries
            .iter()
            .map(|entry| Member { entry: entry.clone(), content: content(entry) })
            .collect()
    }
}

pub(super) fn restore(chain: &Chain) -> Result<Target, ArchiveError> {
    let mut target = Target::default();
    let make = |entry: &Entry| Ok::<_, ArchiveError>(target.make(entry));
    chain.restore(make, 2, &Cancel::default(), &|_| {})?;
    Ok(target)
}

/// Compares two trees without printing megabytes.
pub(super) fn assert_same(found: &[Member], wanted: &[Member]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found.entry, wanted.entry);
        assert!(found.content == wanted.content, "content of {}", wanted.entry.path);
    }
}

/// A tree with every kind of entry.
pub(super) fn mixed_tree() -> Tree {
    let long = format!("dir/{}", "n".repeat(180));
    let mut raw_name = other("dir/x", EntryKind::Symlink { target: b"../caf\xe9".to_vec() });
    raw_name.entry.path = EntryPath::new(b"dir/\xff\xfe".to_vec()).unwrap();
    let mut holes = vec![0; 3 * SEGMENT_BYTES + 5000];
    holes[4096..8192].copy_from_slice(&noise(4096, 1));
    holes[2 * SEGMENT_BYTES..2 * SEGMENT_BYTES + 10].copy_from_slice(b"0123456789");
    let extents = [(4096, 4096), (to_u64(2 * SEGMENT_BYTES), 4096)];
    let mut xattrs = file("attributes", "x");
    xattrs.entry.xattrs = vec![(b"user.note".to_vec(), b"a\nb=c\0".to_vec())];
    let mut old = file("before-1970", "old");
    old.entry.mtime_ns = -1_500_000_000;
    let mut tree = vec![
        other("", EntryKind::Directory),
        xattrs,
        old,
        file("big.db", noise(3 * SEGMENT_BYTES + 1234, 2)),
        other("dir", EntryKind::Directory),
        file(&long, noise(70_000, 3)),
        raw_name,
        file("empty", ""),
        file("exact", noise(2 * SEGMENT_BYTES, 4)),
        other("hard", EntryKind::HardLink { to: path("exact") }),
        sparse("holes", holes, &extents),
        file("mebi", noise(SEGMENT_BYTES, 5)),
        sparse("nothing", vec![0; 2 * SEGMENT_BYTES], &[]),
        other("zlink", EntryKind::Symlink { target: "t".repeat(150).into_bytes() }),
    ];
    tree[0].entry.path = EntryPath::root();
    tree.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
    tree
}
