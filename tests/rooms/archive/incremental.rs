//! Incremental backups: they are small, and every point of a chain can be restored.

use std::slice::from_ref;
use std::sync::Arc;

use coffer::archive::{ArchiveError, Chain, ParentIndex, Writer};
use coffer::domain::num::to_u64;
use coffer::domain::{EntryKind, Kind, SEGMENT_BYTES};
use proptest::prelude::*;

use super::fixture::{
    Member, TestArchive, assert_same, chain_of, child, child_writer, file, finish, full,
    mixed_tree, noise, open, options, other, restore, sparse, stamped, write_tree,
};
use super::proptest_config;

const MIB: usize = SEGMENT_BYTES;

/// Restores and verifies every point of the chain.
pub(super) fn assert_points(made: &[TestArchive], trees: &[Vec<Member>]) {
    for (number, tree) in trees.iter().enumerate() {
        let chain = chain_of(&made[..=number]);
        assert_same(&restore(&chain).unwrap().tree(), tree);
        chain.verify(2, &|_| {}).unwrap();
    }
}

#[test]
fn an_unchanged_database_takes_next_to_nothing() {
    let tree = vec![file("db", vec![7; 200 * MIB])];
    let root = full(&tree);
    let made = child(from_ref(&root), &tree, false);
    // No more with 200 hashes in its index than with one.
    assert!(made.bytes.len() < 1500, "{}", made.bytes.len());
    assert_eq!(made.finished.manifest.totals.unchanged_segments, 200);
    let again = child(&[root, made], &tree, false);
    assert!(again.bytes.len() < 1500, "{}", again.bytes.len());
}

#[test]
fn a_changed_page_takes_a_page_at_most() {
    let mut tree = vec![file("db", noise(8 * MIB + 100, 1))];
    let root = full(&tree);
    let noised = noise(4096, 9);
    tree[0].content[3 * MIB + 8192..3 * MIB + 12288].copy_from_slice(&noised);
    let made = child(from_ref(&root), &tree, false);
    assert!(made.bytes.len() < 9000, "{}", made.bytes.len());
    assert_eq!(made.finished.manifest.totals.patched_segments, 1);
    assert_eq!(made.finished.manifest.kind, Kind::Incremental);
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &tree);
}

#[test]
fn a_segment_that_equals_the_roots_again_is_not_stored() {
    let mut trees = vec![vec![file("db", noise(2 * MIB, 1))]; 3];
    trees[1][0].content[5] ^= 1;
    let root = full(&trees[0]);
    let first = child(from_ref(&root), &trees[1], false);
    let second = child(&[root.clone(), first.clone()], &trees[2], false);
    assert_eq!(first.finished.manifest.totals.patched_segments, 1);
    assert_eq!(second.finished.manifest.totals.patched_segments, 0);
    assert_points(&[root, first, second], &trees);
}

#[test]
fn every_point_of_a_chain_of_ten_is_restored() {
    let mut tree = mixed_tree();
    let mut trees = vec![tree.clone()];
    let mut made = vec![full(&tree)];
    for step in 1..=10_usize {
        let big = tree.iter().position(|it| it.entry.path.as_bytes() == b"big.db").unwrap();
        let at = (step * 377_777) % (tree[big].content.len() - 50);
        tree[big].content[at..at + 50].copy_from_slice(&noise(50, to_u64(step)));
        tree.push(file(&format!("zz{step:02}"), noise(step * 10_000, to_u64(step))));
        if step == 5 {
            tree.retain(|it| it.entry.path.as_bytes() != b"mebi");
        }
        made.push(child(&made, &tree, step % 2 == 0));
        trees.push(tree.clone());
    }
    assert_points(&made, &trees);
}

#[test]
fn a_file_that_grows_and_shrinks_is_restored_at_every_point() {
    let whole = noise(4 * MIB, 1);
    let lengths = [MIB, 2 * MIB + 5, 100, 0, 3 * MIB, MIB + 4096, MIB, 4 * MIB, MIB - 1];
    let trees: Vec<_> =
        lengths.iter().map(|length| vec![file("db", whole[..*length].to_vec())]).collect();
    let mut made = vec![full(&trees[0])];
    for tree in &trees[1..] {
        made.push(child(&made, tree, false));
    }
    assert_points(&made, &trees);
}

#[test]
fn a_file_whose_holes_come_and_go_is_restored_at_every_point() {
    let data = noise(2 * MIB, 1);
    let mut part = vec![0; 2 * MIB];
    part[4096..9000].copy_from_slice(&data[..4904]);
    let mut other_part = part.clone();
    other_part[8000] ^= 1;
    other_part[MIB + 100] = 7;
    let end = to_u64(2 * MIB);
    let trees = vec![
        vec![sparse("disk", part.clone(), &[(4096, 4904)])],
        vec![sparse("disk", other_part, &[(4096, 4904), (to_u64(MIB), 4096)])],
        vec![file("disk", data)],
        vec![sparse("disk", vec![0; 2 * MIB], &[])],
        vec![sparse("disk", part, &[(4096, 4904), (end - 4096, 4096)])],
    ];
    let mut made = vec![full(&trees[0])];
    for tree in &trees[1..] {
        made.push(child(&made, tree, false));
    }
    assert_points(&made, &trees);
}

