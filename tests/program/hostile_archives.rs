//! Archives that somebody made to fill the server's memory. Every hash in them is right; each is registered, which reads
//! all of it.

#[path = "../rooms/archive/forge.rs"]
mod forge;

use std::path::PathBuf;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{PROJECT, TestServer, archive_of, id_of, write_file};

/// More memory than this no archive may take, however it is made: a server at rest takes 14 MiB, or with debug information
/// and checks 30, and all together has to stay below 64.
const MOST_MEMORY: u64 = 40 << 20;

const FILE: u8 = 0;
const HAS_EXTENTS: u8 = 16;
const HOLE: u8 = 0;
const ROOT_WITH_MAP: u8 = 1 | 8;

struct Fixture {
    server: TestServer,
    /// A sound archive of an empty folder.
    archive: PathBuf,
    version: Value,
    before: u64,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir(&source).unwrap();
        let server = TestServer::builder()
            .instance_directory("source", &source)
            .allow_warning("registering backup")
            .start();
        let made = server.admin().full("source");
        let version = made["datastore"]["version_id"].clone();
        let before = server.peak_rss_bytes();
        Self { server, archive: archive_of(&made), version, before, _folder: folder }
    }

    fn assert_took_little_memory(&self) {
        let more = self.server.peak_rss_bytes() - self.before;
        assert!(more < MOST_MEMORY, "{} KiB more at the peak", more / 1024);
    }

    /// Registers this archive; how that ended.
    fn register(&self, archive: Vec<u8>) -> Value {
        let path = self.server.data_dir().join("archives").join(PROJECT).join("hostile.tar.zst");
        write_file(&path, archive);
        let body = json!({"backup": {
            "name": "hostile", "restore_from": {
                "remote_location": format!("file://{}", path.display()),
                "local_datastore_version_id": self.version, "size": 1,
            },
        }});
        let client = self.server.admin();
        let accepted = client.post("backups", &body).with_status(202).json();
        client.wait_for(id_of(&accepted["backup"]), &["RESTORED", "FAILED"])
    }
}

fn put(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// The head of a file's record: its name `f`, no owner, mode or time.
fn file_of(flags: u8, size: u64) -> Vec<u8> {
    let mut index = vec![FILE | flags, 0, 1, b'f', 0, 0, 0, 0];
    put(&mut index, size);
    index
}

/// A file of half a TiB without data, each of whose holes has a hash.
fn many_holes() -> Vec<u8> {
    let mut index = file_of(0, 1 << 39);
    let hole = [&[HOLE][..], &[7; 32]].concat();
    index.extend(hole.repeat(1 << 19));
    index.extend([7; 32]);
    index
}

/// Segments, each with a map of as many data ranges as fit, or as may be.
fn many_ranges(ranges: u64) -> Vec<u8> {
    const SEGMENTS: u64 = 48;
    let mut index = file_of(0, SEGMENTS << 20);
    for _ in 0..SEGMENTS {
        index.push(ROOT_WITH_MAP);
        index.extend([7; 32]);
        // The slice: the same frame, from its start, and as long as the ranges together.
        index.extend([0, 0]);
        put(&mut index, ranges);
        put(&mut index, 1 << 20);
        put(&mut index, ranges);
        index.extend([1, 1].repeat(usize::try_from(ranges).unwrap()));
    }
    index
}

/// A file with two million data ranges, all of it in few segments.
fn many_extents() -> Vec<u8> {
    const RANGES: u64 = 2_000_000;
    let mut index = file_of(HAS_EXTENTS, 4 << 20);
    put(&mut index, RANGES);
    index.extend([1, 1].repeat(usize::try_from(RANGES).unwrap()));
    index.extend([&[HOLE][..], &[7; 32]].concat().repeat(4));
    index.extend([7; 32]);
    index
}

#[rstest]
#[case::many_holes(many_holes())]
#[case::more_ranges_than_are_written(many_ranges(500_000))]
#[case::as_many_ranges_as_may_be(many_ranges(65_000))]
#[case::many_extents(many_extents())]
fn no_index_fills_the_memory(#[case] index: Vec<u8>) {
    let fixture = Fixture::new();
    let archive = std::fs::read(&fixture.archive).unwrap();
    let row = fixture.register(forge::with_index(&archive, &index));
    assert_eq!(
        (&row["status"], &row["failure"]["code"]),
        (&json!("FAILED"), &json!("archive_damaged")),
        "{row:#}"
    );
    fixture.assert_took_little_memory();
}

#[test]
fn no_seek_table_fills_the_memory() {
    let fixture = Fixture::new();
    let archive = std::fs::read(&fixture.archive).unwrap();
    let row = fixture.register(forge::with_many_frames(&archive, 3_000_000));
    assert_eq!(
        (&row["status"], &row["failure"]["code"]),
        (&json!("FAILED"), &json!("archive_damaged")),
        "{row:#}"
    );
    fixture.assert_took_little_memory();
}

#[rstest]
#[case::many_values(json!(vec![json!([]); 1_000_000]), false)]
#[case::deep(serde_json::from_str(&("[".repeat(100) + &"]".repeat(100))).unwrap(), true)]
#[case::a_long_text(json!("x".repeat(7 << 20)), true)]
#[case::a_longer_text(json!("x".repeat(9 << 20)), false)]
fn no_manifest_fills_the_memory(#[case] value: Value, #[case] may_be: bool) {
    let fixture = Fixture::new();
    let archive = std::fs::read(&fixture.archive).unwrap();
    let index = forge::raw_index(&archive, None);
    let forged = forge::with_manifest(&archive, &index, |manifest| manifest["more"] = value);
    let row = fixture.register(forged);
    assert_eq!(row["status"] == json!("RESTORED"), may_be, "{:.300}", row.to_string());
    fixture.assert_took_little_memory();
}
