//! Malicious archives: every hash in them is right, but the content of the index is not.

use std::slice::from_ref;
use std::sync::{Arc, OnceLock};

use coffer::archive::{ArchiveError, Chain, ParentIndex};
use coffer::domain::SEGMENT_BYTES;
use proptest::prelude::*;

use super::fixture::{TestArchive, child, file, full, mixed_tree, noise, open};
use super::forge::{raw_index, with_index, with_many_frames};
use super::proptest_config;

fn root_and_child() -> &'static (TestArchive, TestArchive) {
    static SAMPLE: OnceLock<(TestArchive, TestArchive)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let mut tree = mixed_tree();
        let root = full(&tree);
        tree[3].content[9] ^= 1;
        tree.push(file("zz", noise(SEGMENT_BYTES + 9, 1)));
        let made = child(from_ref(&root), &tree, false);
        (root, made)
    })
}

/// Makes an archive with this index, and reads it in every way.
fn read_forged(root: Option<&TestArchive>, index: &[u8]) -> Result<(), ArchiveError> {
    let empty = match root {
        Some(root) => child(from_ref(root), &[], false),
        None => full(&[]),
    };
    let reader = open(&with_index(&empty.bytes, index)).unwrap();
    let root = root.map_or(&reader, |it| &it.reader);
    ParentIndex::open(Arc::clone(&reader), Arc::clone(root))?;
    let readers = [root, &reader].map(Arc::clone);
    let needed = reader.manifest().chain.len();
    let chain = Chain::open(readers[2 - needed..].to_vec())?;
    chain.verify(1, &|_| {}).map(|_| ())
}

#[test]
fn an_index_of_data_that_is_not_in_the_archive_is_refused() {
    let (root, made) = root_and_child();
    // The data of these indexes is not in the forged archives.
    let root_index = raw_index(&root.bytes, None);
    let index = raw_index(&made.bytes, Some(&root_index));
    assert!(read_forged(None, &root_index).unwrap_err().is_damage());
    assert!(read_forged(Some(root), &index).unwrap_err().is_damage());
}

#[test]
fn a_list_of_many_pieces_is_read_and_what_it_belongs_to_is_checked() {
    let error = open(&with_many_frames(&full(&[]).bytes, 10_000)).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("manifest"), "{error}");
}

#[test]
fn a_huge_count_takes_no_memory() {
    let endless = [&[0xFF_u8; 17][..], &[0x03]].concat();
    for field in 0..9_usize {
        for flags in [0_u8, 8, 16, 24, 2, 3] {
            let index = [&[flags][..], &[0; 10][..field], &endless, &[0xFF; 400]].concat();
            assert!(read_forged(None, &index).unwrap_err().is_damage(), "{flags} {field}");
        }
    }
}

#[test]
fn a_path_that_leads_out_of_the_target_is_refused() {
    for bad in ["../a", "/a", "a/../../b", "a//b"] {
        let mut index = vec![1, 0, u8::try_from(bad.len()).unwrap()];
        index.extend_from_slice(bad.as_bytes());
        index.extend_from_slice(&[0, 0, 0, 0]);
        assert!(read_forged(None, &index).unwrap_err().is_damage(), "{bad}");
    }
    assert!(read_forged(None, &[1, 0, 1, b'a', 0, 0, 0, 0]).is_ok());
}

proptest! {
    #![proptest_config(proptest_config(150, "tests/proptest-regressions/archive/hostile.txt"))]
    #[test]
    fn no_index_makes_a_reader_panic(
        incremental in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (root, made) = root_and_child();
        let mut index = raw_index(&root.bytes, None);
        if incremental {
            index = raw_index(&made.bytes, Some(&index));
        }
        for (at, byte) in changes {
            let at = at.index(index.len());
            index[at] = byte;
        }
        index.truncate(index.len() - cut.index(index.len()) / 8);
        if let Err(error) = read_forged(incremental.then_some(root), &index) {
            prop_assert!(error.is_damage(), "{}", error);
        }
    }
}
