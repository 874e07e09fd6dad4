//! Which data directory copies below a prefix of a store: its id stands in `<prefix>/owner.id`. Two with the same prefix
//! would take the copies of the other one for their own, and a reader would take both for one device.

use std::io;

use uuid::Uuid;

use super::{Result, StorageError};

/// The name of the object below the prefix.
pub(super) const OWNER_ID: &str = "owner.id";

/// A prefix that may have an owner.
pub(super) trait Owned {
    /// Which data directory copies there; `None`: there certainly is none.
    fn owner(&self) -> Result<Option<Uuid>>;

    /// Writes the object unless there is one: then that is [`StorageError::Exists`].
    fn put_owner(&self, content: &[u8]) -> Result<()>;

    /// Its address, for messages.
    fn address(&self) -> String;

    /// The name of its place in the configuration.
    fn name(&self) -> &str;
}

/// What stands in the object.
pub(super) fn content_of(owner: Uuid) -> Vec<u8> {
    format!("{owner}\n").into_bytes()
}

/// The id in an object.
pub(super) fn id_in(content: &[u8]) -> io::Result<Uuid> {
    let id = str::from_utf8(content).ok().and_then(|text| text.trim().parse().ok());
    id.ok_or_else(|| io::Error::other("it is not the id of a data directory"))
}

/// Takes a prefix for this data directory. What an answer says was written is not believed: it is read again.
pub(super) fn claim(place: &impl Owned, own: Uuid) -> Result<()> {
    let mut found = place.owner()?;
    if found.is_none() {
        match place.put_owner(&content_of(own)) {
            // Another one was faster, or an answer was lost.
            Ok(()) | Err(StorageError::Exists { .. }) => found = place.owner()?,
            Err(error) => return Err(error),
        }
    }
    match found {
        Some(known) if known == own => Ok(()),
        Some(other) => {
            let (what, name) = (place.address(), place.name().to_owned());
            Err(StorageError::OfAnother { what, key: "prefix", name, own, other })
        }
        None => Err(StorageError::Unreachable {
            action: "writing",
            what: OWNER_ID.to_owned(),
            why: "the store said that it was written, and it is not there".to_owned(),
        }),
    }
}
