//! Giving up uploads.

use crate::domain::{BackupId, Location, Timestamp};
use crate::storage::Result;

use super::store::Store;
use super::upload::token_of;

/// Removes what has arrived of an upload, unless an archive was made of it: an answer may have been lost. Whether there
/// was something to give up.
pub(super) fn give_up(store: &Store, upload: &str) -> Result<bool> {
    let token = token_of(upload);
    let location = upload.split_once('/').and_then(|(_, it)| it.parse::<Location>().ok());
    // What is no name of an upload is left alone.
    let Some(location) = location else { return Ok(false) };
    let archive = store.head(&store.key_of(&location))?;
    let is_done = archive.is_some_and(|it| it.upload.as_deref() == Some(token));
    if !is_done {
        store.each(&store.key_of_segments(token), |row| store.delete(&row.name))?;
    }
    // Last, so that what is left over after an error is found again.
    store.delete(&store.key_of_upload(upload))?;
    Ok(!is_done)
}

/// Gives up what was begun before this and is not known. Returns how many there were.
pub(super) fn run(store: &Store, known: &[(BackupId, String)], before: Timestamp) -> Result<usize> {
    let prefix = store.prefix_of_uploads();
    let mut old = Vec::new();
    store.each(&prefix, |row| {
        let is_old = row.at().is_some_and(|at| at < before);
        let name = row.name.strip_prefix(&prefix).filter(|_| is_old);
        old.extend(name.filter(|name| !known.iter().any(|(_, it)| it == name)).map(str::to_owned));
        Ok(())
    })?;
    let mut given_up = 0;
    for upload in &old {
        given_up += usize::from(give_up(store, upload)?);
    }
    Ok(given_up)
}
