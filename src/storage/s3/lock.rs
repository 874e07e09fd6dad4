//! Object lock: until a time nobody can remove or replace an object, who has the keys included.

use sha2::{Digest as _, Sha256};

use rusty_s3::S3Action as _;

use crate::domain::Timestamp;
use crate::storage::requests::{About, Content};
use crate::storage::{Result, StorageError};

use super::signed::checksum_headers;
use super::store::Store;

/// A lock that no key can take away again; one that some keys can is no help against stolen ones.
const MODE: &str = "COMPLIANCE";

fn shown(until: Timestamp) -> String {
    format!("{}Z", until.to_wire())
}

/// What makes an object that is written locked from its beginning.
pub(super) fn headers(until: Timestamp) -> [(&'static str, String); 2] {
    [
        ("x-amz-object-lock-mode", MODE.to_owned()),
        ("x-amz-object-lock-retain-until-date", shown(until)),
    ]
}

/// Locks an object until then. One that is locked for longer stays as it is.
pub(super) fn extend(store: &Store, key: &str, until: Timestamp) -> Result<()> {
    let what = store.shown(key);
    let Some(head) = store.head(key, &[])? else { return Err(StorageError::NotFound { what }) };
    // What is shown has no fractions of seconds.
    if head.locked_until.is_some_and(|it| shown(it) >= shown(until)) {
        return Ok(());
    }
    let about = About { action: "locking", what: &what };
    let keys = store.keys()?;
    let body = format!(
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{MODE}</Mode>\
         <RetainUntilDate>{}</RetainUntilDate></Retention>",
        shown(until)
    );
    let make = || {
        let mut action = store.bucket.put_object(keys.as_ref(), key);
        action.query_mut().insert("retention", "");
        action
    };
    let headers = checksum_headers(&Sha256::digest(body.as_bytes()).into());
    store.requests.send(about, &headers, Content::Bytes(body.as_bytes()), make).map(drop)
}
