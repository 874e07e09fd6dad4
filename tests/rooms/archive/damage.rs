//! Damaged and truncated archives: they give an error, never a panic or wrong data.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use coffer::archive::{ArchiveError, Chain, Reader, prove, verify_file};
use coffer::domain::{Cancel, ReadAt, SEGMENT_BYTES};
use proptest::prelude::*;

use super::fixture::{
    TestArchive, Tree, assert_same, chain_of, child, file, full, mixed_tree, noise, open, restore,
};
use super::proptest_config;

/// A small chain with every kind of frame.
fn sample() -> (Vec<TestArchive>, Tree) {
    let mut tree = vec![
        file("big", noise(SEGMENT_BYTES + 300, 1)),
        file("page", noise(20_000, 2)),
        file("small", "small"),
    ];
    let mut made = vec![full(&tree)];
    tree[0].content[5000] ^= 1;
    tree[1].content[9000] ^= 1;
    tree.push(file("znew", noise(3000, 3)));
    made.push(child(&made, &tree, false));
    tree[1].content[100] ^= 1;
    made.push(child(&made, &tree, false));
    (made, tree)
}

/// Restores the chain with the bytes of one archive replaced.
fn restore_with(made: &[TestArchive], which: usize, bytes: &[u8]) -> Result<Tree, ArchiveError> {
    let mut readers: Vec<_> = made.iter().map(|it| Arc::clone(&it.reader)).collect();
    readers[which] = open(bytes)?;
    Ok(restore(&Chain::open(readers)?)?.tree())
}

/// Checks what any damage must lead to: an error, or the right data and a proof that fails.
fn assert_caught(made: &[TestArchive], tree: &Tree, which: usize, bytes: &[u8]) {
    match restore_with(made, which, bytes) {
        Err(error) => assert!(error.is_damage(), "{error}"),
        Ok(found) => assert_same(&found, tree),
    }
    if let Ok(reader) = open(bytes) {
        let root = &made[0].reader;
        let proof = prove(&reader, Some(root), &made[which].finished, 1, &|_| {});
        assert!(proof.is_err());
        assert_ne!(reader.checksum(1, &|_| {}).unwrap(), made[which].finished.checksum);
    }
}

#[test]
fn the_sample_restores_without_damage() {
    let (made, tree) = sample();
    assert_same(&restore(&chain_of(&made)).unwrap().tree(), &tree);
}

#[test]
fn a_file_that_is_not_an_archive_is_reported_as_such() {
    for bytes in [&b""[..], b"x", &[0; 5000], b"PK\x03\x04 and so on"] {
        let error = open(bytes).unwrap_err();
        assert!(matches!(error, ArchiveError::NotAnArchive(_)), "{error}");
    }
}

#[test]
fn a_truncated_archive_is_reported_as_truncated_wherever_it_ends() {
    let made = full(&mixed_tree());
    let length = made.bytes.len();
    for cut in [1, 8, 9, 100, 300, 1000, length / 2, length - 10] {
        let error = open(&made.bytes[..length - cut]).unwrap_err();
        assert!(matches!(error, ArchiveError::Truncated(_)), "{cut}: {error}");
    }
}

#[test]
fn whatever_is_appended_to_an_archive_is_no_part_of_it() {
    let (made, tree) = sample();
    let bytes = &made[0].bytes;
    let end_again = &bytes[bytes.len() - 100..];
    for appended in [&b"x"[..], &[0; 5000], end_again, &noise(3 * SEGMENT_BYTES, 9)] {
        let longer = [bytes, appended].concat();
        let reader = open(&longer).unwrap();
        assert_eq!(usize::try_from(reader.appended_bytes()).unwrap(), appended.len());
        assert_same(&restore_with(&made, 0, &longer).unwrap(), &tree);
        assert_eq!(verify_file(&reader, None, 1, &|_| {}).unwrap(), made[0].finished.checksum);
        prove(&reader, None, &made[0].finished, 1, &|_| {}).unwrap_err();
    }
    let mut damaged = [bytes, &b"x"[..]].concat();
    damaged[bytes.len() - 20] ^= 1;
    assert!(open(&damaged).unwrap_err().is_damage());
}

#[test]
fn damage_in_a_parent_is_reported_under_the_id_of_the_parent() {
    let (made, _) = sample();
    for which in 0..2 {
        let mut bytes = made[which].bytes.clone();
        // A byte of the data: after the first frame, before the manifest.
        bytes[which.abs_diff(1) * 4000 + 700] ^= 0xFF;
        let error = restore_with(&made, which, &bytes).unwrap_err();
        assert_eq!(error.bad_backup(), Some(made[which].reader.id()), "{error}");
    }
}

