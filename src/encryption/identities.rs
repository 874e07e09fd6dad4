//! Secret keys, which open what was encrypted to their public ones.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::iter;
use std::path::Path;
use std::str::FromStr as _;

use age::armor::ArmoredReader;
use age::secrecy::{ExposeSecret as _, SecretString};
use age::{DecryptError, Decryptor, Encryptor, Identity, scrypt, ssh, x25519};

use super::error::{EncryptionError, Result};

/// How the file of a key begins that is protected by a passphrase, as `age -p` makes it.
const PROTECTED: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE"];
/// How keys of OpenSSH begin, and older ones.
const SSH: [&[u8]; 2] = [b"-----BEGIN OPENSSH PRIVATE KEY", b"-----BEGIN RSA PRIVATE KEY"];
/// A longer file is not that of a key.
const LONGEST: u64 = 1 << 20;
/// The dearest passphrase that is tried, as a power of two: a file that asks for more would take minutes and much memory.
const MOST_WORK: u8 = 20;

/// Asks a person for the passphrase of a key that is named so; `None`: nobody can be asked.
pub type AskPassphrase<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Any number of secret keys.
#[derive(Default)]
pub struct Identities {
    keys: Vec<Key>,
}

enum Key {
    Age(x25519::Identity),
    Ssh(Box<ssh::Identity>),
}

impl fmt::Debug for Identities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Identities({self})")
    }
}

/// Their public keys.
impl fmt::Display for Identities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.public_keys().join(", "))
    }
}

impl Identities {
    /// Reads the files of secret keys: those that `age-keygen` and `coffer key` make, also when they are protected by a
    /// passphrase, and those of OpenSSH.
    pub fn read<P: AsRef<Path>>(files: &[P], ask: AskPassphrase<'_>) -> Result<Self> {
        let mut identities = Self::default();
        for file in files {
            let path = file.as_ref();
            identities.add(&path.display().to_string(), &Self::content(path)?, ask)?;
        }
        Ok(identities)
    }

    /// What is in the file of a key, without the passphrase that protects it.
    pub fn unprotected(name: &str, content: Vec<u8>, ask: AskPassphrase<'_>) -> Result<Vec<u8>> {
        if PROTECTED.iter().any(|it| content.starts_with(it)) {
            without_passphrase(name, &content, ask)
        } else {
            Ok(content)
        }
    }

    /// The content of a key's file, as it is.
    pub fn content(file: &Path) -> Result<Vec<u8>> {
        let (name, mut content) = (file.display().to_string(), Vec::new());
        let read = File::open(file).and_then(|it| it.take(LONGEST).read_to_end(&mut content));
        read.map_err(|error| unreadable(&name, &error))?;
        Ok(content)
    }

    /// Adds the keys in the content of a file.
    pub fn add(&mut self, name: &str, content: &[u8], ask: AskPassphrase<'_>) -> Result<()> {
        if PROTECTED.iter().any(|it| content.starts_with(it)) {
            return self.add_lines(name, &without_passphrase(name, content, ask)?);
        }
        if SSH.iter().any(|it| content.starts_with(it)) {
            let key = ssh::Identity::from_buffer(content, Some(name.to_owned()));
            let key = unlocked(name, key.map_err(|error| bad(name, &error))?, ask)?;
            self.keys.push(Key::Ssh(Box::new(key)));
            return Ok(());
        }
        self.add_lines(name, content)
    }

