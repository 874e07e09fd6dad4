//! Full backups: everything that is written is restored.

use std::slice::from_ref;
use std::sync::Arc;

use coffer::archive::{ArchiveError, Chain, Reader, Writer};
use coffer::domain::num::to_u64;
use coffer::domain::{BackupId, Cancel, Entry, EntryKind, Kind, SEGMENT_BYTES, WriteAt};

use super::fixture::{
    Content, assert_same, chain_of, draft, file, finish, full, mixed_tree, noise, options, other,
    restore, sparse, write_tree,
};

#[test]
fn every_kind_of_entry_is_restored() {
    let tree = mixed_tree();
    let made = full(&tree);
    let chain = chain_of(from_ref(&made));
    assert_same(&restore(&chain).unwrap().tree(), &tree);
    let report = chain.verify(2, &|_| {}).unwrap();
    assert_eq!(report.entries, to_u64(tree.len()));
    assert_eq!(report.bytes, made.finished.source_bytes);
    let manifest = made.reader.manifest();
    assert_eq!(manifest.kind, Kind::Full);
    assert_eq!(manifest.totals.files, 9);
    assert_eq!(*manifest, made.finished.manifest);
}

#[test]
fn the_hash_of_every_file_is_what_b3sum_prints() {
    let mib = SEGMENT_BYTES;
    let lengths = [0, 1, mib - 1, mib, mib + 1, 2 * mib, 3 * mib + 5, 4 * mib, 5 * mib + 4321];
    let of_length = |length| file(&format!("{length:08}"), noise(length, 7));
    for tree in [mixed_tree(), lengths.map(of_length).to_vec()] {
        let made = full(&tree);
        for (record, member) in made.reader.entries(None).unwrap().zip(&tree) {
            let record = record.unwrap();
            let wanted = matches!(member.entry.kind, EntryKind::File { .. })
                .then(|| blake3::hash(&member.content).to_hex().as_str().to_owned());
            assert_eq!(record.blake3(), wanted, "{}", member.entry.path);
        }
    }
}

#[test]
fn an_empty_source_can_be_backed_up() {
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
fn holes_are_given_without_their_zeros_and_those_of_very_long_files_are_not_hashed() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    let lengths = [("long", 4097), ("short", 2)];
    for (name, segments) in lengths {
        let mut member = sparse(name, Vec::new(), &[]);
        let size = to_u64(segments * SEGMENT_BYTES - 7);
        member.entry.kind = EntryKind::File { size, extents: Some(Vec::new()) };
        assert!(writer.entry(&member.entry, false).unwrap());
        (0..segments).for_each(|_| writer.hole().unwrap());
        assert!(matches!(writer.hole(), Err(ArchiveError::Misuse(_))), "one too many");
    }
    let made = finish(writer, None);
    let hashes = made.reader.entries(None).unwrap().map(|record| record.unwrap().blake3());
    let short = blake3::hash(&vec![0; 2 * SEGMENT_BYTES - 7]).to_hex().as_str().to_owned();
    assert_eq!(hashes.collect::<Vec<_>>(), [None, Some(short)]);
    let report = chain_of(from_ref(&made)).verify(2, &|_| {}).unwrap();
    assert_eq!(report.bytes, made.finished.source_bytes);
}

#[test]
fn a_hole_where_data_is_is_refused() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    let member = sparse("disk", vec![1; 4096], &[(0, 4096)]);
    writer.entry(&member.entry, false).unwrap();
    assert!(matches!(writer.hole(), Err(ArchiveError::Misuse(_))));
}

#[test]
fn data_in_a_hole_is_refused() {
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
fn a_retracted_file_is_not_in_the_archive_and_may_come_again() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    let first = file("a", noise(3 * SEGMENT_BYTES, 1));
    assert!(writer.entry(&first.entry, false).unwrap());
    writer.segment(first.content[..SEGMENT_BYTES].to_vec()).unwrap();
    writer.retract().unwrap();
    let again = file("a", noise(SEGMENT_BYTES + 5, 2));
    let gone = file("b", noise(10, 3));
    let tree = [again, file("c", "c")];
    write_tree(&mut writer, &tree[..1], false);
    assert!(writer.entry(&gone.entry, false).unwrap());
    writer.retract().unwrap();
    write_tree(&mut writer, &tree[1..], false);
    let made = finish(writer, None);
    assert_eq!(made.finished.manifest.totals.files, 2);
    assert_same(&restore(&chain_of(&[made])).unwrap().tree(), &tree);
}

