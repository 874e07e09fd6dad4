//! Unpacking of handmade streams. Real ones are unpacked in the engine's own tests.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use tempfile::TempDir;

use super::{UnpackError, unpack};

#[derive(Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn head(mut self, flags: u8, kind: u8, path: &str) -> Self {
        self.0.extend_from_slice(b"XBSTCK01");
        self.0.extend_from_slice(&[flags, kind]);
        self.path(path)
    }

    fn path(mut self, path: &str) -> Self {
        self.0.extend_from_slice(&u32::try_from(path.len()).unwrap().to_le_bytes());
        self.0.extend_from_slice(path.as_bytes());
        self
    }

    fn bytes(self, path: &str, offset: u64, bytes: &[u8]) -> Self {
        self.flagged(0, path, offset, bytes)
    }

    fn flagged(self, flags: u8, path: &str, offset: u64, bytes: &[u8]) -> Self {
        let mut stream = self.head(flags, b'P', path);
        stream.0.extend_from_slice(&u64::try_from(bytes.len()).unwrap().to_le_bytes());
        stream.0.extend_from_slice(&offset.to_le_bytes());
        stream.0.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
        stream.0.extend_from_slice(bytes);
        stream
    }

    fn end(self, path: &str) -> Self {
        self.head(0, b'E', path)
    }

    fn rename(self, from: &str, to: &str) -> Self {
        self.head(0, b'R', from).path(to)
    }

    fn remove(self, path: &str) -> Self {
        self.head(0, b'D', path)
    }

    fn unpacked_beside(&self, original: &TempDir) -> Result<TempDir, UnpackError> {
        let root = tempfile::tempdir().unwrap();
        unpack(self.0.as_slice(), root.path(), original.path()).map(|()| root)
    }

    fn unpacked(&self) -> TempDir {
        self.unpacked_beside(&tempfile::tempdir().unwrap()).unwrap()
    }

    fn refusal(&self) -> String {
        match self.unpacked_beside(&tempfile::tempdir().unwrap()) {
            Err(UnpackError::Stream(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn read(root: &TempDir, path: &str) -> Vec<u8> {
    fs::read(root.path().join(path)).unwrap()
}

#[test]
fn chunks_of_several_files_may_alternate() {
    let root = Stream::default()
        .bytes("./ibdata1", 0, b"one ")
        .bytes("shop/orders.ibd", 0, b"three")
        .bytes("./ibdata1", 4, b"two")
        .end("ibdata1")
        .end("shop/empty.frm")
        .end("shop/orders.ibd")
        .unpacked();
    assert_eq!(read(&root, "ibdata1"), b"one two");
    assert_eq!(read(&root, "shop/orders.ibd"), b"three");
    assert_eq!(read(&root, "shop/empty.frm"), b"");
}

#[test]
fn content_is_written_at_its_offset() {
    let root = Stream::default()
        .bytes("log", 0, b"abcdef")
        .bytes("log", 9, b"x")
        .bytes("log", 2, b"C")
        .end("log")
        .unpacked();
    assert_eq!(read(&root, "log"), b"abCdef\0\0\0x");
}

#[test]
fn a_large_chunk_is_unpacked_completely() {
    let bytes: Vec<u8> = (0..=250).cycle().take((5 << 20) / 2 + 7).collect();
    let root = Stream::default().bytes("t.ibd", 0, &bytes).end("t.ibd").unpacked();
    assert!(read(&root, "t.ibd") == bytes);
}

#[test]
fn renames_and_removals_during_the_copy_are_repeated() {
    let file = |stream: Stream, path: &str| stream.bytes(path, 0, path.as_bytes()).end(path);
    let stream =
        ["a/t1.ibd", "a/t2.ibd", "a/other", "b/t1.ibd"].into_iter().fold(Stream::default(), file);
    let root = stream
        .rename("./a/other", "a/renamed")
        .rename("a/never", "a/copied")
        .remove("a/t*")
        .remove("a/never")
        .remove("b")
        .remove("c/t*")
        .flagged(2, "a/renamed", 0, b"again")
        .end("a/renamed")
        .unpacked();
    let left: Vec<_> =
        fs::read_dir(root.path().join("a")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["renamed"]);
    assert_eq!(read(&root, "a/renamed"), b"again");
    assert!(!root.path().join("b").exists());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test sets up files")]
fn a_sparse_file_is_sparse_in_the_copy_too() {
    let original = tempfile::tempdir().unwrap();
    let file = fs::File::create(original.path().join("sparse.ibd")).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.set_len(1 << 20).unwrap();
    fs::write(original.path().join("full.ibd"), vec![0; 1 << 20]).unwrap();
    let mut bytes = vec![0; 1 << 20];
    bytes[70_000] = 7;
    let root = Stream::default()
        .bytes("sparse.ibd", 0, &bytes)
        .end("sparse.ibd")
        .bytes("full.ibd", 0, &bytes)
        .end("full.ibd")
        .unpacked_beside(&original)
        .unwrap();
    let blocks = |path: &str| fs::metadata(root.path().join(path)).unwrap().blocks();
    assert!(read(&root, "sparse.ibd") == bytes && read(&root, "full.ibd") == bytes);
    assert!(blocks("sparse.ibd") < 64 && blocks("full.ibd") >= 2048);
    let root = Stream::default()
        .bytes("sparse.ibd", 0, &[7; 8192])
        .bytes("sparse.ibd", 4096, &[0; 4096])
        .end("sparse.ibd")
        .unpacked_beside(&original)
        .unwrap();
    assert!(
        read(&root, "sparse.ibd") == [[7; 4096], [0; 4096]].concat(),
        "zeros over bytes that were written before"
    );
}

#[test]
fn a_stream_that_is_cut_anywhere_is_an_error() {
    let full =
        Stream::default().bytes("a/b", 0, b"content").end("a/b").bytes("c", 0, b"c").end("c");
    let between = Stream::default().bytes("a/b", 0, b"content").end("a/b").0.len();
    for length in (1..full.0.len()).filter(|length| *length != between) {
        Stream(full.0[..length].to_vec()).refusal();
    }
    Stream(full.0).unpacked();
}

#[test]
fn a_malformed_stream_or_a_path_outside_the_folder_is_refused() {
    for path in ["../up", "/etc/passwd", "a/../../b", "", "./", "a//b"] {
        assert!(!Stream::default().bytes(path, 0, b"x").refusal().is_empty());
    }
    let mut damaged = Stream::default().bytes("a", 0, b"content");
    *damaged.0.last_mut().unwrap() ^= 1;
    assert!(damaged.end("a").refusal().contains("checksum"));
    assert!(Stream(b"PK0123456789".to_vec()).refusal().contains("no chunk"));
    assert!(Stream::default().head(0, b'Q', "a").refusal().contains("method = \"logical\""));
    let open = Stream::default().bytes("a", 0, b"x").remove("a");
    assert!(open.refusal().contains("before its end"));
}
