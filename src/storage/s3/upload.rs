//! Uploads: one request for a small archive, equal parts for others.

use std::fmt::Write as _;
use std::iter;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use crate::domain::num::saturating_u32;
use crate::domain::{ReadAt, SentPart};
use crate::storage::requests::{About, Content, Refusal, piece_reader};
use crate::storage::{Result, StorageError, Upload, UploadPlan};

use super::answer::element;
use super::lock;
use super::signed::{checksum_header, checksum_headers};
use super::store::Store;

/// What an upload of one part is called: nothing of it is at the store before its commit.
pub(super) const SINGLE: &str = "put";
/// Behind the tag of a part whose checksum the store has taken note of.
const NOTED: &str = " sha256";

#[derive(Debug)]
pub(super) struct S3Upload {
    store: Arc<Store>,
    plan: UploadPlan,
    id: String,
    parts: Vec<SentPart>,
    /// Of an upload of one part: what it is read from.
    source: Option<(Arc<dyn ReadAt>, [u8; 32])>,
}

impl S3Upload {
    pub(super) fn new(store: Arc<Store>, plan: UploadPlan, id: &str, parts: Vec<SentPart>) -> Self {
        Self { store, plan, id: id.to_owned(), parts, source: None }
    }

    fn is_single(&self) -> bool {
        self.id == SINGLE
    }

    fn put(&self) -> Result<()> {
        let key = self.store.key_of(&self.plan.location);
        let what = self.store.shown(&key);
        let about = About { action: "copying to", what: &what };
        let Some((source, sha256)) = &self.source else {
            return Err(StorageError::NotFound { what: format!("what is to be copied to {what}") });
        };
        let keys = self.store.keys()?;
        let range = self.plan.range(1);
        let stream = || piece_reader(source, range);
        let content = Content::Stream(&stream, range.1);
        let make = || self.store.bucket.put_object(keys.as_ref(), &key);
        let mut headers = checksum_headers(sha256).to_vec();
        headers.extend(self.plan.locked_until.into_iter().flat_map(lock::headers));
        headers.push(("if-none-match", "*".to_owned()));
        let sent = self.store.requests.send(about, &headers, content, make);
        if is_not_implemented(&sent) {
            self.require_free()?;
            headers.pop();
            return self.store.requests.send(about, &headers, content, make).map(drop);
        }
        sent.map(drop)
    }

    fn complete(&self) -> Result<()> {
        let key = self.store.key_of(&self.plan.location);
        let what = self.store.shown(&key);
        let about = About { action: "completing", what: &what };
        let keys = self.store.keys()?;
        let body = body_of(&self.parts);
        let make = || {
            let etags = iter::empty::<&str>();
            self.store.bucket.complete_multipart_upload(keys.as_ref(), &key, &self.id, etags)
        };
        let mut headers =
            vec![("content-type", "application/xml".to_owned()), ("if-none-match", "*".to_owned())];
        let content = Content::Bytes(body.as_bytes());
        let mut done = self.store.requests.send(about, &headers, content, make);
        if is_not_implemented(&done) {
            self.require_free()?;
            headers.pop();
            done = self.store.requests.send(about, &headers, content, make);
        }
        match done {
            // An answer that was lost: then the archive is there.
            Err(StorageError::Refused { refusal: Refusal::NoUpload, .. }) => {
                self.require_free()?;
                Err(StorageError::NotFound { what: format!("the upload of {what}") })
            }
            Err(error) => Err(error),
            Ok(answer) => match element(answer.text(), "Code") {
                // It began to answer before it knew.
                Some("PreconditionFailed") => Err(about.refused(Refusal::Taken)),
                Some(_code) => Err(about.refused(Refusal::Busy)),
                None if answer.text().contains("CompleteMultipartUploadResult") => Ok(()),
                None => Err(about.unclear("the answer was cut off")),
            },
        }
    }

    /// For a store that cannot say "unless it exists".
    fn require_free(&self) -> Result<()> {
        let key = self.store.key_of(&self.plan.location);
        match self.store.head(&key, &[])? {
            None => Ok(()),
            Some(_taken) => Err(StorageError::Exists { what: self.store.shown(&key) }),
        }
    }
}

