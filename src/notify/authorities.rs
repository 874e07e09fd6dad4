//! Whose signature under the certificate of a receiver is trusted.

use std::path::PathBuf;

use rustls_native_certs::load_native_certs;
use ureq::tls::{PemItem, parse_pem};

use super::{NotifyError, Result};

/// The authorities of a file, or else those that this machine trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorities {
    file: Option<PathBuf>,
}

impl Authorities {
    /// Those of this PEM file instead of the machine's.
    pub const fn of(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Their certificates, in DER; none: this machine names no authorities. A file is read for each message, so that a
    /// new one needs no restart.
    pub(super) fn certificates(&self) -> Result<Vec<Vec<u8>>> {
        let Some(path) = &self.file else {
            let found = load_native_certs().certs;
            return Ok(found.iter().map(|it| it.as_ref().to_vec()).collect());
        };
        let wrong = |why: String| NotifyError::Credential { path: path.clone(), why };
        let pem = std::fs::read(path)
            .map_err(|reason| NotifyError::Unreadable { path: path.clone(), reason })?;
        let mut found = Vec::new();
        for item in parse_pem(&pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => found.push(certificate.der().to_vec()),
                Ok(_other) => {}
                Err(error) => return Err(wrong(format!("is not a PEM file: {error}"))),
            }
        }
        if found.is_empty() {
            return Err(wrong("holds no certificate; it has to be a PEM file with one".to_owned()));
        }
        Ok(found)
    }

    /// Whether they can be read.
    pub(super) fn check(&self) -> Result<()> {
        match self.file {
            Some(_) => self.certificates().map(drop),
            None => Ok(()),
        }
    }
}
