//! Trying out a container: whether everything works that copying needs, and whether strangers are kept out.

use uuid::Uuid;

use crate::storage::requests::{About, Refusal};
use crate::storage::{Observation, Result, StorageError};

use super::store::{Ask, Store};
use super::upload::{put_manifest, put_own, put_segment, put_unless_there};

const PROBE: &[u8] = b"coffer tries out this container";

/// Does what copying does with small objects, and what a stranger would do. Leaves nothing behind.
pub(super) fn run(store: &Store) -> Result<Vec<Observation>> {
    let count = store.list()?.len();
    let name = Uuid::new_v4().simple().to_string();
    let (small, large) =
        (store.key(&format!("probe-{name}")), store.key(&format!("probe-{name}-large")));
    put_own(store, "writing", &small, PROBE)?;
    let again = put_unless_there(store, "writing", &small, PROBE);
    let strangers = strangers(store, &small);
    store.remove(&small)?;
    let parts = parts(store, &large, &name);
    store.remove(&large)?;
    parts?;
    let prefix = store.shown(&store.settings.prefix);
    let mut found = vec![Observation::Good(format!(
        "{prefix} holds {count} archives; listing, writing, reading and removing work, also in parts"
    ))];
    if !matches!(again, Err(StorageError::Exists { .. })) {
        found.push(Observation::Warning(
            "the store does not know `If-None-Match`: two that copy the same archive at once may both write it"
                .to_owned(),
            "let only one Coffer write below this prefix".to_owned(),
        ));
    }
    if store.settings.auth_url.starts_with("https:") && store.session()?.url.starts_with("http:") {
        found.push(Observation::Warning(
            "the login is encrypted and the way to the store is not: its catalog says http".to_owned(),
            "who listens there can read the token; have the public address of the store changed to https"
                .to_owned(),
        ));
    }
    found.extend(strangers?);
    Ok(found)
}

/// Makes an object of two others, as for an archive of several parts.
fn parts(store: &Store, key: &str, token: &str) -> Result<()> {
    let segment = |number: u32| put_segment(store, format!("{key}-{number}"), PROBE);
    let segments = [segment(1)?, segment(2)?];
    let made = match put_manifest(store, key, &segments, token) {
        // Nobody else has this name: it was this, and the first answer was lost.
        Err(StorageError::Exists { .. }) => Ok(()),
        made => made,
    };
    if made.is_err() {
        for segment in &segments {
            store.delete(&segment.key)?;
        }
    }
    made
}

/// What somebody without a token can do.
fn strangers(store: &Store, key: &str) -> Result<Vec<Observation>> {
    let what = store.shown(key);
    let about = About { action: "reading", what: &what };
    let mut found = Vec::new();
    for (ask, may) in [(Ask::new("GET", ""), "list"), (Ask::new("GET", key), "read")] {
        match store.send_without_token(about, ask) {
            Ok(_answer) => found.push(Observation::Problem(
                format!(
                    "anybody may {may} what is in the container {}, without any login",
                    store.settings.container
                ),
                "archives hold whole databases: take the read rights of `.r:*` from the container"
                    .to_owned(),
            )),
            Err(StorageError::Refused {
                refusal: Refusal::TokenExpired | Refusal::NotAllowed,
                ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