impl Upload for S3Upload {
    fn send(&mut self, number: u32, sha256: &[u8; 32], source: &Arc<dyn ReadAt>) -> Result<String> {
        if self.is_single() {
            self.source = Some((Arc::clone(source), *sha256));
            return Ok(SINGLE.to_owned());
        }
        let key = self.store.key_of(&self.plan.location);
        let what = format!("part {number} of {}", self.store.shown(&key));
        let about = About { action: "copying", what: &what };
        let keys = self.store.keys()?;
        let range = self.plan.range(number);
        let stream = || piece_reader(source, range);
        let part = u16::try_from(number).unwrap_or(u16::MAX);
        let make = || self.store.bucket.upload_part(keys.as_ref(), &key, part, &self.id);
        let headers = [checksum_header(sha256)];
        let answer =
            self.store.requests.send(about, &headers, Content::Stream(&stream, range.1), make);
        let answer = match answer {
            Err(StorageError::Refused { refusal: Refusal::NoUpload, .. }) => {
                return Err(StorageError::NotFound { what: format!("the upload of {what}") });
            }
            answer => answer?,
        };
        let tag = answer.header("etag").ok_or_else(|| about.unclear("the answer names no part"))?;
        let noted = answer.header("x-amz-checksum-sha256").is_some();
        let tag = if noted { format!("{tag}{NOTED}") } else { tag.to_owned() };
        self.parts.push(SentPart { number, tag: tag.clone(), sha256: *sha256 });
        Ok(tag)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        if self.is_single() { self.put() } else { self.complete() }
    }
}

fn is_not_implemented<T>(result: &Result<T>) -> bool {
    matches!(result, Err(StorageError::Refused { refusal: Refusal::NotImplemented, .. }))
}

/// The checksum that a store has of a whole object.
pub(super) fn checksum_of(parts: &[SentPart], is_single: bool) -> String {
    if let (true, [only]) = (is_single, parts) {
        return BASE64_STANDARD.encode(only.sha256);
    }
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.sha256);
    }
    format!("{}-{}", BASE64_STANDARD.encode(hasher.finalize()), parts.len())
}

/// The list of parts that completes an upload.
fn body_of(parts: &[SentPart]) -> String {
    let mut body = String::from("<CompleteMultipartUpload>");
    for part in parts {
        let (etag, noted) = match part.tag.strip_suffix(NOTED) {
            Some(etag) => (etag, true),
            None => (part.tag.as_str(), false),
        };
        let etag = etag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        write!(body, "<Part><ETag>{etag}</ETag>").ok();
        if noted {
            let checksum = BASE64_STANDARD.encode(part.sha256);
            write!(body, "<ChecksumSHA256>{checksum}</ChecksumSHA256>").ok();
        }
        write!(body, "<PartNumber>{}</PartNumber></Part>", part.number).ok();
    }
    body.push_str("</CompleteMultipartUpload>");
    body
}

/// What the number of an upload's parts is at most.
pub(super) fn is_single(plan: &UploadPlan) -> bool {
    saturating_u32(plan.parts()) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_parts_is_what_a_store_reads_and_no_tag_breaks_out_of_it() {
        let part = |number, tag: &str| SentPart { number, tag: tag.to_owned(), sha256: [0; 32] };
        let body = body_of(&[part(1, "\"a\""), part(2, "<b>&\" sha256")]);
        assert!(body.contains("<Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>"));
        assert!(body.contains("<ETag>&lt;b>&amp;&quot;</ETag><ChecksumSHA256>AAAA"), "{body}");
    }

    #[test]
    fn the_checksum_of_parts_is_that_of_their_checksums() {
        let part = SentPart { number: 1, tag: String::new(), sha256: [7; 32] };
        let alone = checksum_of(std::slice::from_ref(&part), true);
        assert_eq!(alone, BASE64_STANDARD.encode([7; 32]));
        let both = checksum_of(&[part.clone(), part], false);
        assert_eq!(both, format!("{}-2", BASE64_STANDARD.encode(Sha256::digest([7; 64]))));
    }
}
