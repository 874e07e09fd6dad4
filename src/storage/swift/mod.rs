//! A container of OpenStack Swift as a place for copies.
//!
//! ```text
//! <prefix>/archives/<location>        copies
//!          owner.id                   which data directory copies there
//!          segments/<token>/<number>  the parts of a copy that has several, which its manifest names
//!          uploads/<token>/<location> an upload of several parts that was begun
//! ```
//!
//! An archive appears by one request with `If-None-Match: *`, so that nothing is replaced: itself, or the manifest of
//! a static large object, for which Swift compares the length and the MD5 of each part. MD5 is no proof of anything
//! but accidents, so nothing that Swift says of a copy is taken for one: each is read back.

mod fleet;
mod listing;
mod login;
mod name;
mod owner;
mod session;
mod store;
mod sweep;
mod trial;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::{BackupId, Location, ReadAt, SentPart, Timestamp};

use super::owner::{OWNER_ID, Owned as _, claim, content_of};
use super::requests::{self, Object};
use super::{Observation, Place, Result, StorageError, StoredArchive, Upload, UploadPlan, Vouched};

use store::Store;
use upload::{SINGLE, SwiftUpload};

pub use login::LoginSource;

/// The most parts that a manifest may name, unless the store is set up otherwise.
const MOST_PARTS: u64 = 1000;

/// Which container, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwiftSettings {
    pub name: String,
    /// Who gives out tokens: Keystone, or a store's own `/auth/v1.0`.
    pub auth_url: String,
    /// Which of the stores that Keystone knows; `None`: the first.
    pub region: Option<String>,
    pub container: String,
    pub prefix: String,
    /// Certificates to trust, instead of those that browsers do.
    pub ca_file: Option<PathBuf>,
    pub login: LoginSource,
    /// How long the store may take for the next piece of an answer.
    pub patience: Duration,
    /// How long after a first failure a request is sent again; longer after each further one.
    pub retry_after: Duration,
}

impl SwiftSettings {
    /// How long a store may be silent, unless set otherwise.
    pub const PATIENCE: Duration = requests::PATIENCE;
    /// How long after a failure a request is sent again, unless set otherwise.
    pub const RETRY_AFTER: Duration = requests::RETRY_AFTER;
}

/// A place in a container. Clones share it.
#[derive(Debug, Clone)]
pub struct Swift(Arc<Store>);

impl Swift {
    /// Connects to nothing yet.
    pub fn new(settings: SwiftSettings) -> Result<Self> {
        Store::new(settings).map(|store| Self(Arc::new(store)))
    }
}

impl Place for Swift {
    fn name(&self) -> &str {
        &self.0.settings.name
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        let key = self.0.key_of(location);
        match self.0.head(&key)? {
            Some(head) => Ok(Arc::new(Object::new(Arc::clone(&self.0), key, head.bytes))),
            None => Err(StorageError::NotFound { what: self.0.shown(&key) }),
        }
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>> {
        let found = self.0.head(&self.0.key_of(location))?;
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
        self.0.remove(&self.0.key_of(location))
    }

    fn most_parts(&self) -> u64 {
        MOST_PARTS
    }

    fn begin(&self, plan: &UploadPlan) -> Result<String> {
        if plan.parts() == 1 {
            return Ok(SINGLE.to_owned());
        }
        let upload = format!("{}/{}", Uuid::new_v4().simple(), plan.location);
        let key = self.0.key_of_upload(&upload);
        upload::put_own(&self.0, "beginning the upload of", &key, b"")?;
        Ok(upload)
    }

    fn resume(
        &self,
        plan: &UploadPlan,
        upload: &str,
        sent: Vec<SentPart>,
    ) -> Result<Box<dyn Upload>> {
        let is_gone = || match upload {
            // Nothing of it had arrived.
            SINGLE => Ok(true),
            upload => self.0.head(&self.0.key_of_upload(upload)).map(|found| found.is_none()),
        };
        if !sent.is_empty() && is_gone()? {
            return Err(StorageError::NotFound {
                what: format!("the upload of {}", plan.location),
            });
        }
        Ok(Box::new(SwiftUpload::new(Arc::clone(&self.0), plan.clone(), upload, sent)))
    }

    fn abort(&self, _plan: &UploadPlan, upload: &str) -> Result<()> {
        if upload == SINGLE {
            return Ok(());
        }
        sweep::give_up(&self.0, upload).map(drop)
    }

    fn sweep(&self, known: &[(BackupId, String)], before: Timestamp) -> Result<usize> {
        sweep::run(&self.0, known, before)
    }

    fn checksum(&self, _plan: &UploadPlan, _parts: &[SentPart]) -> Result<Option<Vouched>> {
        Ok(None)
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
        upload::put_own(&self.0, "writing", &self.0.key(OWNER_ID), &content_of(owner))
    }

    fn identity(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn establish(&self) -> Result<Option<String>> {
        Ok(None)
    }
}