#[test]
fn a_complete_file_can_still_be_retracted() {
    let mut writer = Writer::full(Vec::new(), &options(), "").unwrap();
    write_tree(&mut writer, &[file("a", "torn")], false);
    writer.retract().unwrap();
    assert!(matches!(writer.retract(), Err(ArchiveError::Misuse(_))));
    let tree = [file("a", "whole")];
    write_tree(&mut writer, &tree, false);
    assert_same(&restore(&chain_of(&[finish(writer, None)])).unwrap().tree(), &tree);
}

#[test]
fn a_file_that_is_shorter_than_its_entry_says_is_an_error() {
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
fn a_retracted_path_may_come_again_and_none_that_must_not() {
    let mut ordered = Writer::full(Vec::new(), &options(), "").unwrap();
    let folder = other("b", EntryKind::Directory);
    ordered.entry(&folder.entry, false).unwrap();
    write_tree(&mut ordered, &[file("b/a", "torn")], false);
    ordered.retract().unwrap();
    assert!(matches!(ordered.entry(&folder.entry, false), Err(ArchiveError::Misuse(_))));
    write_tree(&mut ordered, &[file("b/a", "whole")], false);
    let mut unordered = super::fixture::full_writer(coffer::archive::Order::Unordered);
    write_tree(&mut unordered, &["b", "a", "c"].map(|name| file(name, "torn")), false);
    unordered.retract().unwrap();
    write_tree(&mut unordered, &[file("c", "whole")], false);
    let again = unordered.entry(&file("a", "again").entry, false);
    assert!(matches!(again, Err(ArchiveError::Misuse(_))));
}

#[test]
fn a_tree_of_many_small_files_is_restored() {
    let tree: Vec<_> = (0..9000)
        .map(|number| file(&format!("f{number:05}"), noise(number % 700, to_u64(number))))
        .collect();
    let made = full(&tree);
    assert_same(&restore(&chain_of(&[made])).unwrap().tree(), &tree);
}

#[test]
fn an_archive_has_the_same_bytes_whatever_the_number_of_workers() {
    let tree = mixed_tree();
    let id = BackupId::generate();
    let mut made = [1, 2, 5].into_iter().map(|workers| {
        let mut options = options();
        options.workers = workers;
        let mut writer = Writer::full(Vec::new(), &options, "").unwrap();
        write_tree(&mut writer, &tree, false);
        writer.finish(draft(id)).unwrap().0
    });
    let first = made.next().unwrap();
    assert!(made.all(|it| it == first));
}

#[test]
fn a_cancelled_restore_or_read_ends_as_cancelled() {
    let archive = full(&mixed_tree());
    let cancel = Cancel::default();
    let reader = Arc::new(Reader::open(Arc::new(archive.bytes.clone()), &cancel).unwrap());
    let chain = Chain::open(vec![Arc::clone(&reader)]).unwrap();
    let gone = Cancel::default();
    gone.cancel();
    let make = |_: &Entry| Ok::<_, ArchiveError>(None);
    let counts = chain.restore(make, 1, &gone, &|_| {}).unwrap();
    assert_eq!(counts.bytes, 0, "nothing was wanted, so that there was nothing to cancel");
    let place: Arc<dyn WriteAt> = Arc::new(Content::default());
    let make = |_: &Entry| Ok::<_, ArchiveError>(Some(Arc::clone(&place)));
    let error = chain.restore(make, 1, &gone, &|_| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::Cancelled), "{error}");
    cancel.cancel();
    let error = chain.verify(1, &|_| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::Cancelled), "{error}");
}
