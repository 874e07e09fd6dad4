//! What is in a container.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::domain::{Location, Timestamp};
use crate::storage::requests::{About, Content, Refusal};
use crate::storage::{Result, StoredArchive};

use super::store::{Ask, Store};

/// How many names are asked for at once.
const PAGE: usize = 5000;

/// What the store says of an object.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: u64,
    /// Whether it is made of others.
    pub(super) is_large: bool,
    /// The token of the upload that it was made by.
    pub(super) upload: Option<String>,
}

/// An object in a list.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    #[serde(default)]
    pub(super) bytes: u64,
    #[serde(default)]
    last_modified: Option<String>,
}

impl Row {
    /// When it was written.
    pub(super) fn at(&self) -> Option<Timestamp> {
        format!("{}Z", self.last_modified.as_ref()?.trim_end_matches('Z')).parse().ok()
    }
}

/// What one request removed, of an object that is made of others.
#[derive(Debug, Deserialize)]
struct Removed {
    #[serde(rename = "Response Status")]
    status: String,
    #[serde(rename = "Errors", default)]
    errors: Vec<serde_json::Value>,
}

impl Store {
    /// The object of this key; `None`: there certainly is none.
    pub(super) fn head(&self, key: &str) -> Result<Option<Head>> {
        let what = self.shown(key);
        let about = About { action: "finding", what: &what };
        match self.send(about, Ask::new("HEAD", key), Content::Nothing) {
            Ok(answer) => {
                let bytes = answer.header("content-length").and_then(|it| it.parse().ok());
                let bytes = bytes.ok_or_else(|| about.unclear("the answer has no length"))?;
                let is_large = answer.header("x-static-large-object");
                let is_large = is_large.is_some_and(|it| it.eq_ignore_ascii_case("true"));
                let upload = answer.header("x-object-meta-coffer-upload").map(str::to_owned);
                Ok(Some(Head { bytes, is_large, upload }))
            }
            Err(error) if error.is_not_found() => {
                // The container may be missing.
                self.page(key, None, 1)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes an object of one part. It is no error if there is none.
    pub(super) fn delete(&self, key: &str) -> Result<()> {
        let what = self.shown(key);
        let about = About { action: "removing", what: &what };
        match self.send(about, Ask::new("DELETE", key), Content::Nothing) {
            Err(error) if error.is_not_found() => Ok(()),
            done => done.map(drop),
        }
    }

    /// Removes an object with everything that it is made of. It is no error if there is none.
    pub(super) fn remove(&self, key: &str) -> Result<()> {
        match self.head(key)? {
            None => Ok(()),
            Some(head) if head.is_large => self.delete_large(key),
            Some(_small) => self.delete(key),
        }
    }

    /// The store removes the parts first and the manifest last, so that what is left over after an error is found again.
    fn delete_large(&self, key: &str) -> Result<()> {
        let what = self.shown(key);
        let about = About { action: "removing", what: &what };
        let headers = [("accept", "application/json".to_owned())];
        let ask = Ask {
            query: "multipart-manifest=delete",
            headers: &headers,
            ..Ask::new("DELETE", key)
        };
        let answer = match self.send(about, ask, Content::Nothing) {
            Err(error) if error.is_not_found() => return Ok(()),
            answer => answer?,
        };
        let removed: Removed = serde_json::from_slice(&answer.body)
            .map_err(|_other| about.unclear("the answer cannot be read"))?;
        if removed.errors.is_empty() && removed.status.starts_with("200") {
            return Ok(());
        }
        // Of a status and a text only the status is known to be harmless.
        let status = removed.status.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
        Err(about.refused(match status {
            401 | 403 => Refusal::NotAllowed,
            500..=599 => Refusal::Busy,
            other => Refusal::other(other, ""),
        }))
    }

    /// Every archive, in order of location.
    pub(super) fn list(&self) -> Result<Vec<StoredArchive>> {
        let prefix = self.prefix_of_archives();
        let mut found = Vec::new();
        self.each(&prefix, |row| {
            let location =
                row.name.strip_prefix(&prefix).and_then(|it| it.parse::<Location>().ok());
            found.extend(location.map(|location| StoredArchive {
                location,
                bytes: row.bytes,
                proven_hint: None,
            }));
            Ok(())
        })?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Every object whose key begins so.
    pub(super) fn each(&self, prefix: &str, mut take: impl FnMut(Row) -> Result<()>) -> Result<()> {
        let mut last: Option<String> = None;
        loop {
            let page = self.page(prefix, last.as_deref(), PAGE)?;
            // A page may be shorter than was asked for, and still not be the last. One that does not go on is.
            let Some(end) =
                page.last().map(|it| it.name.clone()).filter(|it| Some(it) > last.as_ref())
            else {
                return Ok(());
            };
            for row in page.into_iter().filter(|it| it.name.starts_with(prefix)) {
                take(row)?;
            }
            last = Some(end);
        }
    }

    /// Lists next to nothing, to see whether that works.
    pub(super) fn reach(&self) -> Result<()> {
        self.page(&self.prefix_of_archives(), None, 1).map(drop)
    }

    /// A page of the objects whose keys begin so, behind this one.
    pub(super) fn page(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Row>> {
        let what = self.shown(prefix);
        let about = About { action: "listing", what: &what };
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let after = after.map_or(String::new(), |after| format!("&marker={}", encoded(after)));
        let query = format!("format=json&limit={most}&prefix={}{after}", encoded(prefix));
        let ask = Ask { query: &query, ..Ask::new("GET", "") };
        let answer = self.send(about, ask, Content::Nothing)?;
        if answer.body.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_other| about.unclear("the answer cannot be read"))
    }
}
