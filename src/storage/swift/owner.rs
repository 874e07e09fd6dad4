//! Which data directory copies below the prefix.

use uuid::Uuid;

use crate::storage::Result;
use crate::storage::owner::{OWNER_ID, Owned, id_in};
use crate::storage::requests::{About, Content, read_answer};

use super::store::{Ask, Store};
use super::upload::put_unless_there;

impl Owned for Store {
    fn owner(&self) -> Result<Option<Uuid>> {
        let key = self.key(OWNER_ID);
        let what = self.shown(&key);
        let about = About { action: "reading", what: &what };
        let mut read = |response| id_in(&read_answer(response)?.body);
        match self.send_with(about, Ask::new("GET", &key), Content::Nothing, &mut read) {
            Err(error) if error.is_not_found() => Ok(None),
            found => found.map(Some),
        }
    }

    fn put_owner(&self, content: &[u8]) -> Result<()> {
        put_unless_there(self, "writing", &self.key(OWNER_ID), content)
    }

    fn address(&self) -> String {
        self.shown(&self.key(""))
    }

    fn name(&self) -> &str {
        &self.settings.name
    }
}
