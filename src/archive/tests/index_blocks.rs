//! The index of an incremental, compressed after the root's: small whatever came or went, and never wrong.

use std::slice::from_ref;
use std::sync::OnceLock;

use super::sample::{
    Made, Member, assert_same, chain_of, child, child_in, file, full, full_in, restore,
};
use crate::archive::{ArchiveError, Order};

/// So many that the index has several blocks.
const MANY: usize = 16_000;

fn small(number: usize) -> Member {
    file(&format!("{:02}/{number:05}", number / 1000), format!("content of {number}"))
}

fn many() -> &'static (Vec<Member>, Made) {
    static SAMPLE: OnceLock<(Vec<Member>, Made)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let tree: Vec<_> = (0..MANY).map(small).collect();
        let root = full(&tree);
        assert!(root.finished.manifest.index.raw_bytes > 2 << 18);
        (tree, root)
    })
}

/// The child's length, once it was shown that it comes back.
fn bytes_of_child(chain: &[Made], tree: &[Member]) -> usize {
    let made = child(chain, tree, false);
    let length = made.bytes.len();
    let chain = [chain, &[made]].concat();
    assert_same(&restore(&chain_of(&chain)).unwrap().tree(), tree);
    length
}

#[test]
fn an_unchanged_tree_of_many_files_costs_a_page() {
    let (tree, root) = many();
    let first = child(from_ref(root), tree, false);
    assert!(first.bytes.len() < 4096, "{}", first.bytes.len());
    assert!(bytes_of_child(&[root.clone(), first], tree) < 4096);
}

#[test]
fn files_that_came_or_went_do_not_make_the_others_new() {
    let (tree, root) = many();
    let gone = [&tree[..3000], &tree[12_000..]].concat();
    let length = bytes_of_child(from_ref(root), &gone);
    // One block is on both sides of the gap, and the root's index is on one.
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
fn one_file_in_a_hundred_costs_only_itself() {
    let (tree, root) = many();
    let mut changed = tree.clone();
    for member in changed.iter_mut().step_by(100) {
        member.content.make_ascii_uppercase();
    }
    let length = bytes_of_child(from_ref(root), &changed);
    assert!(length < 160 * 110, "{length}");
}

#[test]
fn an_index_in_another_order_comes_back_too() {
    let (tree, _) = many();
    let root = full_in(Order::AsItComes, tree);
    let backwards: Vec<_> = tree.iter().rev().cloned().collect();
    let made = child_in(Order::AsItComes, from_ref(&root), &backwards, false);
    let same = child_in(Order::AsItComes, from_ref(&root), tree, false);
    assert!(same.bytes.len() < 4096, "{}", same.bytes.len());
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &backwards);
}

#[test]
fn an_incremental_s_index_is_not_read_without_its_root() {
    let (tree, root) = many();
    let made = child(from_ref(root), tree, false);
    let error = made.reader.entries(None).unwrap_err();
    assert!(matches!(error, ArchiveError::MissingParent { .. }), "{error}");
    let stranger = full(&tree[..10]);
    let read = made.reader.entries(Some(&stranger.reader)).unwrap();
    let error = read.collect::<Result<Vec<_>, _>>().unwrap_err();
    assert!(error.is_damage(), "{error}");
}
