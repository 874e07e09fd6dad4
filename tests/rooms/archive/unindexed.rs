//! Full archives whose index is lost: what their frames hold comes back, and what does not is named.

use std::sync::Arc;

use coffer::archive::{ArchiveError, Lost, Unindexed, salvage_unindexed};
use coffer::domain::num::to_u64;
use coffer::domain::{Cancel, Entry, EntryKind, ReadAt, SEGMENT_BYTES};
use proptest::prelude::*;

use super::fixture::{
    Target, Tree, assert_same, child, file, full, full_writer, mixed_tree, noise, other,
};
use super::proptest_config;
use coffer::archive::Order;

fn salvaged(bytes: &[u8]) -> (Target, Unindexed) {
    let mut target = Target::default();
    let make = |entry: &Entry| Ok::<_, ArchiveError>(target.make(entry));
    let file = Arc::new(bytes.to_vec());
    let found = salvage_unindexed(file, make, &Cancel::default(), &|_| ()).unwrap();
    (target, found)
}

/// Where the frame with this magic begins, or the file ends.
fn frame_at(bytes: &[u8], magic: u32) -> usize {
    let magic = magic.to_le_bytes();
    bytes.windows(4).position(|window| window == magic).unwrap_or(bytes.len())
}

fn index_of(bytes: &[u8]) -> usize {
    frame_at(bytes, 0x184D_2A5C)
}

/// Checks that everything restored is what was backed up, but for what is named, and that what is missing is named.
#[track_caller]
fn assert_truthful(tree: &Tree, target: &Target, found: &Unindexed) {
    let restored = target.tree();
    for member in tree {
        let path = &member.entry.path;
        let Some(back) = restored.iter().rev().find(|it| it.entry.path == *path) else {
            assert!(!found.missing.is_empty(), "{path} is missing, and nothing says so");
            continue;
        };
        if back.entry != member.entry {
            // Made because its own entry was lost.
            assert_eq!(back.entry.kind, EntryKind::Directory);
            assert!(found.missing.iter().any(|it| it.ends_with(&path.to_string())), "{path}");
        }
        // Byte by byte takes long.
        if back.content == member.content {
            continue;
        }
        let lost = |at: usize| {
            found.lost.iter().any(|range| {
                range.path == *path
                    && (range.offset..range.offset + range.bytes).contains(&to_u64(at))
            })
        };
        let bytes = back.content.iter().zip(&member.content).enumerate();
        let wrong = bytes.filter(|(_, (found, wanted))| found != wanted).find(|(at, _)| !lost(*at));
        assert_eq!(wrong, None, "of {path}");
    }
    let unknown = restored.iter().find(|it| !tree.iter().any(|of| of.entry.path == it.entry.path));
    assert!(unknown.is_none(), "{unknown:?}");
}

#[test]
fn everything_of_an_archive_that_lost_only_its_end_comes_back() {
    let tree = mixed_tree();
    let bytes = full(&tree).bytes;
    let index = index_of(&bytes);
    let mut overwritten = bytes.clone();
    overwritten[index..].fill(0xA5);
    let mut with_table = bytes.clone();
    with_table[index + 20..index + 40].fill(0);
    for broken in [&bytes[..index], &bytes[..bytes.len() - 1], &overwritten, &with_table] {
        let (target, found) = salvaged(broken);
        assert_same(&target.tree(), &tree);
        assert!(found.lost.is_empty() && found.missing.is_empty(), "{found:?}");
        assert_eq!(found.manifest.unwrap().backup.name, "nightly");
        assert_eq!(
            (found.about.as_str(), found.counts.entries),
            ("how to restore\n", to_u64(tree.len()))
        );
    }
}

#[test]
fn an_archive_that_is_cut_anywhere_gives_what_was_in_front_of_the_cut() {
    let tree = mixed_tree();
    let bytes = full(&tree).bytes;
    let index = index_of(&bytes);
    let mut whole_before = 0;
    for part in 0..24 {
        let (target, found) = salvaged(&bytes[..index * part / 24]);
        assert_truthful(&tree, &target, &found);
        assert!(!found.missing.is_empty(), "a cut at {part} of 24 is not named");
        assert!(found.counts.entries >= whole_before, "a longer part gives less");
        whole_before = found.counts.entries;
    }
    assert!(whole_before > 10);
}

