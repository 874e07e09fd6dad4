//! Which data directory copies below the prefix.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::storage::owner::{OWNER_ID, Owned, id_in};
use crate::storage::requests::{About, Content, Refusal, read_answer};
use crate::storage::{Result, StorageError};

use super::signed::checksum_headers;
use super::store::Store;

impl Owned for Store {
    fn owner(&self) -> Result<Option<Uuid>> {
        let key = self.key(OWNER_ID);
        let what = self.shown(&key);
        let about = About { action: "reading", what: &what };
        let keys = self.keys()?;
        let make = || self.bucket.get_object(keys.as_ref(), &key);
        let read = |response| id_in(&read_answer(response)?.body);
        match self.requests.send_with(about, (&[], Content::Nothing), make, read) {
            Err(error) if error.is_not_found() => Ok(None),
            found => found.map(Some),
        }
    }

    fn put_owner(&self, content: &[u8]) -> Result<()> {
        let unless_there = [("if-none-match", "*".to_owned())];
        match put(self, content, &unless_there) {
            // It is read again afterwards.
            Err(StorageError::Refused { refusal: Refusal::NotImplemented, .. }) => {
                put(self, content, &[])
            }
            done => done,
        }
    }

    fn address(&self) -> String {
        self.shown(&self.key(""))
    }

    fn name(&self) -> &str {
        &self.settings.name
    }
}

/// Writes the object, with these headers besides.
pub(super) fn put(store: &Store, content: &[u8], more: &[(&'static str, String)]) -> Result<()> {
    let key = store.key(OWNER_ID);
    let what = store.shown(&key);
    let about = About { action: "writing", what: &what };
    let keys = store.keys()?;
    let headers = [&checksum_headers(&Sha256::digest(content).into())[..], more].concat();
    let make = || store.bucket.put_object(keys.as_ref(), &key);
    store.requests.send(about, &headers, Content::Bytes(content), make).map(drop)
}
