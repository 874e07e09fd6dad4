//! Whose signature under the certificate of a receiver is trusted.

use std::path::PathBuf;

use crate::certificates::{self, CertificateError};

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
        let found = match &self.file {
            None => certificates::of_machine(),
            Some(path) => certificates::in_file(path).map_err(|error| match error {
                CertificateError::Unreadable(reason) => {
                    NotifyError::Unreadable { path: path.clone(), reason }
                }
                wrong => NotifyError::Credential { path: path.clone(), why: wrong.to_string() },
            })?,
        };
        Ok(found.iter().map(|it| it.der().to_vec()).collect())
    }

    /// Whether they can be read.
    pub(super) fn check(&self) -> Result<()> {
        match self.file {
            Some(_) => self.certificates().map(drop),
            None => Ok(()),
        }
    }
}
