//! Uploads: one request for a small archive; for others equal parts, and a manifest that names them.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;

use md5::{Digest as _, Md5};
use serde_json::json;
use ureq::Body;
use ureq::http::Response;

use crate::domain::num::{saturating_usize, to_u64};
use crate::domain::{ReadAt, SentPart};
use crate::storage::requests::{About, Answer, Content, Refusal, piece_reader, read_answer};
use crate::storage::{Result, StorageError, Upload, UploadPlan};

use super::store::{Ask, Store};

/// What an upload of one part is called: nothing of it is at the store before its commit.
pub(super) const SINGLE: &str = "put";

/// Nothing that is there is replaced.
fn unless_there() -> (&'static str, String) {
    ("if-none-match", "*".to_owned())
}

fn content_type() -> (&'static str, String) {
    ("content-type", "application/octet-stream".to_owned())
}

fn md5_of(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

#[derive(Debug)]
pub(super) struct SwiftUpload {
    store: Arc<Store>,
    plan: UploadPlan,
    id: String,
    parts: Vec<SentPart>,
    /// Of an upload of one part: what it is read from.
    source: Option<Arc<dyn ReadAt>>,
}

impl SwiftUpload {
    pub(super) fn new(store: Arc<Store>, plan: UploadPlan, id: &str, parts: Vec<SentPart>) -> Self {
        Self { store, plan, id: id.to_owned(), parts, source: None }
    }

    fn put(&self) -> Result<()> {
        let key = self.store.key_of(&self.plan.location);
        let Some(source) = &self.source else {
            let what = format!("what is to be copied to {}", self.store.shown(&key));
            return Err(StorageError::NotFound { what });
        };
        // It is at most one part, so that its checksum can be sent before it.
        let mut bytes = vec![0; saturating_usize(self.plan.bytes)];
        source.read_exact_at(&mut bytes, 0).map_err(|source| StorageError::Io {
            action: "reading",
            what: self.plan.location.to_string(),
            source,
        })?;
        put_unless_there(&self.store, "copying to", &key, &bytes)
    }

    fn complete(&self) -> Result<()> {
        let key = self.store.key_of(&self.plan.location);
        let token = token_of(&self.id);
        let segment = |part: &SentPart| Segment {
            key: segment_key(&self.store, token, part.number),
            md5: part.tag.clone(),
            bytes: self.plan.range(part.number).1,
        };
        let segments: Vec<_> = self.parts.iter().map(segment).collect();
        match put_manifest(&self.store, &key, &segments, token) {
            Err(StorageError::Refused { refusal: Refusal::NoUpload, .. }) => {
                let what = format!("the upload of {}", self.store.shown(&key));
                return Err(StorageError::NotFound { what });
            }
            done => done?,
        }
        // A sweep removes it as well.
        if let Err(error) = self.store.delete(&self.store.key_of_upload(&self.id)) {
            log::info!("the name of a finished upload is left over: {error}");
        }
        Ok(())
    }
}

impl Upload for SwiftUpload {
    fn send(&mut self, number: u32, sha256: &[u8; 32], source: &Arc<dyn ReadAt>) -> Result<String> {
        if self.id == SINGLE {
            self.source = Some(Arc::clone(source));
            return Ok(SINGLE.to_owned());
        }
        let key = segment_key(&self.store, token_of(&self.id), number);
        let what = format!(
            "part {number} of {}",
            self.store.shown(&self.store.key_of(&self.plan.location))
        );
        let about = About { action: "copying", what: &what };
        let range = self.plan.range(number);
        let sum = RefCell::new(Md5::new());
        let stream = || -> Box<dyn Read + '_> {
            *sum.borrow_mut() = Md5::new();
            Box::new(Summed { inner: piece_reader(source, range), sum: &sum })
        };
        let headers = [content_type()];
        let ask = Ask { headers: &headers, ..Ask::new("PUT", &key) };
        let tag = self.store.send_with(
            about,
            ask,
            Content::Stream(&stream, range.1),
            &mut |response| {
                let ours = hex::encode(sum.borrow().clone().finalize());
                same(response, &ours).map(|_answer| ours)
            },
        )?;
        self.parts.push(SentPart { number, tag: tag.clone(), sha256: *sha256 });
        Ok(tag)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        if self.id == SINGLE { self.put() } else { self.complete() }
    }
}

