//! Why a certificate or its key cannot be used, and what to do.

use std::io;
use std::path::PathBuf;

use crate::domain::Timestamp;

/// Holds no secret.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum TlsError {
    #[error("{what} {} cannot be read: {source}; {}", path.display(), advice_on(source))]
    Unreadable { what: &'static str, path: PathBuf, source: io::Error },
    /// A name, which is that of a systemd credential, where there are none.
    #[error(
        "{what} {name} is a systemd credential, and this process has none: add LoadCredential={name}:/path to the unit of the \
         server, or give an absolute path"
    )]
    NoCredential { what: &'static str, name: String },
    #[error(
        "the private key {} can be read or changed by others (mode {mode:04o}): chmod 600 {}, and give it to the user that \
         runs Coffer", path.display(), path.display()
    )]
    Open { path: PathBuf, mode: u32 },
    #[error("{what} {} {why}", path.display())]
    Malformed { what: &'static str, path: PathBuf, why: String },
    #[error(
        "the private key {} does not belong to the certificate {}: give the two that were issued together",
        key.display(), certificate.display()
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the certificate {} ended on {} UTC: renew it", path.display(), at.to_wire())]
    Ended { path: PathBuf, at: Timestamp },
    #[error(
        "the certificate {} holds from {} UTC on, which is not yet: is the clock right?",
        path.display(), at.to_wire()
    )]
    NotYet { path: PathBuf, at: Timestamp },
}

/// What to do about a file that cannot be read.
fn advice_on(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "give it to the user that runs Coffer",
        io::ErrorKind::NotFound => "is its path right?",
        _ => "it has to be a PEM file",
    }
}
