//! A whole archive, encrypted: it reads as before, and with a bit changed anywhere it is refused.

use std::sync::Arc;

use coffer::archive::{Reader, verify_file};
use coffer::domain::{Cancel, ReadAt as _};
use coffer::encryption::{
    self, Decrypted, Encrypted, FileHead, Identities, NewIdentity, Recipients,
};

use super::fixture::{assert_same, chain_of, child, file, full, noise, restore};

fn keys_of(identity: &NewIdentity) -> (Identities, Arc<FileHead>) {
    let mut keys = Identities::default();
    keys.add("test", identity.secret().as_bytes(), &|_| None).unwrap();
    let recipients = Recipients::parse(&[identity.public()]).unwrap().unwrap();
    (keys, Arc::new(FileHead::new(&recipients).unwrap()))
}

fn encrypted(archive: &[u8], head: &Arc<FileHead>) -> Vec<u8> {
    let view = Encrypted::new(Arc::new(archive.to_vec()), Arc::clone(head));
    let mut bytes = vec![0; usize::try_from(view.len()).unwrap()];
    view.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// What is wrong with an encrypted archive; `None`: nothing.
fn fault(bytes: Vec<u8>, head: &Arc<FileHead>) -> Option<String> {
    let opened = match Decrypted::new(Arc::new(bytes), Arc::clone(head)) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            return Some(error.to_string());
        }
    };
    let reader = match Reader::open(Arc::new(opened), &Cancel::default()) {
        Ok(reader) => Arc::new(reader),
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            return Some(error.to_string());
        }
    };
    verify_file(&reader, None, 1, &|_| {}).err().map(|error| {
        assert!(error.is_damage(), "{error}");
        error.to_string()
    })
}

#[test]
fn a_chain_that_is_encrypted_restores_as_it_was() {
    let (keys, _) = keys_of(&NewIdentity::generate());
    let identity = NewIdentity::generate();
    let (keys_of_chain, _) = keys_of(&identity);
    let mut tree = vec![file("big", noise(3 << 20, 1)), file("small", "small")];
    let mut made = vec![full(&tree)];
    tree[0].content[5000] ^= 1;
    made.push(child(&made, &tree, false));
    for archive in &mut made {
        let bytes = encrypted(&archive.bytes, &keys_of(&identity).1);
        assert!(encryption::open(Arc::new(bytes.clone()), &keys).is_err());
        let opened = encryption::open(Arc::new(bytes), &keys_of_chain).unwrap();
        archive.reader = Arc::new(Reader::open(opened, &Cancel::default()).unwrap());
    }
    assert_same(&restore(&chain_of(&made)).unwrap().tree(), &tree);
}

#[test]
fn every_bit_of_a_small_encrypted_archive_counts() {
    let (_, head) = keys_of(&NewIdentity::generate());
    let made = full(&[file("a", "content"), file("b", noise(500, 2))]);
    let bytes = encrypted(&made.bytes, &head);
    assert_eq!(fault(bytes.clone(), &head), None);
    // The head is one whole, which a test of its own changes bit by bit.
    for bit in head.bytes().len() * 8..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(fault(changed, &head).is_some(), "bit {bit} of {}", bytes.len() * 8);
    }
    for cut in 0..bytes.len() {
        assert!(fault(bytes[..cut].to_vec(), &head).is_some(), "cut at {cut}");
    }
}
