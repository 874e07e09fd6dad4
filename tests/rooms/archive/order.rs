//! Unordered entries: they are restored, and an incremental finds its parent's files.

use std::slice::from_ref;
use std::sync::Arc;

use coffer::archive::{
    ArchiveError, Chain, Order, ParentIndex, Reader, Totals, Writer, WriterOptions, verify_file,
};
use coffer::domain::num::to_u64;
use coffer::domain::{EntryKind, SEGMENT_BYTES};
use proptest::prelude::*;

use super::fixture::{
    Member, TestArchive, Tree, assert_same, chain_of, child_in, child_writer_in, file, finish,
    full_in, full_writer, mixed_tree, noise, open, options, other, restore, stamped, write_tree,
};
use super::forge::with_index;
use super::proptest_config;

use Order::Unordered;

/// The tree sorted by these keys.
fn shuffled(tree: &[Member], keys: &[u8]) -> Tree {
    let mut keyed: Vec<_> = tree.iter().zip(keys).collect();
    keyed.sort_by_key(|(_, key)| **key);
    keyed.into_iter().map(|(member, _)| member.clone()).collect()
}

fn sorted(tree: &[Member]) -> Tree {
    let mut tree = tree.to_vec();
    tree.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
    tree
}

/// Three versions of a tree in which files are changed, grown, shrunk, added, removed and unchanged.
fn versions() -> [Tree; 3] {
    let find = |tree: &Tree, name: &str| {
        tree.iter().position(|it| it.entry.path.as_bytes() == name.as_bytes()).unwrap()
    };
    let first: Tree = mixed_tree().into_iter().map(|it| stamped(it, 5)).collect();
    let mut second = first.clone();
    let (big, mebi) = (find(&second, "big.db"), find(&second, "mebi"));
    second[big].content[SEGMENT_BYTES + 77] ^= 1;
    second[big].entry.stamp.as_mut().unwrap().ctime_ns = 6;
    second.remove(mebi);
    second.push(file("aaa", noise(SEGMENT_BYTES + 5, 7)));
    let mut third = second.clone();
    third[big].content[9] ^= 1;
    third[big].entry.stamp.as_mut().unwrap().ctime_ns = 7;
    let empty = find(&third, "empty");
    third[empty] = file("empty", noise(70_000, 8));
    third.push(file("mebi", noise(SEGMENT_BYTES, 5)));
    [first, second, third]
}

/// What an archive stored, and the hash of each path.
type Summary = (Totals, Vec<(Vec<u8>, Option<String>)>);

fn summary(made: &[TestArchive]) -> Vec<Summary> {
    let hashes = |it: &TestArchive| {
        let records = it.reader.entries(Some(&made[0].reader)).unwrap().map(Result::unwrap);
        let mut found: Vec<_> =
            records.map(|it| (it.entry.path.as_bytes().to_vec(), it.blake3())).collect();
        found.sort();
        found
    };
    made.iter().map(|it| (it.finished.manifest.totals, hashes(it))).collect()
}

fn chain_in(orders: [Order; 3], trees: &[Tree; 3]) -> Vec<TestArchive> {
    let mut made = vec![full_in(orders[0], &trees[0])];
    made.push(child_in(orders[1], &made, &trees[1], true));
    made.push(child_in(orders[2], &made, &trees[2], true));
    for (number, tree) in trees.iter().enumerate() {
        assert_eq!(made[number].reader.manifest().index.order, orders[number]);
        let chain = chain_of(&made[..=number]);
        assert_same(&restore(&chain).unwrap().tree(), tree);
        chain.verify(2, &|_| {}).unwrap();
        verify_file(&made[number].reader, Some(&made[0].reader), 2, &|_| {}).unwrap();
    }
    made
}

proptest! {
    #![proptest_config(proptest_config(24, "tests/proptest-regressions/archive/order.txt"))]
    #[test]
    fn a_chain_in_any_orders_stores_what_an_ordered_one_does(
        keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 20), 3),
        by_path in prop::collection::vec(any::<bool>(), 3),
    ) {
        static IN_ORDER: std::sync::OnceLock<Vec<TestArchive>> = std::sync::OnceLock::new();
        let trees = versions();
        let in_order = IN_ORDER.get_or_init(|| {
            chain_in([Order::ByPath; 3], &trees.each_ref().map(|tree| sorted(tree)))
        });
        let mut orders = [Unordered; 3];
        let mut given = trees.clone();
        for number in 0..3 {
            if by_path[number] {
                orders[number] = Order::ByPath;
                given[number] = sorted(&trees[number]);
            } else {
                given[number] = shuffled(&trees[number], &keys[number]);
            }
        }
        let made = chain_in(orders, &given);
        prop_assert_eq!(summary(&made), summary(in_order));
    }
}

#[test]
fn an_unordered_point_is_exported_in_its_own_order() {
    let trees = versions();
    let keys: Vec<u8> = (0..20).map(|number| number * 7 % 20).collect();
    let given = trees.map(|tree| shuffled(&tree, &keys));
    let made = chain_in([Unordered; 3], &given);
    let mut writer = full_writer(Unordered);
    chain_of(&made).export(&mut writer, &|_done| ()).unwrap();
    assert_same(&restore(&chain_of(&[finish(writer, None)])).unwrap().tree(), &given[2]);
}

