//! What a bucket does by itself: whether it can lock objects, keeps old versions, and deletes what is old.

use rusty_s3::S3Action as _;

use crate::storage::requests::{About, Content, Refusal};
use crate::storage::{Observation, Result, StorageError};

use super::answer::element;
use super::store::Store;

/// What a bucket says of itself.
enum Said {
    Nothing,
    /// It does not know how to, or may not say it.
    Unknown(String),
    Text(String),
}

/// Looks for rules of the bucket that would delete what Coffer relies on, and whether it can lock if it is to.
pub(super) fn run(store: &Store) -> Result<Vec<Observation>> {
    let mut found = Vec::new();
    if store.settings.locks {
        found.push(locking(store, ask(store, "object-lock")?));
    }
    match ask(store, "lifecycle")? {
        Said::Nothing => {}
        Said::Unknown(why) => found.push(Observation::Warning(
            format!("whether the bucket deletes old objects by itself is not known: {why}"),
            "see that no lifecycle rule lets current objects expire".to_owned(),
        )),
        Said::Text(text) => {
            let ours = store.prefix_of_archives();
            let rules = text.split("<Rule>").skip(1);
            found.extend(rules.filter_map(|rule| deletes(rule, &ours)));
        }
    }
    Ok(found)
}

fn locking(store: &Store, said: Said) -> Observation {
    let bucket = &store.settings.bucket;
    let advice = format!(
        "make a bucket with object lock (aws s3api create-bucket --bucket NAME --object-lock-enabled-for-bucket), or \
         leave `lock` out of the place; the bucket is {bucket}"
    );
    match said {
        Said::Text(text) if element(&text, "ObjectLockEnabled") == Some("Enabled") => {
            Observation::Good(format!("the bucket {bucket} can lock objects"))
        }
        Said::Unknown(why) => Observation::Warning(
            format!("whether the bucket {bucket} can lock objects is not known: {why}"),
            advice,
        ),
        Said::Text(_) | Said::Nothing => Observation::Problem(
            format!("the bucket {bucket} cannot lock objects, so nothing is copied there"),
            advice,
        ),
    }
}

/// What is wrong with a lifecycle rule, if it lets archives expire.
fn deletes(rule: &str, ours: &str) -> Option<Observation> {
    let expiry = element(rule, "Expiration")?;
    let when = element(expiry, "Days").map(|days| format!("after {days} days"));
    let when = when.or_else(|| element(expiry, "Date").map(|date| format!("on {date}")))?;
    // Archives have no tags.
    let applies = element(rule, "Status") == Some("Enabled") && !rule.contains("<Tag>");
    let prefix = element(rule, "Prefix").unwrap_or_default();
    let touches = ours.starts_with(prefix) || prefix.starts_with(ours);
    let name = element(rule, "ID").unwrap_or("without a name");
    (applies && touches).then(|| {
        Observation::Problem(
            format!("a lifecycle rule of the bucket ({name}) deletes archives {when}, whatever is built on them"),
            "remove it, or give it another prefix: `keep` of the place says what goes, and never breaks a chain"
                .to_owned(),
        )
    })
}

fn ask(store: &Store, about_what: &'static str) -> Result<Said> {
    let what = format!("the bucket {}", store.settings.bucket);
    let about = About { action: "asking", what: &what };
    let keys = store.keys()?;
    let make = || {
        let mut action = store.bucket.get_object(keys.as_ref(), "");
        action.query_mut().insert(about_what, "");
        action
    };
    match store.requests.send(about, &[], Content::Nothing, make) {
        Ok(answer) => Ok(Said::Text(answer.text().to_owned())),
        Err(error) if error.is_not_found() => Ok(Said::Nothing),
        Err(StorageError::Refused { refusal, .. })
            if matches!(
                refusal,
                Refusal::NotImplemented | Refusal::NotAllowed | Refusal::Other(..)
            ) =>
        {
            Ok(Said::Unknown(refusal.to_string()))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rule_that_lets_archives_expire_is_a_problem() {
        let rule = |more: &str, prefix: &str, status: &str| {
            let filter = format!("<Filter><Prefix>{prefix}</Prefix></Filter>");
            format!("<ID>old</ID>{filter}<Status>{status}</Status>{more}</Rule>")
        };
        let days = "<Expiration><Days>30</Days></Expiration>";
        for (text, is_problem) in [
            (rule(days, "", "Enabled"), true),
            (rule(days, "shop/archives/p", "Enabled"), true),
            (rule(days, "shop", "Enabled"), true),
            (rule(days, "other", "Enabled"), false),
            (rule(days, "", "Disabled"), false),
            (rule("<Tag></Tag>", "", "Enabled"), false),
            (
                rule(
                    "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
                    "",
                    "Enabled",
                ),
                false,
            ),
            (
                rule(
                    "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
                    "",
                    "Enabled",
                ),
                false,
            ),
        ] {
            assert_eq!(deletes(&text, "shop/archives/").is_some(), is_problem, "{text}");
        }
    }
}
