//! Files with holes: they cost what their data costs, however many and however long the holes are.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::fixture::Fixture;
use super::sample::sparse;
use crate::support::id_of;

#[test]
fn a_file_in_many_pieces_takes_no_more_room_when_it_is_restored() {
    const PIECES: u64 = 70_000;
    // In memory: some disks take minutes to free so many pieces.
    let plant = |root: &Path| {
        let file = File::options().write(true).create_new(true).open(root.join("image")).unwrap();
        file.set_len(PIECES * 16_384).unwrap();
        for piece in 0..PIECES {
            file.write_all_at(b"x", piece * 16_384).unwrap();
        }
    };
    let fixture = Fixture::within(Path::new("/dev/shm"), plant);
    let before = fixture.tree.join("image").metadata().unwrap();
    assert!(before.blocks() * 512 < PIECES * 9000, "the filesystem keeps no such holes");
    let full = fixture.full();
    let target = fixture.restored(&full).join("image");
    File::open(&target).unwrap().sync_all().unwrap();
    let restored = target.metadata().unwrap();
    assert_eq!(restored.size(), before.size());
    assert!(restored.blocks() < before.blocks() * 3 / 2, "{} blocks", restored.blocks());
    let file = File::open(&target).unwrap();
    let mut byte = [0; 2];
    file.read_exact_at(&mut byte, (PIECES - 1) * 16_384).unwrap();
    assert_eq!(byte, *b"x\0");
}

/// Of a file of 256 GiB nothing is kept in memory but where it has data, and it is done in no time. A drill needs no room
/// for it.
#[test]
fn a_very_long_hole_takes_no_memory_and_no_room() {
    const LENGTH: u64 = 1 << 38;
    let plant = |root: &Path| sparse(&root.join("image"), LENGTH, &[(LENGTH / 3, b"x")]);
    let fixture = Fixture::within(Path::new("/dev/shm"), plant);
    fixture.full();
    std::fs::remove_file(fixture.tree.join("image")).unwrap();
    sparse(&fixture.tree.join("image"), LENGTH, &[(LENGTH / 2, b"y")]);
    let incremental = fixture.incremental();
    fixture.server.run_ok(&["drill", id_of(&incremental)]);
    let restored = fixture.restored(&incremental).join("image");
    let found = restored.metadata().unwrap();
    assert!(found.size() == LENGTH && found.blocks() < 100, "{} blocks", found.blocks());
    let mut byte = [0];
    File::open(restored).unwrap().read_exact_at(&mut byte, LENGTH / 2).unwrap();
    assert_eq!(byte, *b"y");
    let peak = fixture.server.peak_rss_bytes();
    assert!(peak < 64 << 20, "{} KiB at the peak", peak / 1024);
}

#[test]
fn long_holes_are_neither_read_nor_written() {
    const LENGTH: u64 = 16 << 30;
    for place in [0, LENGTH / 2, LENGTH - 1] {
        let fixture = Fixture::new(|root| sparse(&root.join("log"), LENGTH, &[(place, b"x")]));
        let begun = Instant::now();
        let full = fixture.full();
        let incremental = fixture.incremental();
        let restored = fixture.restored(&incremental).join("log");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        let found = restored.metadata().unwrap();
        assert!(found.size() == LENGTH && found.blocks() < 100, "{} blocks", found.blocks());
        let mut byte = [0];
        File::open(restored).unwrap().read_exact_at(&mut byte, place).unwrap();
        assert_eq!(byte, *b"x");
        assert!(full["size_bytes"].as_u64().unwrap() < 4 << 20);
    }
}
