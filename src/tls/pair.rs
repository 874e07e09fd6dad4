//! A certificate and the private key that belongs to it.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig};

use super::{Certificate, Result, TlsError, files, provider};

/// What is spoken inside: HTTP/2 is left to proxies.
const HTTP_1_1: &[u8] = b"http/1.1";

/// A certificate and its key, which belong together.
#[derive(Debug)]
pub struct Pair {
    certificate: Certificate,
    key: Arc<CertifiedKey>,
}

impl Pair {
    /// Reads both files.
    pub fn read(certificate: &Path, private_key: &Path) -> Result<Self> {
        let wrong = |why: String| TlsError::Malformed {
            what: files::PRIVATE_KEY,
            path: private_key.to_owned(),
            why,
        };
        let read = Certificate::read(certificate)?;
        let pem = files::private_key(private_key)?;
        // The reason of the library could show a part of the file.
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_reason| {
            wrong("holds no private key that can be used; it has to be a PEM file with one, without a passphrase".to_owned())
        })?;
        let key = CertifiedKey::from_der(read.chain.clone(), key, &provider());
        let key = key.map_err(|error| match error {
            Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: certificate.to_owned(),
                key: private_key.to_owned(),
            },
            error => wrong(format!("cannot be used: {error}")),
        })?;
        Ok(Self { certificate: read, key: Arc::new(key) })
    }

    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// How connections are accepted with it: by TLS 1.2 or 1.3.
    pub fn accepting(&self) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("this provider has both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.key))));
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Arc::new(config)
    }
}
