//! The index of an incremental, compressed with the root's: it is small, whatever files were added or removed.

use std::slice::from_ref;
use std::sync::OnceLock;

use coffer::archive::{ArchiveError, Order};

use super::fixture::{
    Member, TestArchive, assert_same, chain_of, child, child_in, file, full, full_in, restore,
};

/// Enough files for an index of several blocks.
const MANY: usize = 16_000;

fn small(number: usize) -> Member {
    file(&format!("{:02}/{number:05}", number / 1000), format!("content of {number}"))
}

fn many() -> &'static (Vec<Member>, TestArchive) {
    static SAMPLE: OnceLock<(Vec<Member>, TestArchive)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let tree: Vec<_> = (0..MANY).map(small).collect();
        let root = full(&tree);
        assert!(root.finished.manifest.index.raw_bytes > 2 << 18);
        (tree, root)
    })
}

/// Makes a child of this tree, checks that it is restored, and returns the length of its archive.
fn bytes_of_child(chain: &[TestArchive], tree: &[Member]) -> usize {
    let made = child(chain, tree, false);
    let length = made.bytes.len();
    let chain = [chain, &[made]].concat();
    assert_same(&restore(&chain_of(&chain)).unwrap().tree(), tree);
    length
}

#[test]
fn an_unchanged_tree_of_many_files_takes_less_than_a_page() {
    let (tree, root) = many();
    let first = child(from_ref(root), tree, false);
    assert!(first.bytes.len() < 4096, "{}", first.bytes.len());
    assert!(bytes_of_child(&[root.clone(), first], tree) < 4096);
}

#[test]
fn added_or_removed_files_do_not_make_the_records_of_others_new() {
    let (tree, root) = many();
    let gone = [&tree[..3000], &tree[12_000..]].concat();
    let length = bytes_of_child(from_ref(root), &gone);
    // One block has records from both sides of the gap, but its prefix only those of one side.
    assert!(length < 70_000, "9,000 files gone: {length}");
    let mut more = tree.clone();
    let fresh =
        (0..7000).map(|number| file(&format!("05/new{number:04}"), format!("new {number}")));
    more.splice(6000..6000, fresh.clone());
    let alone = bytes_of_child(from_ref(root), &fresh.collect::<Vec<_>>());
    let length = bytes_of_child(from_ref(root), &more);
    assert!(length < alone + 40_000, "7,000 files came: {length}, alone {alone}");
}

#[test]
fn one_changed_file_in_a_hundred_takes_only_its_own_record() {
    let (tree, root) = many();
    let mut changed = tree.clone();
    for member in changed.iter_mut().step_by(100) {
        member.content.make_ascii_uppercase();
    }
    let length = bytes_of_child(from_ref(root), &changed);
    assert!(length < 160 * 110, "{length}");
}

#[test]
fn an_index_in_the_reverse_order_of_the_roots_can_be_read() {
    let (tree, _) = many();
    let root = full_in(Order::Unordered, tree);
    let backwards: Vec<_> = tree.iter().rev().cloned().collect();
    let made = child_in(Order::Unordered, from_ref(&root), &backwards, false);
    let same = child_in(Order::Unordered, from_ref(&root), tree, false);
    assert!(same.bytes.len() < 4096, "{}", same.bytes.len());
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &backwards);
}

#[test]
fn the_index_of_an_incremental_cannot_be_read_without_its_root() {
    let (tree, root) = many();
    let made = child(from_ref(root), tree, false);
    let error = made.reader.entries(None).unwrap_err();
    assert!(matches!(error, ArchiveError::MissingParent { .. }), "{error}");
    let unrelated = full(&tree[..10]);
    let read = made.reader.entries(Some(&unrelated.reader)).unwrap();
    let error = read.collect::<Result<Vec<_>, _>>().unwrap_err();
    assert!(error.is_damage(), "{error}");
}
