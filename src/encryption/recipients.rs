//! Public keys that archives are encrypted to.

use std::fmt;
use std::str::FromStr as _;

use age::{Recipient, ssh, x25519};

use super::error::{EncryptionError, Result};

/// One or more public keys; whoever has the secret one of any of them can read.
#[derive(Clone)]
pub struct Recipients {
    keys: Vec<Key>,
    texts: Vec<String>,
}

#[derive(Clone)]
enum Key {
    Age(x25519::Recipient),
    Ssh(ssh::Recipient),
}

impl fmt::Debug for Recipients {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Recipients").field(&self.texts).finish()
    }
}

impl PartialEq for Recipients {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Recipients {
    /// Reads public keys: `age1…`, or as in `~/.ssh/id_ed25519.pub`. `None`: there are none. One that cannot be used is an
    /// error.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Option<Self>> {
        let keys = texts.iter().map(|it| Key::parse(it.as_ref())).collect::<Result<Vec<_>>>()?;
        let texts = texts.iter().map(|it| shortened(it.as_ref())).collect();
        Ok((!keys.is_empty()).then_some(Self { keys, texts }))
    }

    /// The public keys, without comments.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &dyn Recipient> {
        self.keys.iter().map(Key::as_recipient)
    }
}

impl Key {
    fn as_recipient(&self) -> &dyn Recipient {
        match self {
            Self::Age(key) => key,
            Self::Ssh(key) => key,
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Ok(key) = x25519::Recipient::from_str(text) {
            return Ok(Self::Age(key));
        }
        // A secret key that was put there by mistake is not to be repeated.
        let is_secret = text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY");
        let shown = if is_secret { "AGE-SECRET-KEY…" } else { text };
        let bad = EncryptionError::BadRecipient { text: shown.chars().take(100).collect() };
        match ssh::Recipient::from_str(text) {
            Ok(key) => Ok(Self::Ssh(key)),
            Err(_other) => Err(bad),
        }
    }
}

/// A public key without the comment of `ssh-keygen`.
fn shortened(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_public_key_is_an_error_that_repeats_no_secret() {
        assert!(Recipients::parse::<&str>(&[]).unwrap().is_none());
        for bad in ["", "age1", "ssh-dss AAAA", "nobody@example.org", "age1pq1xyz"] {
            let error = Recipients::parse(&[bad]).unwrap_err().to_string();
            assert!(error.contains("is not a public key"), "{error}");
        }
        let secret = "AGE-SECRET-KEY-1QQQQQQQQQQQQ";
        assert!(!Recipients::parse(&[secret]).unwrap_err().to_string().contains("1QQQ"));
    }
}
