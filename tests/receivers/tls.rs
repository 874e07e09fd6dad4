//! Connections of receivers: plain, or by TLS with a certificate that only a test trusts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection.
pub(crate) trait Connection: Read + Write + Send {}

impl<C: Read + Write + Send> Connection for C {}

/// An authority that nobody else trusts, and a certificate of it for 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Authority(tempfile::TempDir);

const NEW_KEY: &str = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

impl Authority {
    pub(crate) fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.write("server.ext", "subjectAltName=IP:127.0.0.1");
        for line in [
            "-keyout ca.key -x509 -days 2 -subj /CN=authority -out ca.crt",
            "-keyout server.key -subj /CN=receiver -out server.csr",
        ] {
            made.openssl(&format!("{NEW_KEY} {line}"));
        }
        made.openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 2 -extfile server.ext -out server.crt",
        );
        made
    }

    #[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(self.0.path()).output();
        let output = output.expect("openssl is installed: tests/run.sh installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// `ca.crt` is the certificate of the authority.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new key for 127.0.0.1 and `backup.example.org`, and its certificate, which holds from one moment (`20260101000000Z`) to
    /// the other.
    pub(crate) fn issue(&self, (certificate, key): (&Path, &Path), (from, to): (&str, &str)) {
        self.write("names.ext", "subjectAltName=IP:127.0.0.1,DNS:backup.example.org");
        self.write("issued", "");
        self.write("ca.conf", "[ca]\ndefault_ca=all\n[all]\ndatabase=issued\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\nrand_serial=yes\n[any]\n");
        let (certificate, key) = (certificate.display(), key.display());
        self.openssl(&format!("{NEW_KEY} -keyout {key} -subj /CN=server -out new.csr"));
        self.openssl(&format!(
            "ca -batch -notext -config ca.conf -cert ca.crt -keyfile ca.key -extfile names.ext -in new.csr -out {certificate} \
             -startdate {from} -enddate {to}"
        ));
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let certificates = CertificateDer::pem_file_iter(self.file("server.crt")).unwrap();
        let certificates = certificates.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key);
        Arc::new(config.unwrap())
    }
}

/// The same connection, encrypted.
pub(crate) fn encrypted<C: Connection + 'static>(
    config: &Arc<ServerConfig>,
    connection: C,
) -> Box<dyn Connection> {
    let server = ServerConnection::new(Arc::clone(config)).unwrap();
    Box::new(StreamOwned::new(server, connection))
}

/// By TLS if there is a configuration for it.
pub(crate) fn accepted(
    config: Option<&Arc<ServerConfig>>,
    stream: TcpStream,
) -> Box<dyn Connection> {
    match config {
        Some(config) => encrypted(config, stream),
        None => Box::new(stream),
    }
}
