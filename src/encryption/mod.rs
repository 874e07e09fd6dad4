//! Encryption of archives with [age](https://age-encryption.org/v1), around the whole file: `age -d FILE.age` gives back the
//! archive, byte for byte. Whoever encrypts needs public keys only.
//!
//! The `age` crate reads keys, and makes and opens the head of a file, which holds the file's own key encrypted to each
//! recipient. The content behind the head is done here (`payload`), for two reasons: archives are read by ranges and
//! by several threads, and an upload that was broken off has to go on with the same bytes. Tests hold it to the `age` crate
//! and to the `age` command.
//!
//! A file that says to be for a key proves nothing of who made it, because public keys are public. That is what
//! `signing` is for.

mod decrypted;
mod decryptor;
mod encrypted;
mod encryptor;
mod error;
mod head;
mod identities;
mod payload;
mod recipients;
mod signers;
mod signing;

pub use decrypted::{Decrypted, is_encrypted, open};
pub use decryptor::Decryptor;
pub use encrypted::Encrypted;
pub use encryptor::Encryptor;
pub use error::{EncryptionError, Result};
pub use head::FileHead;
pub use identities::{AskPassphrase, Identities, NewIdentity, protect};
pub use recipients::Recipients;
pub use signers::{Keys, Signers};
pub use signing::{PublicKey, Signature, SigningKey};
