//! Which keys read what.

use std::path::Path;
use std::process::Command;

use coffer::encryption::{EncryptionError, FileHead, Identities, NewIdentity, Recipients};

use super::{content, decrypted, encrypted, head, keys, nobody};

#[test]
fn each_of_two_recipients_reads_a_third_does_not_and_no_key_is_said_to_be_none() {
    let (one, two, third) =
        (NewIdentity::generate(), NewIdentity::generate(), NewIdentity::generate());
    let (plain, file) = (content(100), head(&[&one, &two]));
    let file = encrypted(&plain, &file);
    for identity in [&one, &two] {
        assert_eq!(decrypted(file.clone(), &keys(identity)).unwrap(), plain);
    }
    let error = decrypted(file.clone(), &keys(&third)).unwrap_err();
    assert!(matches!(error, EncryptionError::WrongIdentity { .. }), "{error}");
    assert!(error.to_string().contains(&third.public()), "{error}");
    let error = decrypted(file, &Identities::default()).unwrap_err();
    assert!(matches!(error, EncryptionError::NoIdentity), "{error}");
    assert!(!error.is_damage());
}

fn ssh_key(folder: &Path, kind: &str, passphrase: &str) -> (String, std::path::PathBuf) {
    let file = folder.join(format!("{kind}{}", passphrase.len()));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-f"]).arg(&file);
    let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    assert!(command.args(bits).status().unwrap().success());
    (std::fs::read_to_string(file.with_extension("pub")).unwrap(), file)
}

#[test]
fn keys_of_openssh_read_what_is_encrypted_to_them_also_with_a_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, passphrase) in [("ed25519", ""), ("ed25519", "sesame"), ("rsa", "")] {
        let (public, file) = ssh_key(folder.path(), kind, passphrase);
        let recipients = Recipients::parse(&[public.trim()]).unwrap().unwrap();
        let bytes = encrypted(b"secret", &FileHead::new(&recipients).unwrap().into());
        let keys = Identities::read(&[&file], &|_| Some(passphrase.to_owned())).unwrap();
        assert_eq!(decrypted(bytes, &keys).unwrap(), b"secret", "{kind}");
        assert_eq!(keys.public_keys(), recipients.texts(), "{kind}");
        if !passphrase.is_empty() {
            let error = Identities::read(&[&file], &nobody).unwrap_err();
            assert!(error.to_string().contains("nobody can be asked"), "{error}");
        }
    }
}

#[test]
fn a_key_is_read_from_a_text_with_other_lines_however_it_was_typed() {
    let identity = NewIdentity::generate();
    let secret = identity.secret().to_lowercase();
    let (first, rest) = secret.split_at(20);
    let typed = format!("# Recovery sheet\n\n  {first} {rest}\n");
    let mut keys = Identities::default();
    keys.add("sheet", typed.as_bytes(), &nobody).unwrap();
    assert_eq!(keys.public_keys(), [identity.public()]);
    // A letter that was read wrong is noticed.
    let wrong = identity.secret().replace(['Q', '2', 'P'], "Z");
    let result = Identities::default().add("sheet", wrong.as_bytes(), &nobody);
    assert_eq!(result.is_err(), wrong != identity.secret());
}
