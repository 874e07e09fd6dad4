//! Hashes of passwords: scrypt, with its parameters and a salt beside each, so that these can change.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use scrypt::Params;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::UsersError;

/// 8 MiB for each hash, ten times: as costly to guess as 128 MiB once (OWASP's Password Storage Cheat Sheet has both), in the
/// memory that a small server has.
const LOG_N: u8 = 13;
const R: u32 = 8;
const P: u32 = 10;
/// Bytes of the salt and of the hash.
const SALT: usize = 16;
const HASH: usize = 32;
/// The most memory that a hash in the file may ask for.
const MOST_MEMORY: u64 = 64 << 20;
const MOST_ROUNDS: u32 = 16;

/// Lengths of a password, in bytes.
const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// The hash of a password as it is stored: `$scrypt$ln=13,r=8,p=10$SALT$HASH`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash {
    log_n: u8,
    r: u32,
    p: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl PasswordHash {
    /// Takes a good part of a second.
    pub fn of(password: &str) -> Result<Self, UsersError> {
        if password.len() < SHORTEST {
            return Err(UsersError::BadPassword("a password has at least 8 characters"));
        }
        if password.len() > LONGEST {
            return Err(UsersError::BadPassword("a password has at most 1024 bytes"));
        }
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt)?;
        let empty = Self { log_n: LOG_N, r: R, p: P, salt: salt.to_vec(), hash: vec![0; HASH] };
        let hash = empty.compute(password).map_err(UsersError::Hash)?;
        Ok(Self { hash, ..empty })
    }

    /// Whether it is the hash of this password. Takes as long whatever the answer is.
    pub(super) fn is_of(&self, password: &str) -> Result<bool, UsersError> {
        let hash = self.compute(password).map_err(UsersError::Hash)?;
        Ok(hash.ct_eq(&self.hash).into())
    }

    /// What an unknown user's password is compared with, so that the answer takes as long as a known one's.
    pub(super) fn of_nobody() -> &'static Self {
        static NOBODY: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash {
            log_n: LOG_N,
            r: R,
            p: P,
            salt: vec![0; SALT],
            hash: vec![0; HASH],
        });
        &NOBODY
    }

    fn compute(&self, password: &str) -> Result<Vec<u8>, String> {
        let params =
            Params::new(self.log_n, self.r, self.p, HASH).map_err(|error| error.to_string())?;
        let mut hash = vec![0; self.hash.len()];
        scrypt::scrypt(password.as_bytes(), &self.salt, &params, &mut hash)
            .map_err(|error| error.to_string())?;
        Ok(hash)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$scrypt$")?.split('$');
        let (params, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let mut numbers = params.split(',');
        let log_n = numbers.next()?.strip_prefix("ln=")?.parse().ok()?;
        let r = numbers.next()?.strip_prefix("r=")?.parse().ok()?;
        let p = numbers.next()?.strip_prefix("p=")?.parse().ok()?;
        let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
        let found = Self { log_n, r, p, salt, hash };
        (parts.next().is_none() && numbers.next().is_none() && found.is_reasonable())
            .then_some(found)
    }

    fn is_reasonable(&self) -> bool {
        let memory = 1_u64
            .checked_shl(self.log_n.into())
            .and_then(|n| n.checked_mul(u64::from(self.r).saturating_mul(128)));
        memory.is_some_and(|it| it <= MOST_MEMORY)
            && (1..=MOST_ROUNDS).contains(&self.p)
            && self.r > 0
            && self.log_n > 0
            && self.salt.len() >= 8
            && self.hash.len() == HASH
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
            .ok_or("not the hash of a password; `coffer user password` writes a new one")
    }
}

impl From<PasswordHash> for String {
    fn from(it: PasswordHash) -> Self {
        let PasswordHash { log_n, r, p, .. } = it;
        let [salt, hash] = [it.salt, it.hash].map(|it| STANDARD_NO_PAD.encode(it));
        format!("$scrypt$ln={log_n},r={r},p={p}${salt}${hash}")
    }
}

/// Never shows it.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_right_and_two_hashes_of_it_differ() {
        let [one, other] = [(); 2].map(|()| PasswordHash::of("correct horse").unwrap());
        assert!(one.is_of("correct horse").unwrap());
        assert!(!one.is_of("correct horse ").unwrap());
        assert_ne!(one, other);
        assert!(!PasswordHash::of_nobody().is_of("correct horse").unwrap());
        assert!(PasswordHash::of("short").is_err());
        let text = String::from(one.clone());
        assert!(text.starts_with("$scrypt$ln=13,r=8,p=10$"), "{text}");
        assert_eq!(PasswordHash::try_from(text).unwrap(), one);
        assert!(!format!("{one:?}").contains("ln="));
    }

    /// The first vector of RFC 7914 that has a password, cut to what is stored.
    #[test]
    fn a_hash_is_that_of_the_standard() {
        let salt = STANDARD_NO_PAD.encode("SodiumChloride");
        let hash = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
        let hash = STANDARD_NO_PAD.encode(hex::decode(hash).unwrap());
        let stored = PasswordHash::parse(&format!("$scrypt$ln=14,r=8,p=1${salt}${hash}")).unwrap();
        assert!(stored.is_of("pleaseletmein").unwrap());
    }

    #[test]
    fn a_hash_that_would_take_the_machine_is_none() {
        let good = String::from(PasswordHash::of_nobody().clone());
        assert!(PasswordHash::parse(&good).is_some());
        for (what, other) in [("ln=13", "ln=30"), ("ln=13", "ln=200"), ("r=8", "r=4000000")] {
            assert!(PasswordHash::parse(&good.replace(what, other)).is_none(), "{other}");
        }
        for bad in ["", "$scrypt$", "$argon2$ln=13,r=8,p=10$$", &good.replace("p=10", "p=99")] {
            assert!(PasswordHash::parse(bad).is_none(), "{bad}");
        }
    }
}
