//! Which certificates are trusted.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::storage::{Result, StorageError};

/// Those in this file, or, without one, those that browsers trust.
pub(super) fn config(ca_file: Option<&Path>) -> Result<TlsConfig> {
    let builder = TlsConfig::builder();
    let Some(path) = ca_file else { return Ok(builder.build()) };
    let failed = |source| StorageError::Io {
        action: "reading the certificates in",
        what: path.display().to_string(),
        source,
    };
    let pem = std::fs::read(path).map_err(failed)?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_other) => None,
        Err(error) => Some(Err(io::Error::other(error.to_string()))),
    });
    let certificates = certificates.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    if certificates.is_empty() {
        let why = "there is none in it; it has to be a PEM file";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    Ok(builder.root_certs(RootCerts::Specific(Arc::new(certificates))).build())
}
