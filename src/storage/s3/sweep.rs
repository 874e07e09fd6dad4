//! Giving up uploads.

use rusty_s3::S3Action as _;

use crate::domain::{BackupId, Timestamp};
use crate::storage::requests::{About, Content, Refusal};
use crate::storage::{Result, StorageError};

use super::answer::element;
use super::store::Store;

/// Pages that are read at most: an error of a store must not make it go on for ever.
const MOST_PAGES: usize = 1000;

/// An upload that was begun.
struct Begun {
    key: String,
    id: String,
    at: Option<Timestamp>,
}

/// Gives up an upload. It is no error if there is none.
pub(super) fn abort(store: &Store, key: &str, upload: &str) -> Result<()> {
    let what = format!("the upload of {}", store.shown(key));
    let about = About { action: "giving up", what: &what };
    let keys = store.keys()?;
    let make = || store.bucket.abort_multipart_upload(keys.as_ref(), key, upload);
    match store.requests.send(about, &[], Content::Nothing, make) {
        Ok(_done) => Ok(()),
        Err(StorageError::Refused { refusal: Refusal::NoUpload, .. }) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives up what was begun before this and is not known. Returns how many there were; none where a store does not list
/// them.
pub(super) fn run(store: &Store, known: &[(BackupId, String)], before: Timestamp) -> Result<usize> {
    let begun = match list(store) {
        Err(StorageError::Refused { refusal: Refusal::NotImplemented, .. }) => return Ok(0),
        listed => listed?,
    };
    let is_known = |it: &Begun| known.iter().any(|(_, upload)| *upload == it.id);
    let is_old = |it: &Begun| it.at.is_some_and(|at| at < before);
    let mut given_up = 0;
    for it in begun.iter().filter(|it| is_old(it) && !is_known(it)) {
        abort(store, &it.key, &it.id)?;
        given_up += 1;
    }
    Ok(given_up)
}

/// Every upload below the prefix that was neither completed nor given up.
fn list(store: &Store) -> Result<Vec<Begun>> {
    let prefix = store.prefix_of_archives();
    let what = format!("the uploads in {}", store.shown(&prefix));
    let about = About { action: "listing", what: &what };
    let keys = store.keys()?;
    let (mut found, mut marker) = (Vec::new(), None::<(String, String)>);
    for _page in 0..MOST_PAGES {
        let make = || {
            // What a bucket is asked besides its objects is a query of the bucket itself.
            let mut action = store.bucket.get_object(keys.as_ref(), "");
            action.query_mut().insert("uploads", "");
            action.query_mut().insert("prefix", prefix.clone());
            if let Some((key, upload)) = &marker {
                action.query_mut().insert("key-marker", key.clone());
                action.query_mut().insert("upload-id-marker", upload.clone());
            }
            action
        };
        let answer = match store.requests.send(about, &[], Content::Nothing, make) {
            Err(error) if error.is_not_found() => return Err(about.refused(Refusal::NoBucket)),
            answer => answer?,
        };
        let text = answer.text();
        if !text.contains("ListMultipartUploadsResult") {
            return Err(about.unclear("the answer is no list of uploads"));
        }
        found.extend(text.split("<Upload>").skip(1).filter_map(begun));
        let next = element(text, "NextKeyMarker").zip(element(text, "NextUploadIdMarker"));
        let next = next.map(|(key, upload)| (unescaped(key), unescaped(upload)));
        let is_last = element(text, "IsTruncated") != Some("true");
        if is_last || next.is_none() || next == marker {
            break;
        }
        marker = next;
    }
    // A store may ignore the prefix.
    found.retain(|it| it.key.starts_with(&prefix));
    Ok(found)
}

fn begun(xml: &str) -> Option<Begun> {
    Some(Begun {
        key: unescaped(element(xml, "Key")?),
        id: unescaped(element(xml, "UploadId")?),
        at: element(xml, "Initiated").and_then(|it| it.parse().ok()),
    })
}

fn unescaped(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (name, is)| text.replace(name, is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_read_from_an_answer_and_one_without_a_time_is_never_old() {
        let xml = "<Key>a&amp;b</Key><UploadId>x</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated>";
        let it = begun(xml).unwrap();
        assert_eq!((it.key.as_str(), it.id.as_str()), ("a&b", "x"));
        assert_eq!(it.at.unwrap().to_wire(), "2026-01-01T00:00:00");
        assert!(begun("<Key>a</Key><UploadId>x</UploadId>").unwrap().at.is_none());
        assert!(begun("<Key>a</Key>").is_none());
    }
}
