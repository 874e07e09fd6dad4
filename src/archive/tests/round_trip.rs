//! Full backups: everything that goes in comes out.

use std::slice::from_ref;

use super::sample::{
    assert_same, chain_of, draft, end, file, full, mixed_tree, noise, options, other, pour,
    restore, sparse,
};
use crate::archive::bytes::wide;
use crate::archive::{ArchiveError, Writer};
use crate::domain::{BackupId, EntryKind, Kind, SEGMENT_BYTES};

#[test]
fn one_of_everything_comes_back_the_same() {
    let tree = mixed_tree();
    let made = full(&tree);
    let chain = chain_of(from_ref(&made));
    assert_same(&restore(&chain).unwrap().tree(), &tree);
    let report = chain.verify(2, &|_| {}).unwrap();
    assert_eq!(report.entries, wide(tree.len()));
    assert_eq!(report.bytes, made.finished.source_bytes);
    let manifest = made.reader.manifest();
    assert_eq!(manifest.kind, Kind::Full);
    assert_eq!(manifest.totals.files, 9);
    assert_eq!(*manifest, made.finished.manifest);
}

#[test]
fn the_hash_of_every_file_is_what_b3sum_prints() {
    let tree = mixed_tree();
    let made = full(&tree);
    for (record, member) in made.reader.entries(None).unwrap().zip(&tree) {
        let record = record.unwrap();
        let wanted = matches!(member.entry.kind, EntryKind::File { .. })
            .then(|| blake3::hash(&member.content).to_hex().as_str().to_owned());
        assert_eq!(record.blake3(), wanted, "{}", member.entry.path);
    }
}

#[test]
fn an_empty_source_makes_an_archive() {
    let made = full(&[]);
    assert_same(&restore(&chain_of(&[made])).unwrap().tree(), &[]);
}

#[test]
fn holes_are_not_stored_and_not_written() {
    let mut content = vec![0; 8 * SEGMENT_BYTES];
    content[0..4096].copy_from_slice(&noise(4096, 1));
    let tree = [sparse("disk", content, &[(0, 4096)])];
    let made = full(&tree);
    assert!(made.bytes.len() < 16_000, "{}", made.bytes.len());
    let target = restore(&chain_of(&[made])).unwrap();
    assert_same(&target.tree(), &tree);
    assert_eq!(target.files[&b"disk"[..]].written(), 4096);
}

#[test]
fn data_outside_of_the_stated_ranges_is_refused() {
    for at in [5000, SEGMENT_BYTES + 7] {
        let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
        let mut content = vec![0; 2 * SEGMENT_BYTES];
        content[at] = 1;
        let member = sparse("disk", content, &[(0, 4096)]);
        writer.entry(&member.entry, false).unwrap();
        let outcome: Result<Vec<()>, _> = member
            .content
            .chunks(SEGMENT_BYTES)
            .map(|part| writer.segment(part.to_vec()))
            .collect();
        assert!(matches!(outcome, Err(ArchiveError::Misuse(_))));
    }
}

#[test]
fn a_retracted_file_is_forgotten_and_may_come_again() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    let first = file("a", noise(3 * SEGMENT_BYTES, 1));
    assert!(writer.entry(&first.entry, false).unwrap());
    writer.segment(first.content[..SEGMENT_BYTES].to_vec()).unwrap();
    writer.retract().unwrap();
    let again = file("a", noise(SEGMENT_BYTES + 5, 2));
    let gone = file("b", noise(10, 3));
    let tree = [again, file("c", "c")];
    pour(&mut writer, &tree[..1], false);
    assert!(writer.entry(&gone.entry, false).unwrap());
    writer.retract().unwrap();
    pour(&mut writer, &tree[1..], false);
    let made = end(writer, None);
    assert_eq!(made.finished.manifest.totals.files, 2);
    assert_same(&restore(&chain_of(&[made])).unwrap().tree(), &tree);
}

#[test]
fn a_file_that_was_read_whole_can_still_be_retracted() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    pour(&mut writer, &[file("a", "torn")], false);
    writer.retract().unwrap();
    assert!(matches!(writer.retract(), Err(ArchiveError::Misuse(_))));
    let tree = [file("a", "whole")];
    pour(&mut writer, &tree, false);
    assert_same(&restore(&chain_of(&[end(writer, None)])).unwrap().tree(), &tree);
}

#[test]
fn a_file_shorter_than_it_said_is_an_error() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    let member = file("a", noise(SEGMENT_BYTES + 1, 1));
    writer.entry(&member.entry, false).unwrap();
    writer.segment(member.content[..SEGMENT_BYTES].to_vec()).unwrap();
    assert!(matches!(writer.segment(vec![1, 2]), Err(ArchiveError::Misuse(_))));
    let outcome = writer.finish(draft(BackupId::generate()));
    assert!(matches!(outcome, Err(ArchiveError::Misuse(_))));
}

#[test]
fn entries_out_of_order_are_refused() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    writer.entry(&other("b", EntryKind::Directory).entry, false).unwrap();
    for name in ["a", "b"] {
        let outcome = writer.entry(&other(name, EntryKind::Directory).entry, false);
        assert!(matches!(outcome, Err(ArchiveError::Misuse(_))), "{name}");
    }
}

#[test]
fn a_tree_of_many_small_files_comes_back() {
    let tree: Vec<_> = (0..9000)
        .map(|number| file(&format!("f{number:05}"), noise(number % 700, wide(number))))
        .collect();
    let made = full(&tree);
    assert_same(&restore(&chain_of(&[made])).unwrap().tree(), &tree);
}

#[test]
fn an_archive_is_the_same_however_many_workers_make_it() {
    let tree = mixed_tree();
    let id = BackupId::generate();
    let mut made = [1, 2, 5].into_iter().map(|workers| {
        let mut options = options();
        options.workers = workers;
        let mut writer = Writer::full(Vec::new(), &options, "").unwrap();
        pour(&mut writer, &tree, false);
        writer.finish(draft(id)).unwrap().0
    });
    let first = made.next().unwrap();
    assert!(made.all(|it| it == first));
}
