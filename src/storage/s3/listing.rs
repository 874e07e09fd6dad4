//! What is in a bucket.

use rusty_s3::actions::ListObjectsV2;

use crate::domain::{Location, SentPart, Timestamp};
use crate::storage::requests::{About, Content, Refusal};
use crate::storage::{Result, StorageError, StoredArchive, UploadPlan, Vouched};

use super::store::Store;
use super::{trial, upload};

/// What the store says of an object.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: u64,
    /// The SHA-256 that it has of it.
    pub(super) checksum: Option<String>,
    /// Until then it is locked.
    pub(super) locked_until: Option<Timestamp>,
}

/// Behind what a page of keys begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind<'a> {
    /// What the page before ended with, as the store calls it.
    Page(&'a str),
    /// A key.
    Key(&'a str),
}

/// Keys with their lengths, and what the next page is asked for with.
type Page = (Vec<(String, u64)>, Option<String>);

impl Store {
    /// The object of this key; `None`: there certainly is none.
    pub(super) fn head(
        &self,
        key: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Option<Head>> {
        let what = self.shown(key);
        let about = About { action: "finding", what: &what };
        let keys = self.keys()?;
        let make = || self.bucket.head_object(keys.as_ref(), key);
        match self.requests.send(about, headers, Content::Nothing, make) {
            Ok(answer) => {
                let bytes = answer.header("content-length").and_then(|it| it.parse().ok());
                let bytes = bytes.ok_or_else(|| about.unclear("the answer has no length"))?;
                let checksum = answer.header("x-amz-checksum-sha256").map(str::to_owned);
                let until = answer.header("x-amz-object-lock-retain-until-date");
                let locked_until = until.and_then(|it| it.parse().ok());
                Ok(Some(Head { bytes, checksum, locked_until }))
            }
            Err(error) if error.is_not_found() => {
                // An answer to HEAD has no body that would tell a missing object from a missing bucket.
                self.page(key, None, 1)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn delete(&self, key: &str) -> Result<()> {
        let what = self.shown(key);
        let about = About { action: "removing", what: &what };
        let keys = self.keys()?;
        let make = || self.bucket.delete_object(keys.as_ref(), key);
        match self.requests.send(about, &[], Content::Nothing, make) {
            Err(error) if error.is_not_found() => Ok(()),
            done => done.map(drop),
        }
    }

    /// Every archive, in order of location.
    pub(super) fn list(&self) -> Result<Vec<StoredArchive>> {
        let prefix = self.prefix_of_archives();
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let (page, following) = self.page(&prefix, next.as_deref().map(Behind::Page), 1000)?;
            for (key, bytes) in page {
                let location = key.strip_prefix(&prefix).and_then(|it| it.parse::<Location>().ok());
                found.extend(location.map(|location| StoredArchive {
                    location,
                    bytes,
                    proven_hint: None,
                }));
            }
            if following.is_none() || following == next {
                break;
            }
            next = following;
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Lists next to nothing, to see whether that works.
    pub(super) fn reach(&self) -> Result<()> {
        self.page(&self.prefix_of_archives(), None, 1).map(drop)
    }

    /// A page of the keys that begin so with their lengths, and what the next page is asked for with.
    pub(super) fn page(
        &self,
        prefix: &str,
        behind: Option<Behind<'_>>,
        most: usize,
    ) -> Result<Page> {
        let what = self.shown(prefix);
        let about = About { action: "listing", what: &what };
        let keys = self.keys()?;
        let make = || {
            let mut list = self.bucket.list_objects_v2(keys.as_ref());
            list.with_prefix(prefix);
            list.with_max_keys(most);
            match behind {
                Some(Behind::Page(next)) => list.with_continuation_token(next),
                Some(Behind::Key(key)) => list.with_start_after(key),
                None => {}
            }
            list
        };
        let answer = self.requests.send(about, &[], Content::Nothing, make);
        let answer = match answer {
            // There is no object in a list that could be missing.
            Err(StorageError::NotFound { .. }) => return Err(about.refused(Refusal::NoBucket)),
            answer => answer?,
        };
        let parsed = ListObjectsV2::parse_response(answer.text());
        let parsed = parsed.map_err(|_other| about.unclear("the answer cannot be read"))?;
        let rows = parsed.contents.into_iter().map(|it| (it.key, it.size.unwrap_or(0)));
        Ok((rows.collect(), parsed.next_continuation_token))
    }

    /// What the store vouches for, if it was seen to compare checksums.
    pub(super) fn checksum(
        &self,
        plan: &UploadPlan,
        parts: &[SentPart],
    ) -> Result<Option<Vouched>> {
        if !trial::compares_checksums(self)? {
            return Ok(None);
        }
        let key = self.key_of(&plan.location);
        let headers = [("x-amz-checksum-mode", "ENABLED".to_owned())];
        let Some(head) = self.head(&key, &headers)? else {
            return Err(StorageError::NotFound { what: self.shown(&key) });
        };
        let Some(checksum) = head.checksum else { return Ok(None) };
        let same = head.bytes == plan.bytes
            && checksum == upload::checksum_of(parts, upload::is_single(plan));
        Ok(Some(if same { Vouched::Same } else { Vouched::Other }))
    }
}
