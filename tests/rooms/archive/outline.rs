//! Outlines: incrementals are built on them as on the archives, and they have no content.

use std::sync::Arc;

use coffer::archive::Reader;
use coffer::domain::Cancel;

use super::fixture::{
    TestArchive, assert_same, chain_of, child, file, full, noise, restore, stamped,
};

const MIB: usize = 1 << 20;

fn bytes_of(archive: &TestArchive) -> Vec<u8> {
    let mut outline = Vec::new();
    archive.reader.write_outline(b"a note", &mut outline).unwrap();
    outline
}

/// The same archive, of which only the outline is here.
fn outline_of(archive: &TestArchive) -> TestArchive {
    let (reader, note) =
        Reader::open_outline(Arc::new(bytes_of(archive)), &Cancel::default()).unwrap();
    assert_eq!(note, b"a note");
    assert_eq!(reader.manifest(), archive.reader.manifest());
    let finished = archive.finished.clone();
    TestArchive { bytes: Vec::new(), finished, reader: Arc::new(reader) }
}

#[test]
fn a_chain_that_was_built_on_outlines_alone_restores_as_it_was() {
    let mut tree = vec![
        stamped(file("big", noise(3 * MIB + 5, 1)), 1),
        file("changing", noise(4 * MIB, 2)),
        file("small", "small"),
    ];
    let (mut made, mut outlines) = (vec![full(&tree)], Vec::new());
    for step in 0..3 {
        outlines.push(outline_of(made.last().unwrap()));
        // A change in the same segment, one in another, and a file that comes or grows.
        tree[1].content[MIB + 7] ^= 1;
        tree[1].content[step * MIB] ^= 1;
        tree[2] = file("small", noise(100 * (step + 1), 3));
        made.push(child(&outlines, &tree, true));
        let stored = made.last().unwrap().bytes.len();
        assert!(stored < 2 * MIB + MIB / 2, "step {step}: {stored} bytes for two segments");
    }
    assert_same(&restore(&chain_of(&made)).unwrap().tree(), &tree);
    chain_of(&made).verify(2, &|_| {}).unwrap();
}

#[test]
fn an_outline_has_no_content_and_says_so_when_it_is_asked_for_some() {
    let content = noise(3 * MIB, 1);
    let made = full(&[file("a", content.clone())]);
    let outline = bytes_of(&made);
    assert!(outline.len() < 4096, "{}", outline.len());
    for at in (0..content.len()).step_by(1 << 16) {
        let part = &content[at..at + 16];
        assert!(!outline.windows(16).any(|it| it == part), "byte {at}");
    }
    let error = chain_of(&[outline_of(&made)]).verify(1, &|_| {}).unwrap_err();
    assert!(!error.is_damage() && error.to_string().contains("no content"), "{error}");
}

#[test]
fn every_bit_of_an_outline_counts() {
    let outline = bytes_of(&full(&[file("a", "content"), file("b", noise(500, 2))]));
    let open = |bytes: Vec<u8>| Reader::open_outline(Arc::new(bytes), &Cancel::default());
    open(outline.clone()).unwrap();
    for bit in 0..outline.len() * 8 {
        let mut changed = outline.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(changed).unwrap_err().is_damage(), "bit {bit}");
    }
    for cut in 0..outline.len() {
        assert!(open(outline[..cut].to_vec()).unwrap_err().is_damage(), "cut at {cut}");
    }
}
