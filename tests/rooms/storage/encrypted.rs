//! Archives that are encrypted while they are written.

use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;

use coffer::domain::{BackupId, Location, ReadAt, Timestamp};
use coffer::encryption::{Identities, NewIdentity, Recipients};
use coffer::storage::{EncryptedStorage, Local, Storage as _};

const PIECE: usize = 64 << 10;

/// A data directory whose archives are encrypted to this key, without a secret one.
fn store(folder: &tempfile::TempDir, key: &NewIdentity) -> EncryptedStorage {
    let recipients = Recipients::parse(&[key.public()]).unwrap();
    let local = Arc::new(Local::open(folder.path()).unwrap());
    EncryptedStorage::new(local, recipients, Arc::new(Identities::default()))
}

fn content(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

fn all_of(file: &dyn ReadAt) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).map(|()| bytes)
}

fn location() -> Location {
    "p/i/x.tar.zst".parse().unwrap()
}

/// The unfinished file.
fn unfinished(folder: &tempfile::TempDir) -> PathBuf {
    let files = std::fs::read_dir(folder.path().join("tmp")).unwrap();
    files.map(|it| it.unwrap().path()).next().unwrap()
}

#[test]
fn what_is_written_in_any_pieces_lies_there_as_age_encrypts_it_and_is_read_back_without_a_key() {
    let key = NewIdentity::generate();
    let theirs = age::x25519::Identity::from_str(&key.secret()).unwrap();
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 999] {
        let folder = tempfile::tempdir().unwrap();
        let (store, plain) = (store(&folder, &key), content(length));
        let mut pending = store.create(BackupId::generate(), 0).unwrap();
        pending.allocate(u64::try_from(length).unwrap()).unwrap();
        plain.chunks(40_001).for_each(|part| pending.write_all(part).unwrap());
        pending.sync().unwrap();
        pending.write_all(b"more").unwrap_err();
        assert!(all_of(&*pending.reopen().unwrap()).unwrap() == plain, "{length}");

        let (file, location) = (pending.encrypted().unwrap(), location());
        pending.publish(&location.encrypted(), Timestamp::from_micros(0)).unwrap();
        let stored = all_of(&*store.open(&location.encrypted()).unwrap()).unwrap();
        assert_eq!(file.bytes, u64::try_from(stored.len()).unwrap());
        assert_eq!(file.checksum, blake3::hash(&stored).to_hex().as_str());
        assert!(age::decrypt(&theirs, &stored).unwrap() == plain, "{length}");

        let opened = store.open(&location.encrypted()).unwrap();
        let without = store.decrypt(&location.encrypted(), opened).unwrap_err();
        assert!(!without.is_damage() && without.to_string().contains("no key"), "{without}");
    }
}

#[test]
fn what_is_not_ended_or_would_not_be_named_encrypted_is_not_published() {
    let (folder, key) = (tempfile::tempdir().unwrap(), NewIdentity::generate());
    let store = store(&folder, &key);
    let pending = |is_ended: bool| {
        let mut pending = store.create(BackupId::generate(), 0).unwrap();
        pending.write_all(b"content").unwrap();
        if is_ended {
            pending.sync().unwrap();
        }
        pending
    };
    let now = Timestamp::from_micros(0);
    pending(true).publish(&location(), now).unwrap_err();
    pending(false).publish(&location().encrypted(), now).unwrap_err();
    assert!(store.list().unwrap().is_empty());
    pending(true).publish(&location().encrypted(), now).unwrap();
}

#[test]
fn with_any_bit_changed_on_the_disk_it_is_not_read_back_as_what_was_written() {
    let (folder, key) = (tempfile::tempdir().unwrap(), NewIdentity::generate());
    let store = store(&folder, &key);
    let mut pending = store.create(BackupId::generate(), 0).unwrap();
    pending.write_all(b"some content").unwrap();
    pending.sync().unwrap();
    let path = unfinished(&folder);
    let written = std::fs::read(&path).unwrap();
    for bit in 0..written.len() * 8 {
        let mut changed = written.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        overwrite(&path, &changed);
        let error = pending.reopen().unwrap_err();
        assert!(error.is_damage(), "bit {bit}: {error}");
    }
    overwrite(&path, &written);
    assert_eq!(all_of(&*pending.reopen().unwrap()).unwrap(), b"some content");
}

/// In place: another file under this name would be noticed by itself.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn without_public_keys_nothing_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let local = Arc::new(Local::open(folder.path()).unwrap());
    let store = EncryptedStorage::new(local, None, Arc::new(Identities::default()));
    let mut pending = store.create(BackupId::generate(), 0).unwrap();
    pending.write_all(b"content").unwrap();
    pending.sync().unwrap();
    assert_eq!((pending.encrypted(), store.recipients().len()), (None, 0));
    pending.publish(&location(), Timestamp::from_micros(0)).unwrap();
    assert_eq!(all_of(&*store.open(&location()).unwrap()).unwrap(), b"content");
}
