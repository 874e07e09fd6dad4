//! The head of an age file: to whom it is encrypted, and what its content is encrypted with.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read};
use std::iter;

use age::secrecy::ExposeSecret as _;
use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient};
use age_core::format::{FileKey, Stanza};

use crate::domain::ReadAt;
use crate::domain::num::{saturating_usize, to_u64};

use super::error::{EncryptionError, Result};
use super::identities::Identities;
use super::payload::{FILE_KEY_BYTES, NONCE_BYTES, Payload, sealed_length};
use super::recipients::Recipients;

/// The longest head that is written or read: some hundred recipients.
const LONGEST: u64 = 64 << 10;

/// The head of a file with the key of its content. Whoever has it can read that one file.
pub struct FileHead {
    bytes: Vec<u8>,
    file_key: [u8; FILE_KEY_BYTES],
    payload: Payload,
}

impl fmt::Debug for FileHead {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FileHead").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl FileHead {
    /// The head of a new file, with a key of its own.
    pub fn new(recipients: &Recipients) -> Result<Self> {
        let noted = Noted::default();
        let own: &dyn Recipient = &noted;
        let all = recipients.each().chain(iter::once(own));
        let failed = |error: String| EncryptionError::Failed(error);
        let encryptor =
            Encryptor::with_recipients(all).map_err(|error| failed(error.to_string()))?;
        let mut bytes = Vec::new();
        drop(encryptor.wrap_output(&mut bytes)?);
        let file_key = noted.0.get().ok_or_else(|| failed("there is no key".to_owned()))?;
        if to_u64(bytes.len()) > LONGEST {
            return Err(failed("there are too many recipients".to_owned()));
        }
        Self::with_key(bytes, file_key)
    }

    /// Reads the head of a file, which is opened with one of these keys.
    pub fn read(file: &dyn ReadAt, identities: &Identities) -> Result<Self> {
        if identities.is_empty() {
            return Err(EncryptionError::NoIdentity);
        }
        let mut reader = Recorded { file, bytes: Vec::new() };
        let read = Decryptor::new(&mut reader);
        let decryptor = read.map_err(|error| why_not(error, identities))?;
        let noted = Noting { identities, found: Cell::default() };
        let own: &dyn Identity = &noted;
        let opened = decryptor.decrypt(iter::once(own)).map(drop);
        opened.map_err(|error| why_not(error, identities))?;
        let file_key = noted.found.get().ok_or(EncryptionError::NoIdentity)?;
        Self::with_key(reader.bytes, file_key)
    }

    fn with_key(bytes: Vec<u8>, file_key: [u8; FILE_KEY_BYTES]) -> Result<Self> {
        let nonce = bytes.last_chunk::<NONCE_BYTES>().ok_or_else(cut_short)?;
        let payload = Payload::new(&file_key, nonce)?;
        Ok(Self { bytes, file_key, payload })
    }

    /// What [`Self::from_secret`] makes it from again. A secret: it reads this one file.
    pub fn to_secret(&self) -> Vec<u8> {
        [self.file_key.as_slice(), &self.bytes].concat()
    }

    pub fn from_secret(secret: &[u8]) -> Result<Self> {
        let (file_key, bytes) = secret.split_first_chunk().ok_or_else(cut_short)?;
        Self::with_key(bytes.to_vec(), *file_key)
    }

    /// The bytes that the file begins with.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How long the file is of content of this length.
    pub fn encrypted_length(&self, content: u64) -> u64 {
        self.length().saturating_add(sealed_length(content))
    }

    pub(super) fn length(&self) -> u64 {
        to_u64(self.bytes.len())
    }

    pub(super) const fn payload(&self) -> &Payload {
        &self.payload
    }
}

fn cut_short() -> EncryptionError {
    EncryptionError::Damaged("its head is cut short".to_owned())
}

fn why_not(error: DecryptError, identities: &Identities) -> EncryptionError {
    match error {
        DecryptError::NoMatchingKeys => {
            EncryptionError::WrongIdentity { given: identities.to_string() }
        }
        DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            EncryptionError::Io(error)
        }
        other => EncryptionError::Damaged(format!("its head ({other})")),
    }
}

/// Takes part as a recipient that adds nothing to the file, and notes its key.
#[derive(Default)]
struct Noted(Cell<Option<[u8; FILE_KEY_BYTES]>>);

impl Recipient for Noted {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        self.0.set(Some(*file_key.expose_secret()));
        Ok((Vec::new(), HashSet::new()))
    }
}

/// Opens a file with these keys, and notes its own.
struct Noting<'a> {
    identities: &'a Identities,
    found: Cell<Option<[u8; FILE_KEY_BYTES]>>,
}

impl Identity for Noting<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let opened = self.identities.each().find_map(|key| key.unwrap_stanza(stanza));
        if let Some(Ok(file_key)) = &opened {
            self.found.set(Some(*file_key.expose_secret()));
        }
        opened
    }
}

/// Reads a file from its beginning, and keeps what was read.
struct Recorded<'a> {
    file: &'a dyn ReadAt,
    bytes: Vec<u8>,
}

impl Read for Recorded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = to_u64(self.bytes.len());
        let left = self.file.len().min(LONGEST).saturating_sub(at);
        let length = saturating_usize(left).min(buffer.len());
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        self.file.read_exact_at(buffer, at)?;
        self.bytes.extend_from_slice(buffer);
        Ok(length)
    }
}