/// A part of an object.
pub(super) struct Segment {
    pub(super) key: String,
    pub(super) md5: String,
    pub(super) bytes: u64,
}

/// The name of an upload is its token, and the location that it is for.
pub(super) fn token_of(upload: &str) -> &str {
    upload.split_once('/').map_or(upload, |(token, _location)| token)
}

fn segment_key(store: &Store, token: &str, number: u32) -> String {
    format!("{}{number:05}", store.key_of_segments(token))
}

/// Writes a small object unless there is one; the store compares its MD5 with what arrives.
///
/// [`Exists`](StorageError::Exists) may speak of what this very request wrote, if the first answer to it was lost.
pub(super) fn put_unless_there(
    store: &Store,
    action: &'static str,
    key: &str,
    bytes: &[u8],
) -> Result<()> {
    put_with(store, action, key, (bytes, Some(unless_there())))
}

/// Writes a small object whose name nobody else has, so that it does not matter how often it arrives.
pub(super) fn put_own(store: &Store, action: &'static str, key: &str, bytes: &[u8]) -> Result<()> {
    put_with(store, action, key, (bytes, None))
}

fn put_with(
    store: &Store,
    action: &'static str,
    key: &str,
    (bytes, condition): (&[u8], Option<(&'static str, String)>),
) -> Result<()> {
    let (what, md5) = (store.shown(key), md5_of(bytes));
    let mut headers = vec![content_type(), ("etag", md5.clone())];
    headers.extend(condition);
    let ask = Ask { headers: &headers, ..Ask::new("PUT", key) };
    let about = About { action, what: &what };
    let mut read = |response| same(response, &md5).map(drop);
    store.send_with(about, ask, Content::Bytes(bytes), &mut read)
}

/// Writes a part of an object that is made of several.
pub(super) fn put_segment(store: &Store, key: String, bytes: &[u8]) -> Result<Segment> {
    put_own(store, "writing", &key, bytes)?;
    Ok(Segment { key, md5: md5_of(bytes), bytes: to_u64(bytes.len()) })
}

/// Makes an object of others unless there is one. `token` says which upload it is of.
pub(super) fn put_manifest(
    store: &Store,
    key: &str,
    segments: &[Segment],
    token: &str,
) -> Result<()> {
    let what = store.shown(key);
    let about = About { action: "completing", what: &what };
    let container = &store.settings.container;
    let row = |it: &Segment| json!({ "path": format!("/{container}/{}", it.key), "etag": it.md5, "size_bytes": it.bytes });
    let body = json!(segments.iter().map(row).collect::<Vec<_>>()).to_string();
    let all: String = segments.iter().map(|it| it.md5.as_str()).collect();
    let headers =
        [content_type(), unless_there(), ("x-object-meta-coffer-upload", token.to_owned())];
    let ask = Ask { query: "multipart-manifest=put", headers: &headers, ..Ask::new("PUT", key) };
    let mut read = |response| same(response, &md5_of(all.as_bytes())).map(drop);
    store.send_with(about, ask, Content::Bytes(body.as_bytes()), &mut read)
}

/// The answer, if the store has what was sent.
fn same(response: Response<Body>, md5: &str) -> io::Result<Answer> {
    let answer = read_answer(response)?;
    match answer.header("etag").map(|it| it.trim_matches('"')) {
        Some(theirs) if theirs.eq_ignore_ascii_case(md5) => Ok(answer),
        _ => Err(io::Error::other("what the store says that it has is not what was sent")),
    }
}

/// Computes the checksum of what passes.
struct Summed<'a> {
    inner: Box<dyn Read + 'a>,
    sum: &'a RefCell<Md5>,
}

impl Read for Summed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.sum.borrow_mut().update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}
