//! A certificate with those that lead from it to an authority.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::domain::Timestamp;

use super::{Result, TlsError, files};

/// Fewer days that are left are worth a warning.
const SOON_DAYS: u64 = 14;

/// Beyond the last year that a certificate can name.
const END_OF_TIME_S: u64 = 300_000_000_000;

/// A certificate, of which nobody has checked who signed it: that is for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    path: PathBuf,
    pub(super) chain: Vec<CertificateDer<'static>>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    /// The first one of a PEM file, with the others.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |why: String| TlsError::Malformed {
            what: files::CERTIFICATE,
            path: path.to_owned(),
            why,
        };
        let pem = files::certificate(path)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| wrong(format!("is not a PEM file: {error}")))?;
        let Some(leaf) = chain.first() else {
            return Err(wrong("holds no certificate; it has to be a PEM file with one".to_owned()));
        };
        let (not_before, not_after) =
            dates(leaf).map_err(|error| wrong(format!("cannot be used: {error}")))?;
        Ok(Self { path: path.to_owned(), chain, not_before, not_after })
    }

    /// The certificate itself.
    pub(super) fn leaf(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("one was read")
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// An error if it holds no longer, or not yet.
    pub fn require_holds(&self, now: Timestamp) -> Result<()> {
        let path = || self.path.clone();
        if now > self.not_after {
            return Err(TlsError::Ended { path: path(), at: self.not_after });
        }
        if now < self.not_before {
            return Err(TlsError::NotYet { path: path(), at: self.not_before });
        }
        Ok(())
    }

    /// That it has ended, or will within two weeks. What renews it by itself does so before, a month or a third of its time.
    pub fn why_renew(&self, now: Timestamp) -> Option<String> {
        let (file, end) = (self.path.display(), self.not_after.to_wire());
        if let Err(error) = self.require_holds(now) {
            return Some(format!("clients refuse to connect: {error}"));
        }
        let days = self.days_left(now);
        (days < SOON_DAYS).then(|| {
            format!("the certificate {file} ends in {days} days, on {end} UTC; clients refuse to connect then")
        })
    }

    /// Whole days until it ends; none once it has.
    pub fn days_left(&self, now: Timestamp) -> u64 {
        now.until(self.not_after).as_secs() / (24 * 3600)
    }

    /// Whether it is for this name or address.
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (Ok(name), Ok(leaf)) =
            (ServerName::try_from(host), EndEntityCert::try_from(self.leaf()))
        else {
            return false;
        };
        leaf.verify_is_valid_for_subject_name(&name).is_ok()
    }

    /// The names that it is for; addresses are not among them.
    pub fn names(&self) -> Vec<String> {
        let leaf = EndEntityCert::try_from(self.leaf());
        leaf.map(|it| it.valid_dns_names().map(str::to_owned).collect()).unwrap_or_default()
    }
}

/// From when to when it holds. The library says so of a moment at which it does not, before it checks anything else.
fn dates(leaf: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), Error> {
    let parsed = EndEntityCert::try_from(leaf)?;
    let at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = KeyUsage::server_auth();
        parsed.verify_for_usage(&[], &[], &[], time, usage, None, None).err()
    };
    let not_before = match at(0) {
        Some(Error::CertNotValidYet { not_before, .. }) => not_before.as_secs(),
        Some(error @ Error::InvalidCertValidity) => return Err(error),
        _ => 0,
    };
    let not_after = match at(END_OF_TIME_S) {
        Some(Error::CertExpired { not_after, .. }) => not_after.as_secs(),
        other => return Err(other.unwrap_or(Error::BadDer)),
    };
    let stamp = |seconds| Timestamp::from_micros(0).plus(Duration::from_secs(seconds));
    Ok((stamp(not_before), stamp(not_after)))
}
