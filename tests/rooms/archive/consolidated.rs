//! Full archives made of the archives of a chain: they hold the same, later incrementals can be built on them, and
//! the old chain stays what it was.

use coffer::archive::{ArchiveError, Order};
use coffer::domain::SEGMENT_BYTES;
use coffer::domain::num::to_u64;
use proptest::prelude::*;

use super::fixture::{
    TestArchive, assert_same, chain_of, child, file, finish, full, full_writer, mixed_tree, noise,
    restore,
};
use super::incremental::{assert_points, edited};
use super::proptest_config;

const MIB: usize = SEGMENT_BYTES;

/// The last point of a chain as a full archive.
fn consolidated(made: &[TestArchive]) -> TestArchive {
    let chain = chain_of(made);
    let mut writer = full_writer(Order::ByPath);
    chain.export(&mut writer, &|_done| ()).unwrap();
    let copy = finish(writer, None);
    chain.require_same(&copy.reader).unwrap();
    copy
}

#[test]
fn a_copy_that_differs_in_one_byte_or_one_entry_is_refused_and_named() {
    let tree = mixed_tree();
    let root = full(&tree);
    let mut later = tree.clone();
    let big = later.iter().position(|it| it.entry.path.as_bytes() == b"big.db").unwrap();
    later[big].content[MIB + 1] ^= 1;
    let chain = [root, child(&[full(&tree)], &tree, false)];
    let chain = chain_of(&[chain[0].clone(), child(&chain[..1], &later, false)]);
    let mut changed = later.clone();
    changed[big].content[2 * MIB + 7] ^= 1;
    let mut other_mode = later.clone();
    other_mode[big].entry.mode = 0o600;
    let mut more = later.clone();
    more.push(file("zz", "one more"));
    let fewer = later[..later.len() - 1].to_vec();
    chain.require_same(&full(&later).reader).unwrap();
    for other in [tree, changed, other_mode, more, fewer] {
        let copy = full(&other);
        let error = chain.require_same(&copy.reader).unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
        assert_eq!(error.bad_backup(), Some(copy.reader.id()));
    }
}

#[test]
fn what_was_built_on_a_consolidated_backup_is_restored_as_before_and_so_is_what_follows_the_copy() {
    let mut tree = mixed_tree();
    let mut made = vec![full(&tree)];
    let mut trees = vec![tree.clone()];
    for step in 1..=3_usize {
        tree.push(file(&format!("zz{step}"), noise(step * 300_000, to_u64(step))));
        made.push(child(&made, &tree, false));
        trees.push(tree.clone());
    }
    let mut copied = vec![consolidated(&made[..3])];
    copied.push(child(&copied, &trees[3], true));
    assert_points(&copied, &trees[2..]);
    assert_points(&made, &trees);
}

proptest! {
    #![proptest_config(proptest_config(16, "tests/proptest-regressions/archive/consolidated.txt"))]
    #[test]
    fn any_chain_consolidated_at_any_point_goes_on_as_if_that_had_been_a_full_backup(
        history in prop::collection::vec(
            prop::collection::vec(
                (0_usize..4, 0_usize..3 * MIB, 0_usize..3 * MIB, any::<u8>()), 0..3),
            1..5),
        at in any::<prop::sample::Index>(),
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
        let at = 1 + at.index(made.len() - 1);
        let mut copied = vec![consolidated(&made[..=at])];
        for tree in &trees[at + 1..] {
            copied.push(child(&copied, tree, false));
        }
        assert_points(&copied, &trees[at..]);
        assert_same(&restore(&chain_of(&made)).unwrap().tree(), trees.last().unwrap());
    }
}
