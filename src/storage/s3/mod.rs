//! A bucket of an S3-compatible store as a place for copies: `<prefix>/archives/<location>`, and `<prefix>/owner.id`, which
//! says which data directory copies there.
//!
//! Uploads are made with `If-None-Match: *`, so that nothing is replaced, and with the SHA-256 of each part, which a
//! store compares with what arrives.

mod answer;
mod credentials;
mod fleet;
mod listing;
mod lock;
mod owner;
mod rules;
mod signed;
mod store;
mod sweep;
mod trial;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusty_s3::actions::CreateMultipartUpload;
use uuid::Uuid;

use crate::domain::{BackupId, Location, ReadAt, SentPart, Timestamp};

use super::owner::{Owned as _, claim, content_of};
use super::requests::{self, About, Content, Object};
use super::{Observation, Place, Result, StorageError, StoredArchive, Upload, UploadPlan, Vouched};

use store::Store;
use upload::{S3Upload, SINGLE};

pub use credentials::KeySource;

/// Which bucket, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    pub name: String,
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub prefix: String,
    /// `https://host/bucket/…` and not `https://bucket.host/…`.
    pub path_style: bool,
    /// Certificates to trust, instead of those that browsers do.
    pub ca_file: Option<PathBuf>,
    pub keys: KeySource,
    /// Whether copies are to be locked, so that trying it out looks whether the bucket can do that.
    pub locks: bool,
    /// How long the store may take for the next piece of an answer.
    pub patience: Duration,
    /// How long after a first failure a request is sent again; longer after each further one.
    pub retry_after: Duration,
}

impl S3Settings {
    /// How long a store may be silent, unless set otherwise.
    pub const PATIENCE: Duration = requests::PATIENCE;
    /// How long after a failure a request is sent again, unless set otherwise.
    pub const RETRY_AFTER: Duration = requests::RETRY_AFTER;
}

/// A place in a bucket. Clones share it.
#[derive(Debug, Clone)]
pub struct S3(Arc<Store>);

impl S3 {
    /// Connects to nothing yet.
    pub fn new(settings: S3Settings) -> Result<Self> {
        Store::new(settings).map(|store| Self(Arc::new(store)))
    }
}

impl Place for S3 {
    fn name(&self) -> &str {
        &self.0.settings.name
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        let key = self.0.key_of(location);
        match self.0.head(&key, &[])? {
            Some(head) => Ok(Arc::new(Object::new(Arc::clone(&self.0), key, head.bytes))),
            None => Err(StorageError::NotFound { what: self.0.shown(&key) }),
        }
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>> {
        let found = self.0.head(&self.0.key_of(location), &[])?;
        Ok(found.map(|head| StoredArchive {
            location: location.clone(),
            bytes: head.bytes,
            proven_hint: None,
        }))
    }

    fn list(&self) -> Result<Vec<StoredArchive>> {
        self.0.list()
    }

    fn remove(&self, location: &Location) -> Result<()> {
        self.0.delete(&self.0.key_of(location))
    }

    fn lock(&self, location: &Location, until: Timestamp) -> Result<()> {
        lock::extend(&self.0, &self.0.key_of(location), until)
    }

    fn begin(&self, plan: &UploadPlan) -> Result<String> {
        if upload::is_single(plan) {
            return Ok(SINGLE.to_owned());
        }
        let key = self.0.key_of(&plan.location);
        let what = self.0.shown(&key);
        let about = About { action: "beginning the upload of", what: &what };
        let keys = self.0.keys()?;
        let mut headers = vec![("x-amz-checksum-algorithm", "SHA256".to_owned())];
        headers.extend(plan.locked_until.into_iter().flat_map(lock::headers));
        let make = || self.0.bucket.create_multipart_upload(keys.as_ref(), &key);
        let answer = self.0.requests.send(about, &headers, Content::Bytes(&[]), make)?;
        let parsed = CreateMultipartUpload::parse_response(answer.text());
        let parsed = parsed.map_err(|_other| about.unclear("the answer cannot be read"))?;
        Ok(parsed.upload_id().to_owned())
    }

    fn resume(
        &self,
        plan: &UploadPlan,
        upload: &str,
        sent: Vec<SentPart>,
    ) -> Result<Box<dyn Upload>> {
        if upload == SINGLE && !sent.is_empty() {
            // Nothing of it had arrived.
            return Err(StorageError::NotFound {
                what: format!("the upload of {}", plan.location),
            });
        }
        Ok(Box::new(S3Upload::new(Arc::clone(&self.0), plan.clone(), upload, sent)))
    }

    fn abort(&self, plan: &UploadPlan, upload: &str) -> Result<()> {
        if upload == SINGLE {
            return Ok(());
        }
        sweep::abort(&self.0, &self.0.key_of(&plan.location), upload)
    }

    fn sweep(&self, known: &[(BackupId, String)], before: Timestamp) -> Result<usize> {
        sweep::run(&self.0, known, before)
    }

    fn checksum(&self, plan: &UploadPlan, parts: &[SentPart]) -> Result<Option<Vouched>> {
        self.0.checksum(plan, parts)
    }

    fn try_out(&self) -> Result<Vec<Observation>> {
        trial::run(&self.0)
    }

    fn reach(&self) -> Result<()> {
        self.0.reach()
    }

    fn owner(&self) -> Result<Option<Uuid>> {
        self.0.owner()
    }

    fn claim(&self, owner: Uuid) -> Result<()> {
        claim(&*self.0, owner)
    }

    fn take_over(&self, owner: Uuid) -> Result<()> {
        owner::put(&self.0, &content_of(owner), &[])
    }

    fn identity(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn establish(&self) -> Result<Option<String>> {
        Ok(None)
    }
}
