//! Which certificates are trusted.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{RootCerts, TlsConfig};

use crate::certificates::{self, CertificateError};
use crate::storage::{Result, StorageError};

/// Those in this file, or, without one, those that browsers trust.
pub(super) fn config(ca_file: Option<&Path>) -> Result<TlsConfig> {
    let builder = TlsConfig::builder();
    let Some(path) = ca_file else { return Ok(builder.build()) };
    let found = certificates::in_file(path).map_err(|error| StorageError::Io {
        action: "reading the certificates in",
        what: path.display().to_string(),
        source: match error {
            CertificateError::Unreadable(source) => source,
            other => Error::new(ErrorKind::InvalidData, format!("the file {other}")),
        },
    })?;
    Ok(builder.root_certs(RootCerts::Specific(Arc::new(found))).build())
}