#[test]
fn damage_in_the_root_is_found_when_a_child_is_verified() {
    let (made, _) = sample();
    let mut bytes = made[0].bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let readers =
        vec![open(&bytes).unwrap(), Arc::clone(&made[1].reader), Arc::clone(&made[2].reader)];
    let error = Chain::open(readers).unwrap().verify(2, &|_| {}).unwrap_err();
    assert_eq!(error.bad_backup(), Some(made[0].reader.id()));
}

#[test]
fn only_a_proof_of_a_new_archive_trusts_the_patches_that_were_verified_when_they_were_made() {
    let (made, _) = sample();
    let mut bytes = made[0].bytes.clone();
    bytes[4700] ^= 0xFF;
    let root = open(&bytes).unwrap();
    prove(&made[1].reader, Some(&root), &made[1].finished, 1, &|_| {}).unwrap();
    let error = verify_file(&made[1].reader, Some(&root), 1, &|_| {}).unwrap_err();
    assert_eq!(error.bad_backup(), Some(root.id()));
    verify_file(&made[1].reader, Some(&made[0].reader), 1, &|_| {}).unwrap();
}

/// An archive on a disk that does not give some of its bytes.
#[derive(Debug)]
struct BadDisk {
    bytes: Vec<u8>,
    bad: Range<usize>,
}

impl ReadAt for BadDisk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        if from < self.bad.end && self.bad.start < from + buffer.len() {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.bytes.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        ReadAt::len(&self.bytes)
    }
}

#[test]
fn bytes_that_the_disk_does_not_give_are_no_damage() {
    let (made, _) = sample();
    let bytes = &made[0].bytes;
    let end = bytes.len();
    for bad in [0..1, end / 2..end / 2 + 1, end - 300..end - 299, end - 1..end, 0..end] {
        let disk = BadDisk { bytes: bytes.clone(), bad: bad.clone() };
        let opened = Reader::open(Arc::new(disk), &Cancel::default());
        let error = opened.and_then(|it| verify_file(&Arc::new(it), None, 1, &|_| {})).unwrap_err();
        assert!(matches!(error, ArchiveError::Io(_)), "{bad:?}: {error}");
    }
    // Something else is wrong there too: it has no end.
    let cut = BadDisk { bytes: bytes[..end - 20].to_vec(), bad: 0..1 };
    let error = Reader::open(Arc::new(cut), &Cancel::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::Io(_)), "{error}");
}

proptest! {
    #![proptest_config(proptest_config(200, "tests/proptest-regressions/archive/damage.txt"))]

    #[test]
    fn any_flipped_bit_is_caught(
        which in 0_usize..3, at in any::<prop::sample::Index>(), bit in 0_u8..8, at_end in any::<bool>(),
    ) {
        let (made, tree) = sample_once();
        let mut bytes = made[which].bytes.clone();
        // Half of the flips are in the last KiB, where the tables are that everything depends on.
        let span = if at_end { bytes.len().min(1024) } else { bytes.len() };
        let at = bytes.len() - 1 - at.index(span);
        bytes[at] ^= 1 << bit;
        assert_caught(made, tree, which, &bytes);
    }

    #[test]
    fn any_truncation_or_zeroed_part_is_caught(
        which in 0_usize..3, from in any::<prop::sample::Index>(), length in 1_usize..5000, truncate in any::<bool>(),
    ) {
        let (made, tree) = sample_once();
        let mut bytes = made[which].bytes.clone();
        let from = from.index(bytes.len());
        if truncate {
            bytes.truncate(from);
            prop_assert!(open(&bytes).is_err());
        } else {
            let to = (from + length).min(bytes.len());
            bytes[from..to].fill(0);
            if bytes != made[which].bytes {
                assert_caught(made, tree, which, &bytes);
            }
        }
    }

    #[test]
    fn a_part_of_another_archive_is_caught(
        which in 0_usize..3, from in any::<prop::sample::Index>(), length in 1_usize..9000,
    ) {
        let (made, tree) = sample_once();
        let mut bytes = made[which].bytes.clone();
        let source = &made[(which + 1) % 3].bytes;
        let from = from.index(bytes.len().min(source.len()));
        let to = (from + length).min(bytes.len()).min(source.len());
        bytes[from..to].copy_from_slice(&source[from..to]);
        if bytes != made[which].bytes {
            assert_caught(made, tree, which, &bytes);
        }
    }
}

fn sample_once() -> &'static (Vec<TestArchive>, Tree) {
    static SAMPLE: std::sync::OnceLock<(Vec<TestArchive>, Tree)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(sample)
}