    /// One key a line; what begins with `#` is for people.
    fn add_lines(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let not_one = || {
            let why = "it is not a key of age or OpenSSH; name another file, or make a key with coffer key new";
            bad(name, &why)
        };
        let text = str::from_utf8(content).map_err(|_bytes| not_one())?;
        let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
        let before = self.keys.len();
        for line in lines {
            // Somebody may have typed it, with spaces and in small letters.
            let typed: String = line.split_whitespace().collect();
            let key = x25519::Identity::from_str(&typed.to_ascii_uppercase());
            let key = key.map_err(|_why| not_one())?;
            self.keys.push(Key::Age(key));
        }
        if self.keys.len() == before { Err(not_one()) } else { Ok(()) }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The public keys that go with them.
    pub fn public_keys(&self) -> Vec<String> {
        let public = |key: &Key| match key {
            Key::Age(key) => key.to_public().to_string(),
            Key::Ssh(key) => ssh::Recipient::try_from(ssh::Identity::clone(key))
                .map_or_else(|_why| "a key of OpenSSH".to_owned(), |it| it.to_string()),
        };
        self.keys.iter().map(public).collect()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &dyn Identity> {
        self.keys.iter().map(|key| -> &dyn Identity {
            match key {
                Key::Age(key) => key,
                Key::Ssh(key) => &**key,
            }
        })
    }
}

fn bad(name: &str, why: &dyn fmt::Display) -> EncryptionError {
    EncryptionError::BadIdentity { file: name.to_owned(), why: why.to_string() }
}

fn unreadable(name: &str, error: &io::Error) -> EncryptionError {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "name the file of a key, or make one with coffer key new",
        io::ErrorKind::PermissionDenied => "run this as its owner",
        _ => "name the file of another key",
    };
    bad(name, &format_args!("{error}; {advice}"))
}

fn passphrase(name: &str, ask: AskPassphrase<'_>) -> Result<SecretString> {
    let nobody = "it is protected by a passphrase, and nobody can be asked for it: run this on a terminal, or give the \
                  passphrase as a line of the standard input";
    ask(name).map(SecretString::from).ok_or_else(|| bad(name, &nobody))
}

fn without_passphrase(name: &str, content: &[u8], ask: AskPassphrase<'_>) -> Result<Vec<u8>> {
    let failed = |error: DecryptError| match error {
        DecryptError::DecryptionFailed => bad(name, &"this is not its passphrase; try again"),
        other => bad(name, &other),
    };
    let decryptor = Decryptor::new(ArmoredReader::new(content)).map_err(failed)?;
    if !decryptor.is_scrypt() {
        let why =
            "it is encrypted to a key, and not with a passphrase; decrypt it first with age -d";
        return Err(bad(name, &why));
    }
    let mut identity = scrypt::Identity::new(passphrase(name, ask)?);
    identity.set_max_work_factor(MOST_WORK);
    let opener: &dyn Identity = &identity;
    let content = decryptor.decrypt(iter::once(opener));
    let mut keys = Vec::new();
    let read = content.map_err(failed)?.take(LONGEST).read_to_end(&mut keys);
    read.map_err(|error| bad(name, &error))?;
    Ok(keys)
}

/// A key of OpenSSH that can be used; its passphrase is asked for.
fn unlocked(name: &str, key: ssh::Identity, ask: AskPassphrase<'_>) -> Result<ssh::Identity> {
    match key {
        ssh::Identity::Encrypted(locked) => {
            let opened = locked.decrypt(passphrase(name, ask)?);
            opened.map(ssh::Identity::from).map_err(|error| bad(name, &error))
        }
        ssh::Identity::Unsupported(_) => {
            Err(bad(name, &"a key of this kind cannot decrypt; use ed25519 or RSA, not on a token"))
        }
        key @ ssh::Identity::Unencrypted(_) => Ok(key),
    }
}

/// A secret key that was just made.
pub struct NewIdentity(x25519::Identity);

impl fmt::Debug for NewIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NewIdentity({})", self.public())
    }
}

impl NewIdentity {
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    pub fn public(&self) -> String {
        self.0.to_public().to_string()
    }

    /// The secret key as a line of text.
    pub fn secret(&self) -> String {
        self.0.to_string().expose_secret().to_owned()
    }
}

/// Protects the content of a key's file with a passphrase, as `age -p` does.
pub fn protect(content: &str, passphrase: String) -> Result<Vec<u8>> {
    let encryptor = Encryptor::with_user_passphrase(SecretString::from(passphrase));
    let mut protected = Vec::new();
    let mut writer = encryptor.wrap_output(&mut protected)?;
    writer.write_all(content.as_bytes())?;
    writer.finish()?;
    Ok(protected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_key_is_an_error_that_repeats_nothing_of_it() {
        let secret = NewIdentity::generate().secret();
        let cut = secret.get(..40).unwrap();
        for content in
            ["", "# only a comment\n", "hunter2", cut, "-----BEGIN OPENSSH PRIVATE KEY-----\nAA"]
        {
            let error = Identities::default().add("k", content.as_bytes(), &|_| None).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("the key k"), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("AGE-SECRET"), "{text}");
        }
    }

    #[test]
    fn keys_are_read_with_and_without_a_passphrase_and_never_shown() {
        let new = NewIdentity::generate();
        let text = format!("# a comment\n\n{}\n", new.secret());
        let protected = protect(&text, "correct horse".to_owned()).unwrap();
        let mut all = Identities::default();
        all.add("plain", text.as_bytes(), &|_| None).unwrap();
        all.add("protected", &protected, &|_| Some("correct horse".to_owned())).unwrap();
        assert_eq!(all.public_keys(), [new.public(), new.public()]);
        assert!(!format!("{all:?} {new:?}").contains("SECRET"));
        for (answer, why) in
            [(None, "nobody can be asked"), (Some("battery"), "not its passphrase")]
        {
            let ask = |_: &str| answer.map(str::to_owned);
            let error = all.add("protected", &protected, &ask).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
