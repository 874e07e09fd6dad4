//! Whose signatures are trusted.

use std::sync::Arc;

use super::error::{EncryptionError, Result};
use super::identities::Identities;
use super::signing::{PublicKey, Signature};

/// Those whose archives are taken; none: those of anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers(Vec<PublicKey>);

/// What foreign archives are read with: the keys that decrypt them, and whose they may be.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the types say what the fields are")]
pub struct Keys {
    pub identities: Arc<Identities>,
    pub signers: Signers,
}

impl Signers {
    /// Only these.
    pub fn only(keys: &[PublicKey]) -> Self {
        Self(keys.to_vec())
    }

    /// Public keys, as [`PublicKey`] is written.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self> {
        texts.iter().map(|it| it.as_ref().parse()).collect::<Result<_>>().map(Self)
    }

    /// The same, and this one if there are any: without any, everybody's archives are taken already.
    #[must_use]
    pub fn and_own(mut self, own: Option<PublicKey>) -> Self {
        if !self.0.is_empty() {
            self.0.extend(own);
        }
        self
    }

    /// Fails unless an archive is by somebody who is trusted: `found` is what was signed and the signature, if there is one.
    /// Returns whose it is.
    pub fn require(&self, found: Option<(&[u8; 32], &[u8])>) -> Result<Option<PublicKey>> {
        let forged =
            || EncryptionError::Damaged("its signature is not that of its content".to_owned());
        let signer = match found {
            None => None,
            Some((digest, bytes)) => {
                let signature = Signature::from_bytes(bytes).filter(|it| it.is_of(digest));
                Some(signature.ok_or_else(forged)?.by)
            }
        };
        if self.0.is_empty() || signer.is_some_and(|it| self.0.contains(&it)) {
            return Ok(signer);
        }
        let trusted: Vec<_> = self.0.iter().map(PublicKey::to_string).collect();
        Err(EncryptionError::WrongSigner {
            found: signer.map_or_else(|| "nobody".to_owned(), |it| it.to_string()),
            trusted: trusted.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::signing::SigningKey;
    use super::*;

    #[test]
    fn only_those_who_are_trusted_are_taken_and_a_forged_signature_never_is() {
        let key = |seed| SigningKey::from_seed(&[seed; 32]).unwrap();
        let (own, other) = (key(1), key(2));
        let trusting = Signers::parse(&[own.public().to_string()]).unwrap();
        let digest = [7; 32];
        let by = |key: &SigningKey| key.sign(&digest).to_bytes();
        let (mine, theirs) = (by(&own), by(&other));
        let mut forged = mine.clone();
        forged[40] ^= 1;
        let anybody = Signers::default();
        assert_eq!(trusting.require(Some((&digest, &mine))).unwrap(), Some(own.public()));
        assert_eq!(anybody.require(Some((&digest, &theirs))).unwrap(), Some(other.public()));
        assert_eq!(anybody.require(None).unwrap(), None);
        let refused = |found| trusting.require(found).unwrap_err().to_string();
        assert!(refused(Some((&digest, &theirs))).contains("not by a key that is trusted"));
        assert!(refused(None).contains("signed by nobody"));
        for signers in [&trusting, &anybody] {
            assert!(signers.require(Some((&digest, &forged))).unwrap_err().is_damage());
            assert!(signers.require(Some((&[8; 32], &mine))).unwrap_err().is_damage());
            assert!(signers.require(Some((&digest, b"short"))).unwrap_err().is_damage());
        }
    }
}
