//! The seed of the key that signs archives, in `signing.key`.

use std::io::{self, Read as _};

use super::folder::{Folder, failed};
use super::layout::Layout;
use crate::storage::Result;

pub(super) const SIGNING_KEY: &str = "signing.key";
const SEED_BYTES: usize = 32;

/// The seed; `None`: there is none.
pub(super) fn read(layout: &Layout) -> Result<Option<[u8; SEED_BYTES]>> {
    let folder = Folder::open_named(&layout.root)?;
    let file = match folder.open_file(SIGNING_KEY.as_ref()) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    let path = folder.path_of(SIGNING_KEY);
    file.take(256).read_to_string(&mut text).map_err(failed("reading", &path))?;
    let seed = hex::decode(text.trim()).ok().and_then(|it| it.try_into().ok());
    let bad = || io::Error::other("it is not a signing key; move it away for a new one");
    seed.map(Some).ok_or_else(|| failed("reading", &path)(bad()))
}

/// The seed; a random one is made if there is none.
pub(super) fn make(layout: &Layout) -> Result<[u8; SEED_BYTES]> {
    if let Some(known) = read(layout)? {
        return Ok(known);
    }
    let folder = Folder::open_named(&layout.root)?;
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed)
        .map_err(|error| failed("making", &folder.path_of(SIGNING_KEY))(io::Error::other(error)))?;
    let text = format!("{}\n", hex::encode(seed));
    layout.replace_file(&folder, SIGNING_KEY.as_ref(), text.as_bytes())?;
    Ok(seed)
}