#[test]
fn a_cut_in_front_of_the_manifest_or_in_it_costs_one_thing_at_most() {
    let tree = mixed_tree();
    let bytes = full(&tree).bytes;
    let index = index_of(&bytes);
    for cut in (1..600).step_by(7) {
        let (target, found) = salvaged(&bytes[..index - cut]);
        assert_truthful(&tree, &target, &found);
        assert!(found.missing.len() <= 1, "{cut}: {:?}", found.missing);
    }
}

#[test]
fn wrong_bytes_at_the_beginning_cost_only_what_is_in_the_first_piece() {
    let tree =
        vec![file("a", noise(3000, 2)), file("big", noise(3 * SEGMENT_BYTES, 1)), file("z", "end")];
    let bytes = full(&tree).bytes;
    for wrong in [1, 4, 100] {
        let mut broken = bytes[..index_of(&bytes)].to_vec();
        broken[..wrong].fill(0xA5);
        let (target, found) = salvaged(&broken);
        assert_truthful(&tree, &target, &found);
        assert!(target.files.contains_key(&b"z"[..]), "{found:?}");
        assert_eq!(target.files.contains_key(&b"a"[..]), wrong <= 4, "{found:?}");
    }
}

#[test]
fn of_small_files_in_one_frame_those_in_front_of_the_cut_come_back() {
    let tree: Tree =
        (0..40_u8).map(|at| file(&format!("f{at:02}"), noise(9000, at.into()))).collect();
    let bytes = full(&tree).bytes;
    let (target, found) = salvaged(&bytes[..index_of(&bytes) / 2]);
    assert_truthful(&tree, &target, &found);
    assert!(found.counts.files > 5, "{found:?}");
}

#[test]
fn a_wrong_byte_in_the_piece_that_the_cut_goes_through_is_in_a_range_that_is_named_as_unchecked() {
    let tree: Tree =
        (0..40_u8).map(|at| file(&format!("f{at:02}"), noise(9000, at.into()))).collect();
    let bytes = full(&tree).bytes;
    let mut cut = bytes[..index_of(&bytes) / 2].to_vec();
    let place = cut.len() / 2;
    cut[place] ^= 0x40;
    let (target, found) = salvaged(&cut);
    let is_in = |ranges: &[Lost], path: &[u8], at: usize| {
        ranges.iter().any(|range| {
            range.path.as_bytes() == path
                && (range.offset..range.offset + range.bytes).contains(&to_u64(at))
        })
    };
    let mut unchecked = 0;
    for (restored, source) in target.tree().iter().zip(&tree) {
        let path = restored.entry.path.as_bytes();
        let pairs = restored.content.iter().zip(&source.content).enumerate();
        let wrong = pairs.filter(|(_, (found, wanted))| found != wanted);
        for (at, _) in wrong.filter(|(at, _)| !is_in(&found.lost, path, *at)) {
            unchecked += 1;
            assert!(is_in(&found.unchecked, path, at), "{at}: {found:?}");
        }
    }
    assert!(unchecked > 0, "the byte is in no file: {found:?}");
}

#[test]
fn a_bad_frame_in_the_middle_costs_only_what_is_in_it() {
    let big = noise(5 * SEGMENT_BYTES + 77, 1);
    let tree = vec![file("a", noise(3000, 2)), file("big", big), file("c", noise(3000, 3))];
    let bytes = full(&tree).bytes;
    let mut broken = bytes[..index_of(&bytes)].to_vec();
    let middle = broken.len() / 2;
    broken[middle] ^= 0x40;
    let (target, found) = salvaged(&broken);
    assert_truthful(&tree, &target, &found);
    let [lost] = &found.lost[..] else { panic!("{found:?}") };
    assert_eq!((lost.path.as_bytes(), lost.bytes), (&b"big"[..], to_u64(SEGMENT_BYTES)));
    assert!(found.missing.is_empty() && target.tree().len() == 3, "{found:?}");
}

#[test]
fn the_seek_table_tells_where_a_frame_is_whose_beginning_is_lost() {
    let big = noise(5 * SEGMENT_BYTES + 77, 1);
    let tree = vec![file("big", big), file("c", noise(3000, 3))];
    let mut bytes = full(&tree).bytes;
    let index = index_of(&bytes);
    bytes[index + 9] ^= 1;
    let second = frame_at(&bytes[100..], 0xFD2F_B528) + 100;
    bytes[second..second + 5000].fill(0);
    let (target, found) = salvaged(&bytes);
    assert_truthful(&tree, &target, &found);
    assert!(found.missing.is_empty() && found.lost.len() == 1, "{found:?}");
    assert_eq!(found.lost[0].bytes, to_u64(SEGMENT_BYTES));
}