#[test]
fn an_unordered_retracted_file_that_comes_again_is_compared_with_its_parent() {
    let tree = [file("c", "c"), file("a", noise(2 * SEGMENT_BYTES, 1)), file("b", "b")];
    let root = full_in(Unordered, &tree);
    let mut later = [tree[2].clone(), tree[1].clone(), tree[0].clone()];
    let mut writer = child_writer_in(Unordered, from_ref(&root)).unwrap();
    write_tree(&mut writer, &later[..1], false);
    write_tree(&mut writer, &[file("a", noise(SEGMENT_BYTES + 3, 8))], false);
    writer.retract().unwrap();
    later[1].content[77] ^= 1;
    write_tree(&mut writer, &later[1..], false);
    let made = finish(writer, Some(&root));
    let totals = made.finished.manifest.totals;
    assert_eq!((totals.entries, totals.patched_segments, totals.stored_segments), (3, 1, 0));
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &later);
}

#[test]
fn a_path_that_comes_twice_is_refused_in_any_order() {
    let mut writer = full_writer(Unordered);
    for name in ["b", "a", "c"] {
        writer.entry(&other(name, EntryKind::Directory).entry, false).unwrap();
    }
    let outcome = writer.entry(&other("b", EntryKind::Directory).entry, false);
    assert!(matches!(outcome, Err(ArchiveError::Misuse(_))));
}

#[test]
fn many_files_in_the_reverse_order_are_all_found() {
    let mut tree: Vec<_> = (0..5000)
        .map(|number| file(&format!("f{number:05}"), noise(number % 90 + 1, to_u64(number))))
        .collect();
    let root = full_in(Order::ByPath, &tree);
    tree.reverse();
    let made = child_in(Unordered, from_ref(&root), &tree, false);
    assert_eq!(made.finished.manifest.totals.unchanged_segments, 5000);
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &tree);
}

#[test]
fn files_beyond_the_memory_limit_for_skipped_records_are_stored_as_new() {
    let long = "n".repeat(1 << 19);
    let mut tree: Vec<_> =
        (10..70).map(|number| file(&format!("{number}{long}"), noise(5000, number))).collect();
    let root = full_in(Order::ByPath, &tree);
    tree.reverse();
    let made = child_in(Unordered, from_ref(&root), &tree, false);
    let totals = made.finished.manifest.totals;
    assert!(totals.unchanged_segments > 40, "{totals:?}");
    assert!(totals.stored_segments > 5, "{totals:?}");
    assert_same(&restore(&chain_of(&[root, made])).unwrap().tree(), &tree);
}

/// The record of a folder, with its complete path.
fn raw_folder(name: u8) -> [u8; 8] {
    [1, 0, 1, name, 0, 0, 0, 0]
}

/// Uses an archive in every way that reads its index; returns the result of each.
fn uses(reader: &Arc<Reader>, root: &Arc<Reader>) -> Vec<Outcome> {
    let chain = if reader.manifest().parent_manifest.is_some() {
        vec![Arc::clone(root), Arc::clone(reader)]
    } else {
        vec![Arc::clone(reader)]
    };
    let first = Arc::clone(&chain[0]);
    let chain = Chain::open(chain).unwrap();
    let parent = ParentIndex::open(Arc::clone(reader), Arc::clone(&first)).unwrap();
    let options = WriterOptions { order: Unordered, ..options() };
    vec![
        ("verify", chain.verify(1, &|_| {}).map(drop)),
        ("restore", restore(&chain).map(drop)),
        ("export", chain.export(&mut full_writer(Unordered), &|_| {})),
        ("verify_file", verify_file(reader, Some(&first), 1, &|_| {}).map(drop)),
        ("child", Writer::incremental(Vec::new(), &options, parent, "").map(drop)),
    ]
}

type Outcome = (&'static str, Result<(), ArchiveError>);

#[test]
fn an_index_with_a_duplicate_path_is_refused_by_everything_that_reads_it() {
    let root = full_in(Unordered, &[file("a", "a")]);
    let cases: [(Order, &[u8], bool); 5] = [
        (Unordered, b"ba", true),
        (Unordered, b"bab", false),
        (Unordered, b"bb", false),
        (Order::ByPath, b"ba", false),
        (Order::ByPath, b"ab", true),
    ];
    for incremental in [false, true] {
        for (order, names, sound) in cases {
            let empty = if incremental {
                child_in(order, from_ref(&root), &[], false)
            } else {
                full_in(order, &[])
            };
            let index: Vec<u8> = names.iter().flat_map(|name| raw_folder(*name)).collect();
            let bytes = with_index(&empty.bytes, &index);
            for (what, outcome) in uses(&open(&bytes).unwrap(), &root.reader) {
                let refused = outcome.is_err_and(|error| error.is_damage());
                assert_eq!(refused, !sound, "{what} of {order:?} {names:?} {incremental}");
            }
        }
    }
}
