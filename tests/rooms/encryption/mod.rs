//! Encryption: held to the `age` crate in both directions, and to what must not pass.

mod keys;

use std::io::Write as _;
use std::str::FromStr as _;
use std::sync::Arc;

use coffer::domain::ReadAt;
use coffer::domain::num::to_u64;
use coffer::encryption::{
    self, Decryptor, Encrypted, EncryptionError, FileHead, Identities, NewIdentity, Recipients,
};

/// The length of a piece of a file, and what it is longer when it is encrypted.
const PIECE: usize = 64 << 10;
const TAG: usize = 16;

/// Bytes that do not repeat from piece to piece.
fn content(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

fn nobody(_name: &str) -> Option<String> {
    None
}

/// The keys of a new identity.
fn keys(identity: &NewIdentity) -> Identities {
    let mut keys = Identities::default();
    keys.add("test", identity.secret().as_bytes(), &nobody).unwrap();
    keys
}

fn head(to: &[&NewIdentity]) -> Arc<FileHead> {
    let texts: Vec<String> = to.iter().map(|it| it.public()).collect();
    Arc::new(FileHead::new(&Recipients::parse(&texts).unwrap().unwrap()).unwrap())
}

fn all_of(file: &dyn ReadAt) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn encrypted(content: &[u8], head: &Arc<FileHead>) -> Vec<u8> {
    all_of(&Encrypted::new(Arc::new(content.to_vec()), Arc::clone(head)))
}

/// What a file decrypts to.
fn decrypted(file: Vec<u8>, keys: &Identities) -> Result<Vec<u8>, EncryptionError> {
    let opened = encryption::open(Arc::new(file), keys)?;
    let mut bytes = vec![0; usize::try_from(opened.len()).unwrap()];
    opened.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[test]
fn what_is_encrypted_here_the_age_crate_decrypts_and_the_other_way_round() {
    let identity = NewIdentity::generate();
    let theirs = age::x25519::Identity::from_str(&identity.secret()).unwrap();
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 999] {
        let (plain, head) = (content(length), head(&[&identity]));
        let ours = encrypted(&plain, &head);
        assert_eq!(head.encrypted_length(to_u64(plain.len())), to_u64(ours.len()));
        assert_eq!(age::decrypt(&theirs, &ours).unwrap(), plain, "{length}");

        let mut streamed = Vec::new();
        let mut decryptor = Decryptor::new(Arc::clone(&head));
        for part in ours.chunks(777) {
            decryptor.feed(part, |bytes| streamed.extend_from_slice(bytes)).unwrap();
        }
        decryptor.finish(|bytes| streamed.extend_from_slice(bytes)).unwrap();
        assert!(streamed == plain, "read piece by piece, {length} bytes are others");

        let from_age = age::encrypt(&theirs.to_public(), &plain).unwrap();
        assert!(decrypted(from_age, &keys(&identity)).unwrap() == plain, "{length}");
    }
}

#[test]
fn any_range_of_a_file_is_the_same_in_both_directions() {
    let identity = NewIdentity::generate();
    let (plain, head) = (content(5 * PIECE + 321), head(&[&identity]));
    let whole = encrypted(&plain, &head);
    let view = Encrypted::new(Arc::new(plain.clone()), Arc::clone(&head));
    let opened = encryption::open(Arc::new(whole.clone()), &keys(&identity)).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let both: [(&dyn ReadAt, _); 2] = [(&view, &whole), (&*opened, &plain)];
    for (file, bytes) in both {
        assert_eq!(file.len(), to_u64(bytes.len()));
        for _ in 0..300 {
            let start = random.usize(..=bytes.len());
            let length = random.usize(..=(bytes.len() - start).min(3 * PIECE));
            let mut range = vec![0; length];
            file.read_exact_at(&mut range, to_u64(start)).unwrap();
            assert!(range == bytes[start..start + length], "{start} + {length}");
        }
        let behind = file.read_exact_at(&mut [0], to_u64(bytes.len())).unwrap_err();
        assert_eq!(behind.kind(), std::io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn the_same_head_encrypts_to_the_same_bytes_and_a_new_one_to_others() {
    let identity = NewIdentity::generate();
    let (plain, first) = (content(PIECE + 1), head(&[&identity]));
    let again = Arc::new(FileHead::from_secret(&first.to_secret()).unwrap());
    assert!(encrypted(&plain, &first) == encrypted(&plain, &again));
    let (one, other) = (encrypted(&plain, &first), encrypted(&plain, &head(&[&identity])));
    assert!(one[one.len() - PIECE..] != other[other.len() - PIECE..]);
    assert!(!format!("{first:?}").contains(&hex::encode(&first.to_secret()[..16])));
}

#[test]
fn a_file_with_one_bit_changed_anywhere_is_never_read_as_what_it_was() {
    let identity = NewIdentity::generate();
    let (plain, keys) = (content(40), keys(&identity));
    let file = encrypted(&plain, &head(&[&identity]));
    for bit in 0..file.len() * 8 {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // Without its first line a file is not taken for an encrypted one, and is no archive either.
        match decrypted(changed.clone(), &keys) {
            Ok(read) => assert!(read == changed && bit / 8 < 19, "bit {bit}"),
            Err(error) => assert!(error.is_damage() || is_wrong_key(&error), "bit {bit}: {error}"),
        }
    }
}

/// A head whose part for the key is changed is one for another key, as far as anybody can see.
fn is_wrong_key(error: &EncryptionError) -> bool {
    let is_damage = |it: &std::io::Error| it.kind() == std::io::ErrorKind::InvalidData;
    match error {
        EncryptionError::WrongIdentity { .. } => true,
        EncryptionError::Io(error) => is_damage(error),
        _ => false,
    }
}

#[test]
fn a_file_that_was_cut_extended_or_put_together_otherwise_is_refused() {
    let identity = NewIdentity::generate();
    let head = head(&[&identity]);
    let file = encrypted(&content(3 * PIECE + 5), &head);
    let (start, piece) = (head.bytes().len(), PIECE + TAG);
    let pieces: Vec<&[u8]> = file[start..].chunks(piece).collect();
    assert_eq!(pieces.len(), 4);
    let built = |order: &[usize]| {
        let parts = order.iter().flat_map(|it| pieces[*it].iter().copied());
        file[..start].iter().copied().chain(parts).collect::<Vec<u8>>()
    };
    assert!(built(&[0, 1, 2, 3]) == file);
    let mut more = file.clone();
    more.push(0);
    let other = encrypted(&content(3 * PIECE + 5), &self::head(&[&identity]));
    let mixed = [&file[..start], &other[other.len() - (file.len() - start)..]].concat();
    let cases = [
        ("a piece is missing", built(&[0, 2, 3])),
        ("the last piece is missing", built(&[0, 1, 2])),
        ("two are swapped", built(&[1, 0, 2, 3])),
        ("one is there twice", built(&[0, 0, 1, 2, 3])),
        ("there is only the head", built(&[])),
        ("there is half a head", file[..start / 2].to_vec()),
        ("a byte is missing", file[..file.len() - 1].to_vec()),
        ("a byte is too many", more),
        ("the content is that of another file", mixed),
    ];
    for (what, changed) in cases {
        let error = decrypted(changed, &keys(&identity)).unwrap_err();
        assert!(error.is_damage() || is_wrong_key(&error), "{what}: {error}");
    }
}

#[test]
fn a_protected_key_of_age_is_asked_for_its_passphrase() {
    let identity = NewIdentity::generate();
    let mut scrypt = age::scrypt::Recipient::new("open sesame".to_owned().into());
    scrypt.set_work_factor(2);
    let only: &dyn age::Recipient = &scrypt;
    let encryptor = age::Encryptor::with_recipients(std::iter::once(only)).unwrap();
    let mut protected = Vec::new();
    let mut writer = encryptor.wrap_output(&mut protected).unwrap();
    writer.write_all(identity.secret().as_bytes()).unwrap();
    writer.finish().unwrap();
    let mut keys = Identities::default();
    let asked = std::cell::RefCell::new(Vec::new());
    let ask = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        Some("open sesame".to_owned())
    };
    keys.add("/k", &protected, &ask).unwrap();
    assert_eq!(*asked.borrow(), ["/k"]);
    assert_eq!(keys.public_keys(), [identity.public()]);
}