#[test]
fn members_behind_a_frame_of_unknown_length_are_found_again() {
    let big = noise(5 * SEGMENT_BYTES + 77, 1);
    let tree =
        vec![file("big", big), other("d", EntryKind::Directory), file("d/e", noise(3000, 3))];
    let bytes = full(&tree).bytes;
    let mut broken = bytes[..index_of(&bytes)].to_vec();
    let second = frame_at(&broken[100..], 0xFD2F_B528) + 100;
    broken[second..second + 5000].fill(0);
    let (target, found) = salvaged(&broken);
    assert_truthful(&tree, &target, &found);
    assert!(target.files.contains_key(&b"d/e"[..]), "{found:?}");
}

/// An archive on a disk that does not give some of its bytes.
#[derive(Debug)]
struct BadDisk(Vec<u8>, std::ops::Range<u64>);

impl ReadAt for BadDisk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        if offset < self.1.end && self.1.start < offset + to_u64(buffer.len()) {
            return Err(std::io::Error::from_raw_os_error(5));
        }
        self.0.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        to_u64(self.0.len())
    }
}

#[test]
fn blocks_that_the_disk_does_not_give_cost_only_their_frame() {
    let tree = vec![file("a", noise(3000, 2)), file("big", noise(5 * SEGMENT_BYTES, 1))];
    let bytes = full(&tree).bytes;
    let middle = to_u64(bytes.len() / 2);
    let mut target = Target::default();
    let make = |entry: &Entry| Ok::<_, ArchiveError>(target.make(entry));
    let disk = Arc::new(BadDisk(bytes, middle..middle + 4096));
    let found = salvage_unindexed(disk, make, &Cancel::default(), &|_| ()).unwrap();
    assert_truthful(&tree, &target, &found);
    assert!(target.tree().len() == 2 && found.lost.len() == 1, "{found:?}");
    assert!(found.lost[0].bytes <= to_u64(2 * SEGMENT_BYTES), "{found:?}");
}

#[test]
fn a_file_that_was_read_again_comes_back_as_it_was_at_last() {
    let mut writer = full_writer(Order::ByPath);
    let (first, last) = (file("again", noise(90_000, 1)), file("again", noise(80_000, 2)));
    for (member, kept) in [(&first, false), (&last, true)] {
        assert!(writer.entry(&member.entry, false).unwrap());
        writer.segment(member.content.clone()).unwrap();
        if !kept {
            writer.retract().unwrap();
        }
    }
    let bytes = super::fixture::finish(writer, None).bytes;
    let (target, _) = salvaged(&bytes[..index_of(&bytes)]);
    assert!(target.tree().last().unwrap().content == last.content);
}

#[test]
fn nothing_can_be_had_of_an_incremental_and_it_is_known_as_one() {
    let mut tree = vec![file("big", noise(SEGMENT_BYTES, 1))];
    let root = full(&tree);
    tree[0].content[5000] ^= 1;
    let bytes = child(&[root], &tree, false).bytes;
    let (target, found) = salvaged(&bytes[..bytes.len() - 5]);
    assert!(target.entries.is_empty() && found.has_patches);
    assert!(found.manifest.unwrap().backup.parent_id.is_some());
}

proptest! {
    #![proptest_config(proptest_config(20, "tests/proptest-regressions/archive/unindexed.txt"))]

    #[test]
    fn whatever_is_damaged_nothing_wrong_is_restored_unsaid(
        at in any::<prop::sample::Index>(), length in 1_usize..40_000, whole in any::<bool>(),
    ) {
        let (tree, bytes) = sample();
        let mut broken = if whole { bytes.clone() } else { bytes[..index_of(bytes)].to_vec() };
        let from = at.index(broken.len());
        let to = (from + length).min(broken.len());
        broken[from..to].fill(0x5A);
        let (target, found) = salvaged(&broken);
        assert_truthful(tree, &target, &found);
    }
}

fn sample() -> &'static (Tree, Vec<u8>) {
    static SAMPLE: std::sync::OnceLock<(Tree, Vec<u8>)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let tree = mixed_tree();
        let bytes = full(&tree).bytes;
        (tree, bytes)
    })
}
