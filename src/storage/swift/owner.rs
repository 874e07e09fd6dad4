//! Which data directory copies below the prefix.

use std::io;

use uuid::Uuid;

use crate::storage::owner::{OWNER_ID, Owned, id_in};
use crate::storage::requests::{About, Content, read_answer};
use crate::storage::{Result, StorageError};

use super::store::{Ask, Store};
use super::upload::put_unless_there;

impl Owned for Store {
    fn owner(&self) -> Result<Option<Uuid>> {
        let key = self.key(OWNER_ID);
        let what = self.shown(&key);
        let about = About { action: "reading", what: &what };
        let mut read = |response| {
            let content = read_answer(response)?.body;
            id_in(&content).ok_or_else(|| io::Error::other("it is not the id of a data directory"))
        };
        match self.send_with(about, Ask::new("GET", &key), Content::Nothing, &mut read) {
            Err(error) if error.is_not_found() => Ok(None),
            found => found.map(Some),
        }
    }

    fn put_owner(&self, content: &[u8]) -> Result<()> {
        put_unless_there(self, "writing", &self.key(OWNER_ID), content)
    }

    fn of_another(&self, own: Uuid, other: Uuid) -> StorageError {
        StorageError::OfAnother {
            what: self.shown(&self.key("")),
            key: "prefix",
            name: self.settings.name.clone(),
            own,
            other,
        }
    }
}
