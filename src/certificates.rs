//! Certificates of authorities: whose signature under the certificate of a server is trusted.

use std::io;
use std::path::Path;

use rustls_native_certs::load_native_certs;
use ureq::tls::{Certificate, PemItem, parse_pem};

/// Why there are none in a file. The texts go behind its name.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("is not a PEM file: {0}")]
    NotPem(String),
    #[error("holds no certificate; it has to be a PEM file with one")]
    Missing,
}

/// Those in a PEM file: one at least.
pub fn in_file(path: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let pem = std::fs::read(path).map_err(CertificateError::Unreadable)?;
    let items: Result<Vec<_>, _> = parse_pem(&pem).collect();
    let items = items.map_err(|error| CertificateError::NotPem(error.to_string()))?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(CertificateError::Missing);
    }
    Ok(certificates)
}

/// Those that this machine trusts; none, if it names none. Loading them takes a while.
pub fn of_machine() -> Vec<Certificate<'static>> {
    let found = load_native_certs().certs;
    found.iter().map(|it| Certificate::from_der(it).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    fn write(path: &Path, content: &str) {
        std::fs::write(path, content).unwrap();
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(in_file(&path).unwrap_err().to_string().starts_with("cannot be read: "));
        let begin = "-----BEGIN CERTIFICATE-----\n";
        for (content, expected) in [
            ("", "holds no certificate; it has to be a PEM file with one"),
            ("hello", "holds no certificate; it has to be a PEM file with one"),
            (begin, "is not a PEM file: "),
        ] {
            write(&path, content);
            let error = in_file(&path).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{content}: {error}");
        }
        // Whether a certificate can be used shows when it is.
        let made = format!("{begin}AAEC\n-----END CERTIFICATE-----\n");
        write(&path, &made.repeat(2));
        let found = in_file(&path).unwrap();
        assert_eq!(found.iter().map(Certificate::der).collect::<Vec<_>>(), [[0, 1, 2], [0, 1, 2]]);
    }
}
