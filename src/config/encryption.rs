//! To whom archives are encrypted, and with what they are read: `[encryption]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::encryption::{Recipients, Signers};

use super::{Config, InstanceConfig, PlaceConfig, word};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct EncryptionConfig {
    #[serde(default)]
    pub recipients: Vec<String>,
    #[serde(deserialize_with = "word::one")]
    pub applies_to: AppliesTo,
    #[serde(default)]
    pub identity_files: Vec<PathBuf>,
    #[serde(default)]
    pub signers: Vec<String>,
}

/// What is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppliesTo {
    /// What is copied to places.
    #[default]
    Copies,
    /// Archives, from when they are written on, and copies of those that were written before.
    Both,
}

impl Config {
    /// The names of the instances whose backups are drilled by a schedule.
    pub fn drilled(&self) -> Vec<&str> {
        let every = |it: &InstanceConfig| it.drill.clone().unwrap_or(self.defaults.drill.clone());
        let drilled = self.instances.iter().filter(|it| !every(it).trim().is_empty());
        drilled.map(|it| it.name.as_str()).collect()
    }

    /// The public keys that archives are encrypted to; none: they are not.
    pub fn archive_recipients(&self) -> &[String] {
        match self.encryption.applies_to {
            AppliesTo::Copies => &[],
            AppliesTo::Both => &self.encryption.recipients,
        }
    }

    /// The public keys that what is copied to this place is encrypted to; none: it lies there as it is here.
    pub fn recipients_of<'a>(&'a self, place: &'a PlaceConfig) -> &'a [String] {
        place.encrypt_to.as_ref().unwrap_or(&self.encryption.recipients)
    }
}

/// What cannot be honoured if archives are encrypted, too.
fn archives(config: &Config) -> Vec<(String, String)> {
    let EncryptionConfig { recipients, applies_to, .. } = &config.encryption;
    if *applies_to == AppliesTo::Copies {
        return Vec::new();
    }
    let mut found = Vec::new();
    if recipients.is_empty() {
        let why = "is \"both\", but encryption.recipients names no public key: name one (coffer key new makes it)";
        found.push(("encryption.applies_to".to_owned(), why.to_owned()));
    }
    for (index, place) in config.places.iter().enumerate() {
        if place.encrypt_to.as_ref().is_some_and(|keys| keys != recipients) {
            let key = format!("places[{index}] ({}): encrypt_to", place.name);
            let why = "names other keys than encryption.recipients, but with encryption.applies_to = \"both\" a copy is \
                       the encrypted archive itself: remove it, or add its keys to encryption.recipients";
            found.push((key, why.to_owned()));
        }
    }
    found
}

/// What is wrong with the keys: the key of the configuration, and the rest of the sentence.
pub(super) fn problems(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lists = vec![("encryption.recipients".to_owned(), &config.encryption.recipients)];
    for (index, place) in config.places.iter().enumerate() {
        let key = format!("places[{index}] ({}): encrypt_to", place.name);
        lists.extend(place.encrypt_to.as_ref().map(|keys| (key, keys)));
    }
    for (key, keys) in lists {
        if let Err(why) = Recipients::parse(keys) {
            found.push((key, format!("is wrong: {why}")));
        }
    }
    if let Err(why) = Signers::parse(&config.encryption.signers) {
        found.push(("encryption.signers".to_owned(), format!("is wrong: {why}")));
    }
    found.extend(archives(config));
    for path in config.encryption.identity_files.iter().filter(|it| !it.is_absolute()) {
        let why = format!("has {}; use an absolute path", path.display());
        found.push(("encryption.identity_files".to_owned(), why));
    }
    found
}
