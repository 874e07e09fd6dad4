//! Damaged, cut and made-up archives: an error, never a panic and never wrong data.

use std::sync::Arc;

use proptest::prelude::*;

use super::sample::{
    Made, Tree, assert_same, chain_of, child, file, full, mixed_tree, noise, open, restore,
};
use crate::archive::{ArchiveError, Chain, prove};
use crate::domain::SEGMENT_BYTES;

/// A small chain with something of every part in it.
fn sample() -> (Vec<Made>, Tree) {
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

/// Opens and restores the chain with one archive's bytes replaced.
fn with(made: &[Made], which: usize, bytes: &[u8]) -> Result<Tree, ArchiveError> {
    let mut readers: Vec<_> = made.iter().map(|it| Arc::clone(&it.reader)).collect();
    readers[which] = open(bytes)?;
    Ok(restore(&Chain::open(readers)?)?.tree())
}

/// What any damage must lead to: an error, or the right data and a proof that fails.
fn assert_caught(made: &[Made], tree: &Tree, which: usize, bytes: &[u8]) {
    match with(made, which, bytes) {
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
fn a_sample_is_sound_to_begin_with() {
    let (made, tree) = sample();
    assert_same(&restore(&chain_of(&made)).unwrap().tree(), &tree);
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    for bytes in [&b""[..], b"x", &[0; 5000], b"PK\x03\x04 and so on"] {
        let error = open(bytes).unwrap_err();
        assert!(matches!(error, ArchiveError::NotAnArchive(_)), "{error}");
    }
}

#[test]
fn an_archive_cut_anywhere_is_said_to_be_cut() {
    let made = full(&mixed_tree());
    let length = made.bytes.len();
    for cut in [1, 8, 9, 100, 300, 1000, length / 2, length - 10] {
        let error = open(&made.bytes[..length - cut]).unwrap_err();
        assert!(matches!(error, ArchiveError::Truncated(_)), "{cut}: {error}");
    }
}

#[test]
fn damage_in_a_parent_names_the_parent() {
    let (made, _) = sample();
    for which in 0..2 {
        let mut bytes = made[which].bytes.clone();
        // In the data: behind the first frame, before the manifest.
        bytes[which.abs_diff(1) * 4000 + 700] ^= 0xFF;
        let error = with(&made, which, &bytes).unwrap_err();
        assert_eq!(error.culprit(), Some(made[which].reader.id()), "{error}");
    }
}

#[test]
fn the_root_s_damage_is_found_through_every_child() {
    let (made, _) = sample();
    let mut bytes = made[0].bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let readers =
        vec![open(&bytes).unwrap(), Arc::clone(&made[1].reader), Arc::clone(&made[2].reader)];
    let error = Chain::open(readers).unwrap().verify(2, &|_| {}).unwrap_err();
    assert_eq!(error.culprit(), Some(made[0].reader.id()));
}

#[test]
fn a_proof_decodes_every_patch_but_those_that_were_tried_when_they_were_made() {
    let (made, _) = sample();
    let mut bytes = made[0].bytes.clone();
    bytes[4700] ^= 0xFF;
    let root = open(&bytes).unwrap();
    let mut finished = made[1].finished.clone();
    prove(&made[1].reader, Some(&root), &finished, 1, &|_| {}).unwrap();
    finished.tried = Arc::default();
    let error = prove(&made[1].reader, Some(&root), &finished, 1, &|_| {}).unwrap_err();
    assert_eq!(error.culprit(), Some(root.id()));
    prove(&made[1].reader, Some(&made[0].reader), &finished, 1, &|_| {}).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_flipped_bit_is_caught(
        which in 0_usize..3, at in any::<prop::sample::Index>(), bit in 0_u8..8, end in any::<bool>(),
    ) {
        let (made, tree) = sample_once();
        let mut bytes = made[which].bytes.clone();
        // Half of the flips into the last KiB: there are the tables that everything hangs on.
        let span = if end { bytes.len().min(1024) } else { bytes.len() };
        let at = bytes.len() - 1 - at.index(span);
        bytes[at] ^= 1 << bit;
        assert_caught(made, tree, which, &bytes);
    }

    #[test]
    fn any_cut_or_zeroed_part_is_caught(
        which in 0_usize..3, from in any::<prop::sample::Index>(), length in 1_usize..5000, cut in any::<bool>(),
    ) {
        let (made, tree) = sample_once();
        let mut bytes = made[which].bytes.clone();
        let from = from.index(bytes.len());
        if cut {
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

fn sample_once() -> &'static (Vec<Made>, Tree) {
    static SAMPLE: std::sync::OnceLock<(Vec<Made>, Tree)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(sample)
}
