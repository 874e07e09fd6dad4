//! Errors of encryption.

use std::io;

pub type Result<T, E = EncryptionError> = std::result::Result<T, E>;

/// None of these says anything of a secret key.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum EncryptionError {
    #[error(
        "{text:?} is not a public key that archives can be encrypted to: use one that begins with age1, ssh-ed25519 or ssh-rsa (coffer key show FILE prints that of a key)"
    )]
    BadRecipient { text: String },
    /// The file of a secret key cannot be used.
    #[error("the key {file}: {why}")]
    BadIdentity { file: String, why: String },
    /// It is a fault that the key is missing, not of the archive.
    #[error("it is encrypted, and no key was given: name the file of one with --identity FILE")]
    NoIdentity,
    #[error("it is encrypted to other keys than those that were given ({given})")]
    WrongIdentity { given: String },
    /// Bytes are not those that were written.
    #[error("its encryption is damaged: {0}")]
    Damaged(String),
    #[error("it is signed by {found}, and not by a key that is trusted ({trusted})")]
    WrongSigner { found: String, trusted: String },
    #[error(
        "{text:?} is not a signer, which looks like coffer-signer:4af3… (coffer key signer prints that of a machine)"
    )]
    BadSigner { text: String },
    #[error("encrypting failed: {0}")]
    Failed(String),
    #[error("reading it: {0}")]
    Io(#[from] io::Error),
}

impl EncryptionError {
    /// Whether nothing is wrong but that no key here reads it.
    pub const fn is_about_key(&self) -> bool {
        matches!(self, Self::NoIdentity | Self::WrongIdentity { .. } | Self::BadIdentity { .. })
    }

    /// Whether bytes are known to be others than those that were written.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}
