//! Trying out a bucket: whether everything works that copying needs, and whether strangers are kept out.

use rusty_s3::Credentials;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::storage::requests::{About, Content, Refusal};
use crate::storage::{Observation, Result, StorageError};

use super::rules;
use super::signed::checksum_headers;
use super::store::Store;

const PROBE: &[u8] = b"coffer tries out this bucket";

/// Whether the store refuses what does not have the checksum that comes with it. It is asked once.
pub(super) fn compares_checksums(store: &Store) -> Result<bool> {
    if let Some(known) = *store.checks.lock() {
        return Ok(known);
    }
    let key = store.key(&format!("probe-{}", Uuid::new_v4()));
    let wrong = checksum_headers(&Sha256::digest(b"something else").into());
    let compares = match put(store, &key, &wrong, store.keys()?.as_ref()) {
        Ok(()) => {
            remove_probe(store, &key)?;
            false
        }
        Err(StorageError::Refused {
            refusal: Refusal::BadChecksum | Refusal::Other(400, _),
            ..
        }) => true,
        Err(error) => return Err(error),
    };
    *store.checks.lock() = Some(compares);
    Ok(compares)
}

fn put(
    store: &Store,
    key: &str,
    headers: &[(&'static str, String)],
    keys: Option<&Credentials>,
) -> Result<()> {
    let what = store.shown(key);
    let about = About { action: "writing", what: &what };
    let make = || store.bucket.put_object(keys, key);
    store.requests.send(about, headers, Content::Bytes(PROBE), make).map(drop)
}

/// Does what copying does with a small object, and what a stranger would do. Leaves nothing behind.
pub(super) fn run(store: &Store) -> Result<Vec<Observation>> {
    let count = store.list()?.len();
    let keys = store.keys()?;
    let key = store.key(&format!("probe-{}", Uuid::new_v4()));
    let right = checksum_headers(&Sha256::digest(PROBE).into());
    let never = ("if-none-match", "*".to_owned());
    let first = [&right[..], &[never]].concat();
    match put(store, &key, &first, keys.as_ref()) {
        // Nobody else has this name: it was this, and the first answer was lost.
        Ok(()) | Err(StorageError::Exists { .. }) => {}
        Err(error) => return Err(error),
    }
    let again = put(store, &key, &first, keys.as_ref());
    let strangers = strangers(store, &key);
    let removes = remove_probe(store, &key)?;
    let works = if removes {
        "listing, writing, reading and removing work"
    } else {
        "listing, writing and reading work; these keys may not remove anything, so copies and a probe stay"
    };
    let prefix = store.shown(&store.settings.prefix);
    let mut found = vec![Observation::Good(format!("{prefix} holds {count} archives; {works}"))];
    if !matches!(again, Err(StorageError::Exists { .. })) {
        found.push(Observation::Warning(
            "the store does not know `If-None-Match`: two that copy the same archive at once may both write it"
                .to_owned(),
            "let only one Coffer write below this prefix".to_owned(),
        ));
    }
    if !compares_checksums(store)? {
        found.push(Observation::Warning(
            "the store does not compare checksums: each copy is read back to prove it".to_owned(),
            "nothing has to be done; reading back takes time, and costs where traffic does"
                .to_owned(),
        ));
    }
    found.extend(strangers?);
    found.extend(rules::run(store)?);
    Ok(found)
}

/// Removes what was written to try something out. False: these keys may only add.
fn remove_probe(store: &Store, key: &str) -> Result<bool> {
    match store.delete(key) {
        Err(StorageError::Refused { refusal: Refusal::NotAllowed | Refusal::Locked, .. }) => {
            Ok(false)
        }
        removed => removed.map(|()| true),
    }
}

/// What somebody without keys can do.
fn strangers(store: &Store, key: &str) -> Result<Vec<Observation>> {
    if store.keys()?.is_none() {
        return Ok(Vec::new());
    }
    let what = store.shown(key);
    let about = About { action: "reading", what: &what };
    let list = || store.bucket.list_objects_v2(None);
    let get = || store.bucket.get_object(None, key);
    let lists = store.requests.send(about, &[], Content::Nothing, list).is_ok();
    let reads = store.requests.send(about, &[], Content::Nothing, get).is_ok();
    let mut found = Vec::new();
    for (can, may) in [(lists, "list"), (reads, "read")] {
        if can {
            found.push(Observation::Problem(
                format!(
                    "anybody may {may} what is in the bucket {}, without any key",
                    store.settings.bucket
                ),
                "archives hold whole databases: take public access from the bucket".to_owned(),
            ));
        }
    }
    Ok(found)
}
