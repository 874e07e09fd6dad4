//! A bucket, the keys to it, and the names in it.

use std::io;

use parking_lot::Mutex;
use rusty_s3::{Bucket, BucketError, Credentials, UrlStyle};
use ureq::Body;
use ureq::http::Response;
use url::Url;

use crate::domain::Location;
use crate::storage::requests::{About, Content, Ranges, Requests};
use crate::storage::{Result, StorageError};

use super::S3Settings;
use super::signed::Signed;

/// What stands before the location of an archive.
const ARCHIVES: &str = "archives/";

#[derive(Debug)]
pub(super) struct Store {
    pub(super) settings: S3Settings,
    pub(super) bucket: Bucket,
    pub(super) requests: Signed,
    /// Whether it was seen to refuse what does not have the checksum that comes with it.
    pub(super) checks: Mutex<Option<bool>>,
}

impl Store {
    pub(super) fn new(settings: S3Settings) -> Result<Self> {
        let wrong = |why: String| StorageError::Unreachable {
            action: "finding",
            what: format!("the store {}", settings.endpoint),
            why,
        };
        let endpoint: Url = settings
            .endpoint
            .parse()
            .map_err(|error| wrong(format!("its endpoint is not a URL: {error}")))?;
        let style = if settings.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(endpoint, style, settings.bucket.clone(), settings.region.clone());
        let bucket = bucket.map_err(|error| {
            wrong(match error {
                BucketError::UnsupportedScheme => {
                    "its endpoint is neither http nor https".to_owned()
                }
                BucketError::MissingHost => "its endpoint has no host".to_owned(),
                BucketError::ParseError(error) => {
                    format!(
                        "its bucket cannot be part of a host name ({error}); use path_style = true"
                    )
                }
            })
        })?;
        let ca_file = settings.ca_file.as_deref();
        let requests = Requests::new(ca_file, settings.patience, settings.retry_after)?;
        Ok(Self { settings, bucket, requests: Signed::new(requests), checks: Mutex::default() })
    }

    pub(super) fn keys(&self) -> Result<Option<Credentials>> {
        self.settings.keys.read()
    }

    /// `<prefix>/` and what follows, without the prefix if there is none.
    pub(super) fn key(&self, rest: &str) -> String {
        let prefix = self.settings.prefix.trim_matches('/');
        if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") }
    }

    pub(super) fn key_of(&self, location: &Location) -> String {
        self.key(&format!("{ARCHIVES}{location}"))
    }

    pub(super) fn prefix_of_archives(&self) -> String {
        self.key(ARCHIVES)
    }

    /// The name of an object for people.
    pub(super) fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.settings.bucket)
    }
}

impl Ranges for Store {
    fn read_range(
        &self,
        key: &str,
        range: String,
        read: &mut dyn FnMut(Response<Body>) -> io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let what = self.shown(key);
        let about = About { action: "reading", what: &what };
        let keys = self.keys()?;
        let make = || self.bucket.get_object(keys.as_ref(), key);
        self.requests.send_with(about, (&[("range", range)], Content::Nothing), make, read)
    }
}