#[test]
fn a_file_with_the_parents_stamp_is_not_read() {
    let tree = vec![stamped(file("a", noise(MIB + 7, 1)), 5), stamped(file("b", "b"), 6)];
    let root = full(&tree);
    let mut later = tree.clone();
    later[0].entry.mode = 0o600;
    later[1].entry.stamp.as_mut().unwrap().ctime_ns = 7;
    let mut writer = child_writer(from_ref(&root));
    assert!(!writer.entry(&later[0].entry, true).unwrap());
    assert!(writer.entry(&later[1].entry, true).unwrap());
    writer.segment(b"b".to_vec()).unwrap();
    let made = finish(writer, Some(&root));
    assert_eq!(made.finished.manifest.totals.unread_files, 1);
    assert_same(&restore(&chain_of(&[root.clone(), made])).unwrap().tree(), &later);

    let mut writer = child_writer(from_ref(&root));
    assert!(
        writer.entry(&later[0].entry, false).unwrap(),
        "its content is wanted without trust in stamps"
    );
}

#[test]
fn a_retracted_file_that_comes_again_is_compared_with_its_parent() {
    let mut tree = vec![file("a", noise(2 * MIB, 1)), file("b", "b")];
    let root = full(&tree);
    let mut writer = child_writer(from_ref(&root));
    write_tree(&mut writer, &[file("a", noise(MIB + 3, 8))], false);
    writer.retract().unwrap();
    tree[0].content[77] ^= 1;
    write_tree(&mut writer, &tree, false);
    let made = finish(writer, Some(&root));
    let totals = made.finished.manifest.totals;
    assert_eq!((totals.patched_segments, totals.stored_segments), (1, 0));
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &tree);
}

#[test]
fn any_point_can_be_exported_as_a_full_backup() {
    let mut tree = mixed_tree();
    let root = full(&tree);
    tree.push(file("zz", noise(2 * MIB, 8)));
    let made = child(from_ref(&root), &tree, false);
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    chain_of(&[root, made]).export(&mut writer, &|_done| ()).unwrap();
    let plain = finish(writer, None);
    assert_eq!(plain.finished.manifest.kind, Kind::Full);
    assert_same(&restore(&chain_of(&[plain])).unwrap().tree(), &tree);
}

#[test]
fn a_chain_with_a_missing_or_wrong_archive_is_refused_and_the_backup_named() {
    let tree = vec![file("a", "a"), other("b", EntryKind::Directory)];
    let root = full(&tree);
    let first = child(from_ref(&root), &tree, false);
    let second = child(&[root.clone(), first.clone()], &tree, false);
    let unrelated = full(&tree);
    let open = |made: &[&TestArchive]| {
        Chain::open(made.iter().map(|it| Arc::clone(&it.reader)).collect()).map(|_| ())
    };
    let gap = open(&[&root, &second]).unwrap_err();
    assert!(matches!(gap, ArchiveError::MissingParent { .. }), "{gap}");
    assert_eq!(gap.bad_backup(), Some(first.reader.id()));
    let gap = open(&[&unrelated, &first]).unwrap_err();
    assert_eq!(gap.bad_backup(), Some(root.reader.id()));
    let order = open(&[&first, &root, &second]).unwrap_err();
    assert!(matches!(order, ArchiveError::ChainMismatch { .. }), "{order}");
    let alone =
        ParentIndex::open(Arc::clone(&first.reader), Arc::clone(&unrelated.reader)).unwrap_err();
    assert!(matches!(alone, ArchiveError::ChainMismatch { .. }), "{alone}");
}

#[test]
fn another_archive_with_the_id_of_the_parent_is_refused() {
    let tree = vec![file("a", "a")];
    let root = full(&tree);
    let made = child(from_ref(&root), &tree, false);
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    write_tree(&mut writer, &[file("a", "another")], false);
    let (bytes, _) = writer.finish(super::fixture::draft(root.reader.id())).unwrap();
    let forged = open(&bytes).unwrap();
    let outcome = Chain::open(vec![forged, made.reader]).unwrap_err();
    assert!(matches!(outcome, ArchiveError::ChainMismatch { .. }), "{outcome}");
}

/// A change of a small tree: which file, at which offset, its new length, and a byte.
pub(super) type Edit = (usize, usize, usize, u8);

pub(super) fn edited(tree: &[Member], edits: &[Edit]) -> Vec<Member> {
    let mut contents: Vec<_> = tree.iter().map(|it| it.content.clone()).collect();
    for (which, at, length, byte) in edits {
        let number = which % contents.len();
        let content = &mut contents[number];
        content.resize(*length, *byte);
        if let Some(found) = content.get_mut(*at) {
            *found ^= byte;
        }
    }
    contents
        .into_iter()
        .enumerate()
        .map(|(number, content)| file(&format!("f{number}"), content))
        .collect()
}

proptest! {
    #![proptest_config(proptest_config(24, "tests/proptest-regressions/archive/incremental.txt"))]
    #[test]
    fn any_history_is_restored_at_every_point(
        history in prop::collection::vec(
            prop::collection::vec(
                (0_usize..4, 0_usize..3 * MIB, 0_usize..3 * MIB, any::<u8>()), 0..3),
            1..5),
    ) {
        let mut tree: Vec<_> = (0..4_usize)
            .map(|number| file(&format!("f{number}"), noise(number * 600_000, to_u64(number))))
            .collect();
        let mut made = vec![full(&tree)];
        let mut trees = vec![tree.clone()];
        for edits in history {
            tree = edited(&tree, &edits);
            made.push(child(&made, &tree, false));
            trees.push(tree.clone());
        }
        assert_points(&made, &trees);
    }
}
