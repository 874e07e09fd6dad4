//! Signatures: who wrote an archive. Anybody can encrypt to a public key, and whoever holds a bucket can put what he likes
//! there; the key that signs lies only on the machine that makes the backups.
//!
//! Ed25519, of which a machine makes one key for all of its archives. Its public key is in each archive, so that it is seen
//! when it is another one, and on the recovery sheet, so that it can be trusted.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::error::{EncryptionError, Result};

/// What is put before everything that is signed, so that a signature of something else is none of an archive.
const CONTEXT: &[u8] = b"coffer archive 1\n";

const PUBLIC_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// How public keys are written.
const PREFIX: &str = "coffer-signer:";

/// The secret key of one machine.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SigningKey({})", self.public())
    }
}

impl SigningKey {
    /// The key of these random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        let pair = pair.map_err(|why| EncryptionError::Failed(format!("no signing key: {why}")))?;
        Ok(Self(pair))
    }

    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_BYTES];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs what identifies an archive with all that it holds.
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let signed = self.0.sign(&message(digest));
        let mut signature = [0; SIGNATURE_BYTES];
        signature.copy_from_slice(signed.as_ref());
        Signature { by: self.public(), signature }
    }
}

fn message(digest: &[u8; 32]) -> Vec<u8> {
    [CONTEXT, digest].concat()
}

/// By which a machine's archives are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}", hex::encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = EncryptionError;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = text.trim().strip_prefix(PREFIX).and_then(|it| hex::decode(it).ok());
        let bytes = bytes.and_then(|it| it.try_into().ok()).map(Self);
        bytes.ok_or_else(|| EncryptionError::BadSigner { text: text.chars().take(100).collect() })
    }
}

/// A signature, and whose it says to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    pub by: PublicKey,
    signature: [u8; SIGNATURE_BYTES],
}

impl Signature {
    /// How many bytes it takes.
    pub const BYTES: usize = PUBLIC_BYTES + SIGNATURE_BYTES;

    pub fn to_bytes(&self) -> Vec<u8> {
        [self.by.0.as_slice(), &self.signature].concat()
    }

    /// `None`: these bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (by, rest) = bytes.split_first_chunk()?;
        Some(Self { by: PublicKey(*by), signature: rest.try_into().ok()? })
    }

    /// Whether the holder of that key signed this.
    pub fn is_of(&self, digest: &[u8; 32]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.by.0);
        key.verify(&message(digest), &self.signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_digest_by_one_key_and_a_bit_more_or_less_breaks_it() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let signature = key.sign(&[1; 32]);
        assert!(signature.is_of(&[1; 32]) && !signature.is_of(&[2; 32]));
        let bytes = signature.to_bytes();
        assert_eq!(Signature::from_bytes(&bytes), Some(signature));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!Signature::from_bytes(&other).unwrap().is_of(&[1; 32]), "{bit}");
        }
        let text = key.public().to_string();
        assert_eq!(text.parse::<PublicKey>().unwrap(), key.public());
        assert!(!format!("{key:?}").contains(&hex::encode([7; 32])));
    }
}
